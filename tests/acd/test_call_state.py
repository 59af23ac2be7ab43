"""The call machine: its table, the usual way, and callers who leave or are let go."""

from __future__ import annotations

from typing import get_args

import pytest

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_writes as wr
from edge.acd.call import AgentLeg, Rules, State
from edge.acd.call_events import By, Side
from edge.acd.call_state import TABLE, Ignored, start, step
from edge.acd.ending import WITHDRAWN
from edge.calls.leg_news import of_caller
from edge.sip.events import Cancelled, LegId
from state.model import AgentId, Outcome, Queue, QueueId, WorkEnd
from tests.acd.stage import SDP, Leg, Stage, decision
from tests.acd.states import ANSWERED_STATES, FIRST, WAITING, at, kinds
from tests.acd.worlds import NOW, call_id

# ---- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", State)
def test_every_event_is_defined_in_every_state(state: State) -> None:
    assert set(TABLE[state]) == set(get_args(ev.Event))


def test_whatever_is_ignored_is_ignored_for_a_stated_reason() -> None:
    cells = [cell for row in TABLE.values() for cell in row.values()]
    reasons = {cell.because for cell in cells if isinstance(cell, Ignored)}
    assert all(reasons)
    assert Ignored("the call is over") in TABLE[State.ENDED].values()


@pytest.mark.parametrize("state", [State.ARRIVING, *ANSWERED_STATES])
def test_an_ignored_event_changes_nothing(state: State) -> None:
    call = at(state).call
    for event in (ev.ReleaseTimeout(), ev.AgentProgress(attempt=FIRST, status=180)):
        assert step(call, event, NOW) == (call, ())


# ---- the usual way -------------------------------------------------------------------------------


def test_an_arriving_call_takes_its_place_before_anything_else() -> None:
    _, effects = start(call_id(1), Rules(greeting=True), SDP, NOW)
    ticket = ef.Store(write=wr.CreateTicket(greeting=True, at=NOW))
    assert effects == (ticket, ef.OpenMedia(sdp=SDP))


def test_a_greeted_caller_hears_the_greeting_then_music_and_waits() -> None:
    stage = at(State.QUEUED)
    prompts = [effect.prompt for effect in stage.log if isinstance(effect, ef.Play)]
    assert prompts == [ef.Prompt.GREETING, ef.Prompt.MUSIC]
    assert stage.log[-1] == ef.Store(write=wr.MarkQueued(at=NOW))


def test_an_agent_who_was_free_as_the_call_came_is_rung_when_the_caller_is_answered() -> None:
    stage = Stage(greeting=False)
    stage.write(at_once=True)
    assert not stage.call.is_waiting
    assert not any(isinstance(each, ef.PrepareAgent) for each in stage.log)
    stage.relay()
    assert stage.call.state is State.RINGING
    preparing = stage.log.index(ef.PrepareAgent(attempt=FIRST, agent=AgentId("ann")))
    assert preparing < stage.log.index(ef.Play(prompt=ef.Prompt.MUSIC))


def test_an_agent_who_was_free_is_let_go_of_if_the_caller_cannot_be_served() -> None:
    stage = Stage(greeting=False)
    stage.write(at_once=True)
    stage.relay(works=False)
    stage.settle()
    stage.check_ended()
    assert len(stage.freed) == 1


def test_without_a_greeting_the_caller_waits_at_once_and_no_second_write_is_needed() -> None:
    stage = at(State.QUEUED, greeting=False)
    assert ef.Play(prompt=ef.Prompt.MUSIC) in stage.log
    assert [e for e in stage.log if isinstance(e, ef.Store)] == [
        ef.Store(write=wr.CreateTicket(greeting=False, at=NOW))
    ]


def test_a_call_that_is_answered_goes_the_whole_way() -> None:
    stage = at(State.CONNECTED)
    stage.end()
    assert stage.ended() == (Outcome.ANSWERED, "caller_hung_up")
    assert kinds(tuple(stage.log)) == [
        ef.Store,
        ef.OpenMedia,
        ef.AnswerCaller,
        ef.Play,
        ef.Play,
        ef.Store,
        ef.PrepareAgent,
        ef.InviteAgent,
        ef.StartTimer,
        ef.StopTimer,
        ef.JoinMedia,
        ef.ReinviteCaller,
        ef.SettleMedia,
        ef.Store,
        ef.HangUpAgent,
        ef.StartTimer,
        ef.CloseMedia,
        ef.Store,
        ef.StopTimer,
        ef.Finished,
    ]
    (close,) = stage.closed
    assert close.part.end is WorkEnd.TALKED
    assert close.part.rest_s == Rules(greeting=True).wrap_up_s
    assert close.decision == decision()


def test_the_rules_come_from_the_queue() -> None:
    queue = Queue(id=QueueId("sales"), needs=(), ring_timeout_s=7.0, wrap_up_s=8.0)
    rules = Rules.of(queue, greeting=False)
    assert (rules.ring_timeout_s, rules.wrap_up_s, rules.greeting) == (7.0, 8.0, False)


def test_a_call_waits_for_an_agent_only_in_the_queue() -> None:
    assert [state for state in ANSWERED_STATES if at(state).call.is_waiting] == [State.QUEUED]


def test_a_call_has_an_agent_from_the_reservation_to_the_end() -> None:
    agents = [at(state).call.agent for state in (State.QUEUED, State.RINGING, State.CONNECTED)]
    assert agents == [None, "ann", "ann"]


def test_a_late_offer_is_complete_with_the_ack_and_no_agent_comes_before() -> None:
    stage = Stage(greeting=False, sdp=None)
    stage.relay()
    assert stage.is_in(State.QUEUED)
    assert not stage.call.is_waiting
    effects = stage.deliver(ev.Confirmed(side=Side.CALLER, sdp=SDP))
    # Only now do the others see a caller who waits, and keep an agent for them.
    queued = ef.Store(write=wr.MarkQueued(at=NOW))
    assert effects == (ef.SettleMedia(side=Side.CALLER, sdp=SDP), queued)
    assert stage.call.is_waiting


def test_an_ack_without_the_answer_to_our_offer_ends_the_call() -> None:
    stage = Stage(greeting=False, sdp=None)
    stage.relay()
    stage.deliver(ev.Confirmed(side=Side.CALLER))
    stage.end()
    assert stage.ended() == (Outcome.LOST, "no_session_in_ack")


def test_a_plain_ack_means_nothing() -> None:
    assert at(State.QUEUED).deliver(ev.Confirmed(side=Side.CALLER)) == ()


# ---- the caller ends it --------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.ARRIVING, *WAITING])
def test_a_caller_who_leaves_before_talking_has_abandoned(state: State) -> None:
    stage = at(state)
    stage.caller_ends(By.THEM)
    assert stage.ended() == (Outcome.ABANDONED, "caller_hung_up")
    assert stage.closed[0].part == WITHDRAWN


def test_a_caller_who_cancels_has_a_cause_of_their_own() -> None:
    stage = at(State.ARRIVING)
    told = of_caller(Cancelled(leg=LegId("theirs"), reason=""))
    assert told is not None
    stage.deliver(told)
    stage.settle()
    assert stage.outcome == (Outcome.ABANDONED, "caller_cancelled")


@pytest.mark.parametrize("state", ANSWERED_STATES)
def test_a_caller_whose_leg_fails_is_lost(state: State) -> None:
    stage = at(state)
    stage.caller_ends(By.FAULT)
    assert stage.ended() == (Outcome.LOST, "session_expired")


def test_when_the_caller_leaves_a_ringing_agent_is_cancelled() -> None:
    stage = at(State.RINGING).bring_to(State.RINGING)
    stage.relay()
    stage.caller_ends(By.THEM)
    assert stage.agents == {FIRST: Leg.CANCELLED}
    assert stage.closed == []


def test_when_the_caller_leaves_before_the_agent_is_rung_nobody_is_rung() -> None:
    stage = at(State.RINGING)
    assert stage.call.agent_leg is AgentLeg.PREPARING
    stage.caller_ends(By.THEM)
    stage.settle()
    stage.check_ended()
    assert stage.agents == {}
    assert stage.freed[0].part == WITHDRAWN


def test_an_answer_that_crosses_the_callers_goodbye_is_hung_up_without_penalty() -> None:
    stage = at(State.RINGING)
    stage.relay()
    stage.caller_ends(By.THEM)
    stage.agent_answers(FIRST)
    assert stage.agents == {FIRST: Leg.BYE_SENT}
    assert stage.ended() == (Outcome.ABANDONED, "caller_hung_up")
    assert [freed.part for freed in stage.freed] == [WITHDRAWN]


def test_a_goodbye_that_crosses_ours_is_as_good() -> None:
    stage = at(State.CONNECTED)
    stage.agent_ends(FIRST, By.THEM)
    assert stage.caller is Leg.BYE_SENT
    stage.caller_ends(By.THEM)
    assert stage.ended() == (Outcome.ANSWERED, "agent_hung_up")


# ---- a queue that gives up -----------------------------------------------------------------------


AWAY = ev.TurnedAway(outcome=Outcome.CALLBACK, cause="waited_too_long")


def test_who_has_waited_for_too_long_is_let_go_with_the_outcome_that_the_queue_names() -> None:
    stage = Stage().bring_to(State.QUEUED)
    effects = stage.deliver(AWAY)
    assert ef.HangUpCaller(reason="waited_too_long") in effects
    stage.end()
    assert stage.ended() == (Outcome.CALLBACK, "waited_too_long")


@pytest.mark.parametrize("state", [State.RINGING, State.JOINING, State.CONNECTED])
def test_who_has_an_agent_is_not_sent_away(state: State) -> None:
    stage = Stage().bring_to(state)
    assert stage.deliver(AWAY) == ()
    assert stage.call.state is state


def test_an_agent_reserved_just_as_the_caller_is_sent_away_is_freed() -> None:
    stage = Stage().bring_to(State.QUEUED)
    stage.settle()
    stage.has_offer = True
    stage.deliver(AWAY)
    stage.deliver(ev.Reserved(decision=decision()))
    stage.end()
    assert [type(each) for each in stage.freed] == [wr.Close]
    stage.check_ended()
