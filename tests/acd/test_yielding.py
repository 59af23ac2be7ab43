"""What an edge does that was refused the ticket of a call, and which records make room for it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_writes as wr
from edge.acd.call import State
from edge.acd.call_events import By, Side
from edge.acd.ending import Ending, record_of
from edge.acd.yielding import (
    ACK_S,
    ACKNOWLEDGED_ELSEWHERE,
    CANCELLED,
    CLAIM_S,
    GUESSED,
    REFUSAL_S,
    TakeOver,
    Todo,
    is_late,
    when_refused,
    yields,
)
from state import keys
from state.codec import encode
from state.model import EdgeId, Outcome
from state.raw import KeyValue
from tests.acd.stage import Stage
from tests.acd.states import ANSWERED_STATES, at
from tests.acd.worlds import NOW, ticket

A1, A2 = EdgeId("a1"), EdgeId("a2")
PLACE = replace(ticket(1, sales=1), holder=A1)
HELD = KeyValue(key=keys.ticket(PLACE.call), value=encode(PLACE), create_revision=5, mod_revision=6)
LONG_S = 3600.0


def _record(outcome: Outcome, cause: str, edge: EdgeId = A1) -> KeyValue:
    value = record_of(replace(PLACE, holder=edge), Ending(outcome=outcome, cause=cause), NOW)
    key = keys.ended(PLACE.call)
    return KeyValue(key=key, value=encode(value), create_revision=7, mod_revision=7)


def _todo(  # noqa: PLR0913 - what may stand there, and be known
    *,
    record: KeyValue | None = None,
    ticket_: KeyValue | None = HELD,
    edge: EdgeId = A2,
    seen: bool = False,
    acknowledged: bool = True,
    waited_s: float = 0.0,
    claimed_s: float | None = None,
) -> TakeOver | Todo:
    return when_refused(
        edge,
        record=record,
        ticket=ticket_,
        was_anothers=seen,
        is_acknowledged=acknowledged,
        waited_s=waited_s,
        claimed_s=claimed_s,
    )


GIVEN_WAY = (Outcome.LOST, ACKNOWLEDGED_ELSEWHERE)
REFUSED = (Outcome.REFUSED, "media_unavailable")


@pytest.mark.parametrize("how", [(Outcome.ABANDONED, CANCELLED), GIVEN_WAY])
def test_who_has_given_way_makes_room_for_others_and_not_for_themselves(
    how: tuple[Outcome, str],
) -> None:
    record = _record(*how)
    assert yields(record)
    assert _todo(record=record) == TakeOver(7)
    assert _todo(record=record, edge=A1) is Todo.GIVE_UP


def test_a_refusal_makes_room_for_everybody_and_any_other_end_for_nobody() -> None:
    assert _todo(record=_record(*REFUSED), edge=A1) == TakeOver(7)
    for how in [(Outcome.ABANDONED, "caller_hung_up"), (Outcome.LOST, "edge_died")]:
        assert not yields(_record(*how))
        assert _todo(record=_record(*how)) is Todo.GIVE_UP


def test_only_who_has_the_acknowledgement_claims_a_call_and_only_one_that_another_holds() -> None:
    assert _todo() is Todo.CLAIM
    assert _todo(acknowledged=False) is Todo.WAIT
    assert _todo(edge=A1) is Todo.WAIT
    assert _todo(ticket_=None) is Todo.WAIT


def test_an_acknowledgement_that_comes_while_a_refusal_is_waited_for_is_not_too_late() -> None:
    assert _todo(acknowledged=False, waited_s=ACK_S - 0.01) is Todo.WAIT
    assert _todo(acknowledged=False, waited_s=ACK_S) is Todo.GIVE_UP
    assert _todo(waited_s=LONG_S) is Todo.CLAIM
    assert _todo(ticket_=None, waited_s=REFUSAL_S - 0.01) is Todo.WAIT
    assert _todo(ticket_=None, waited_s=REFUSAL_S) is Todo.GIVE_UP


def test_who_has_claimed_a_call_waits_for_a_time_and_does_not_claim_it_twice() -> None:
    assert _todo(waited_s=LONG_S, claimed_s=CLAIM_S - 0.01) is Todo.WAIT
    assert _todo(waited_s=LONG_S, claimed_s=CLAIM_S) is Todo.GIVE_UP
    assert _todo(record=_record(*GIVEN_WAY), claimed_s=CLAIM_S) == TakeOver(7)


DIED = (Outcome.LOST, GUESSED)


def test_the_record_of_an_edge_that_died_makes_room_for_who_has_claimed_the_call_alone() -> None:
    record = _record(*DIED)
    assert _todo(record=record, claimed_s=CLAIM_S) == TakeOver(7)
    assert _todo(record=record, edge=A1, claimed_s=0.0) is Todo.GIVE_UP
    other = _record(Outcome.LOST, "media_lost")
    assert _todo(record=other, seen=True, claimed_s=0.0) is Todo.GIVE_UP


def test_who_saw_anothers_ticket_that_was_closed_before_the_acknowledgement_claims_it_yet() -> None:
    record = _record(*DIED)
    assert _todo(record=record, seen=True) is Todo.CLAIM
    assert _todo(record=record, seen=True, acknowledged=False, waited_s=ACK_S - 0.1) is Todo.WAIT
    assert _todo(record=record, seen=True, acknowledged=False, waited_s=ACK_S) is Todo.GIVE_UP
    assert _todo(record=record, seen=True, edge=A1) is Todo.GIVE_UP


# ---- an INVITE that is late ----------------------------------------------------------------------


@pytest.mark.parametrize("greeting", [False, True])
def test_whose_invite_is_late_gets_no_agent_before_the_acknowledgement(*, greeting: bool) -> None:
    stage = Stage(greeting=greeting, is_late=is_late(0.3))
    assert ef.Store(write=wr.CreateTicket(greeting=True, at=NOW)) in stage.log
    while stage.line or stage.media or stage.is_greeting:
        if stage.is_greeting and not stage.media:
            stage.greeting_ends()
        elif stage.line:
            stage.write(at_once=True)
        else:
            stage.relay()
    assert stage.is_in(State.QUEUED)
    was_waiting = stage.call.is_waiting
    stage.deliver(ev.Confirmed(side=Side.CALLER))
    assert (was_waiting, stage.call.is_waiting) == (False, True)
    assert list(stage.line) == [wr.MarkQueued(at=stage.now)]


def test_whose_invite_is_in_time_waits_for_no_acknowledgement() -> None:
    stage = Stage(greeting=False, is_late=is_late(0.005)).bring_to(State.RINGING)
    assert not stage.call.is_acknowledged


# ---- the edge that holds it ----------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.ARRIVING, *ANSWERED_STATES])
def test_whom_nobody_has_acknowledged_gives_way_to_a_claim_without_a_goodbye(state: State) -> None:
    stage = at(state)
    stage.deliver(ev.Claimed())
    assert stage.ended() == GIVEN_WAY
    assert not [each for each in stage.log if isinstance(each, ef.HangUpCaller)]
    left = ef.RejectCaller(status=482, reason=ACKNOWLEDGED_ELSEWHERE)
    assert (left if state is State.ARRIVING else ef.LeaveCaller()) in stage.log


@pytest.mark.parametrize("state", ANSWERED_STATES)
def test_whose_caller_has_acknowledged_gives_way_to_nobody(state: State) -> None:
    stage = at(state)
    stage.deliver(ev.Confirmed(side=Side.CALLER))
    before = stage.call
    assert stage.deliver(ev.Claimed()) == ()
    assert stage.call == before


def test_a_call_that_is_ending_waits_no_longer_for_a_caller_who_has_anothers_answer() -> None:
    stage = at(State.CONNECTED)
    (talking,) = stage.ringing_or_up
    stage.agent_ends(talking, By.THEM)
    assert ef.HangUpCaller(reason="agent_hung_up") in stage.log
    stage.deliver(ev.Claimed())
    assert stage.ended() == GIVEN_WAY


def test_a_caller_who_hears_our_goodbye_is_ours_though_their_acknowledgement_comes_late() -> None:
    stage = at(State.CONNECTED)
    (talking,) = stage.ringing_or_up
    stage.agent_ends(talking, By.THEM)
    stage.deliver(ev.Confirmed(side=Side.CALLER))
    assert stage.deliver(ev.Claimed()) == ()
    stage.settle()
    assert stage.outcome == (Outcome.ANSWERED, "agent_hung_up")
