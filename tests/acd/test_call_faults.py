"""The call machine: relays, stores and others that fail it."""

from __future__ import annotations

import pytest

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_writes as wr
from edge.acd.call import State
from edge.acd.call_events import By
from edge.acd.call_state import step
from edge.acd.ending import WITHDRAWN
from state.model import Outcome
from tests.acd.stage import Leg, Stage, decision
from tests.acd.states import ANSWERED_STATES, FIRST, at
from tests.acd.worlds import NOW
from tests.acd.worlds import at as later


def test_a_caller_whom_the_relay_cannot_serve_is_refused() -> None:
    stage = Stage()
    stage.relay(works=False)
    assert ef.RejectCaller(status=488, reason="no_common_codec") in stage.log
    assert stage.ended() == (Outcome.REFUSED, "no_common_codec")


@pytest.mark.parametrize(
    ("event", "cause"),
    [(ev.MediaLost(), "media_lost"), (ev.Stop(), "edge_stopped")],
    ids=["relay gone", "edge stops"],
)
@pytest.mark.parametrize("state", [State.ARRIVING, *ANSWERED_STATES])
def test_a_call_cut_off_by_a_fault_is_lost_or_if_unanswered_refused_with_503(
    state: State, event: ev.Event, cause: str
) -> None:
    stage = at(state)
    stage.deliver(event)
    stage.settle()
    stage.check_ended()
    is_early = state is State.ARRIVING
    assert stage.outcome == (Outcome.REFUSED if is_early else Outcome.LOST, cause)
    assert (ef.RejectCaller(status=503, reason=cause) in stage.log) is is_early


@pytest.mark.parametrize("state", [State.ARRIVING, *ANSWERED_STATES])
def test_the_loser_of_a_call_ends_its_legs_offers_nobody_and_writes_no_record(state: State) -> None:
    stage = at(state)
    stage.take_away()
    stage.deliver(ev.TicketLost())
    assert stage.ended() == (None, "held_elsewhere")
    assert not stage.closed
    said = ef.RejectCaller(status=482, reason="held_elsewhere")
    if state is not State.ARRIVING:
        assert ef.HangUpCaller(reason="held_elsewhere") in stage.log
    else:
        assert said in stage.log


@pytest.mark.parametrize("state", [State.ARRIVING, State.GREETING, State.JOINING])
def test_a_refused_write_tells_that_the_call_is_anothers(state: State) -> None:
    stage = at(state)
    stage.take_away()
    stage.settle()
    if stage.is_in(State.GREETING):
        stage.greeting_ends()
    assert stage.ended() == (None, "held_elsewhere")
    assert not stage.closed


def test_a_give_back_that_is_refused_lets_the_agent_go_all_the_same() -> None:
    stage = at(State.RINGING)
    stage.relay()
    stage.take_away()
    stage.agent_rejects(FIRST, 603)
    stage.write()
    assert [type(write) for write in stage.line] == [wr.FreeAgent]
    stage.settle()
    stage.check_ended()


def test_an_agent_freed_by_somebody_else_is_free() -> None:
    stage = at(State.CONNECTED)
    stage.write()
    stage.agent_ends(FIRST, By.THEM)
    stage.time_out(ef.Timer.RELEASE)
    stage.take_away()
    assert stage.ended() == (None, "agent_hung_up")


def test_a_ticket_that_goes_by_our_own_close_is_not_lost() -> None:
    stage = at(State.QUEUED)
    stage.caller_ends(By.THEM)
    stage.deliver(ev.TicketLost())
    assert stage.ended() == (Outcome.ABANDONED, "caller_hung_up")


def test_a_ticket_lost_while_the_legs_end_leaves_the_record_to_the_other() -> None:
    stage = at(State.CONNECTED)
    stage.agent_ends(FIRST, By.THEM)
    stage.take_away()
    stage.deliver(ev.TicketLost())
    assert stage.ended() == (None, "agent_hung_up")
    assert not stage.closed


def test_an_agent_reserved_for_a_caller_who_has_just_left_is_freed_with_the_close() -> None:
    stage = at(State.QUEUED)
    call = stage.call
    leaving, _ = step(call, ev.CallerEnded(by=By.THEM), NOW)
    assert leaving.is_close_asked
    late, effects = step(leaving, ev.Reserved(decision=decision()), NOW)
    assert (late.is_agent_held, effects) == (False, ())


def test_an_agent_reserved_while_a_goodbye_is_under_way_is_freed_in_time() -> None:
    stage = at(State.QUEUED)
    stage.deliver(ev.MediaLost())
    assert stage.caller is Leg.BYE_SENT
    stage.has_offer = True
    stage.deliver(ev.Reserved(decision=decision()))
    stage.time_out(ef.Timer.RELEASE)
    stage.settle()
    stage.check_ended()
    assert [freed.part for freed in stage.freed] == [WITHDRAWN]


def test_a_call_whose_store_is_away_goes_on_and_is_written_down_afterwards() -> None:
    stage = at(State.JOINING)
    stage.relay()
    stage.caller_accepts()
    assert stage.is_in(State.CONNECTED)
    stage.caller_ends(By.THEM)
    stage.agent_ends(FIRST, By.US)
    assert stage.is_in(State.ENDING)
    assert [type(write) for write in stage.line] == [wr.MarkConnected, wr.Close]
    assert stage.ended() == (Outcome.ANSWERED, "caller_hung_up")


def test_the_end_is_stamped_when_it_happened_not_when_it_was_written() -> None:
    stage = at(State.QUEUED)
    leaving, _ = step(stage.call, ev.Stop(), NOW)
    _, effects = step(leaving, ev.CallerEnded(by=By.US), later(30))
    (close,) = (e.write for e in effects if isinstance(e, ef.Store))
    assert isinstance(close, wr.Close)
    assert close.at == NOW
