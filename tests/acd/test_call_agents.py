"""The call machine: agents who end a call, are lost, or do not take it."""

from __future__ import annotations

import pytest

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_writes as wr
from edge.acd.call import State
from edge.acd.call_events import Attempt, By, Side
from edge.acd.call_state import step
from edge.acd.ending import Holds
from state.model import Outcome, WorkEnd
from tests.acd.stage import SDP, Leg, Stage
from tests.acd.states import FIRST, SECOND, at
from tests.acd.worlds import NOW

# ---- the agent ends it ---------------------------------------------------------------------------


def test_a_call_that_the_agent_ended_is_answered() -> None:
    stage = at(State.CONNECTED)
    stage.agent_ends(FIRST, By.THEM)
    assert stage.ended() == (Outcome.ANSWERED, "agent_hung_up")
    assert stage.freed[0].part.end is WorkEnd.TALKED


def test_a_caller_whom_the_agents_goodbye_does_not_reach_is_lost() -> None:
    stage = at(State.CONNECTED)
    stage.agent_ends(FIRST, By.THEM)
    stage.caller_ends(By.FAULT)
    assert stage.ended() == (Outcome.LOST, "caller_unreachable")


def test_the_agent_is_let_go_before_an_unreachable_caller_is_given_up() -> None:
    stage = at(State.CONNECTED)
    stage.agent_ends(FIRST, By.THEM)
    stage.line.clear()
    stage.time_out(ef.Timer.RELEASE)
    assert [type(write) for write in stage.line] == [wr.FreeAgent]


def _lost(stage: Stage, *, how: str) -> None:
    if how == "leg failed":
        stage.agent_ends(FIRST, By.FAULT)
    else:
        stage.deliver(ev.AgentSilent(attempt=FIRST))
        assert stage.agents[FIRST] is Leg.BYE_SENT
    stage.settle()


LOST = pytest.mark.parametrize("how", ["leg failed", "silent"])


@LOST
def test_a_caller_whose_agent_is_lost_waits_again_and_another_agent_takes_the_call(
    how: str,
) -> None:
    stage = at(State.CONNECTED)
    _lost(stage, how=how)
    assert stage.is_in(State.QUEUED)
    assert stage.call.is_waiting
    assert stage.freed[0].part.end is WorkEnd.TALKED
    stage.bring_to(State.CONNECTED)
    stage.end()
    assert stage.ended() == (Outcome.ANSWERED, "caller_hung_up")


@LOST
def test_a_caller_whose_agent_is_lost_and_who_gives_up_waiting_was_lost(how: str) -> None:
    stage = at(State.CONNECTED)
    _lost(stage, how=how)
    stage.end()
    assert stage.ended() == (Outcome.LOST, "agent_lost")


def test_a_caller_whose_agent_is_lost_while_they_hold_is_held_by_nobody_any_more() -> None:
    stage = at(State.CONNECTED)
    stage.settle()
    stage.offers(Side.AGENT, holds=True)
    stage.relay()
    stage.later(5.0)
    _lost(stage, how="silent")
    assert stage.call.is_waiting
    (given,) = stage.freed
    assert isinstance(given, wr.GiveBack)
    assert given.talk == Holds(count=1, total_s=5.0, wrap_up_s=5.0)
    stage.bring_to(State.CONNECTED)
    assert stage.call.hold.since is None
    stage.end()
    stage.check_ended()
    assert stage.outcome == (Outcome.ANSWERED, "caller_hung_up")


def test_an_agent_who_holds_a_caller_who_is_gone_is_free_and_the_hold_counts() -> None:
    stage = at(State.CONNECTED)
    stage.settle()
    stage.offers(Side.AGENT, holds=True)
    stage.relay()
    stage.later(5.0)
    stage.deliver(ev.CallerSilent(attempt=FIRST))
    assert ef.CloseMedia() in stage.log
    stage.agent_ends(FIRST, By.US)
    stage.settle()
    assert stage.outcome == (Outcome.LOST, "caller_silent")
    assert stage.closed[0].talk == Holds(count=1, total_s=5.0, wrap_up_s=5.0)


def test_a_talk_of_which_both_are_gone_is_lost_and_nobody_waits_or_is_kept() -> None:
    stage = at(State.CONNECTED)
    stage.settle()
    stage.deliver(ev.AgentSilent(attempt=FIRST, is_caller_silent=True))
    assert stage.agents[FIRST] is Leg.BYE_SENT
    assert ef.CloseMedia() in stage.log
    assert not stage.call.is_waiting
    # The agent's telephone will not answer the BYE: it is not waited for.
    assert [type(write) for write in stage.line] == [wr.FreeAgent]
    stage.write()
    assert stage.freed[0].part.end is WorkEnd.TALKED
    stage.agent_ends(FIRST, By.FAULT)
    stage.caller_ends(By.FAULT)
    assert stage.ended() == (Outcome.LOST, "both_silent")


def _both_silent() -> Stage:
    stage = at(State.CONNECTED)
    stage.settle()
    stage.deliver(ev.AgentSilent(attempt=FIRST, is_caller_silent=True))
    stage.write()
    return stage


def test_a_goodbye_of_the_caller_that_comes_after_all_was_one_that_ended_the_talk() -> None:
    stage = _both_silent()
    stage.caller_ends(By.BOTH)
    stage.agent_ends(FIRST, By.BOTH)
    assert stage.ended() == (Outcome.ANSWERED, "caller_hung_up")


@pytest.mark.parametrize(
    ("caller", "outcome"),
    [
        (By.US, (Outcome.ANSWERED, "agent_hung_up")),
        (By.BOTH, (Outcome.ANSWERED, "agent_hung_up")),
        (By.FAULT, (Outcome.LOST, "caller_unreachable")),
        (By.UNHEARD, (Outcome.LOST, "caller_unreachable")),
    ],
)
def test_a_goodbye_of_the_agent_that_comes_after_all_counts_if_the_caller_hears_ours(
    caller: By, outcome: tuple[Outcome, str]
) -> None:
    stage = _both_silent()
    stage.agent_ends(FIRST, By.BOTH)
    stage.caller_ends(caller)
    assert stage.ended() == outcome


def test_a_talk_of_which_nobody_has_said_goodbye_stays_lost() -> None:
    stage = _both_silent()
    stage.agent_ends(FIRST, By.US)
    stage.caller_ends(By.US)
    assert stage.ended() == (Outcome.LOST, "both_silent")


def test_a_late_goodbye_of_an_agent_before_tells_nothing_of_the_two_who_talked_last() -> None:
    stage = at(State.CONNECTED)
    stage.deliver(ev.AgentSilent(attempt=FIRST))
    stage.bring_to(State.CONNECTED)
    assert stage.agents[FIRST] is Leg.BYE_SENT
    stage.deliver(ev.AgentSilent(attempt=SECOND, is_caller_silent=True))
    stage.write()
    stage.agent_ends(FIRST, By.BOTH)
    stage.agent_ends(SECOND, By.US)
    stage.caller_ends(By.US)
    assert stage.ended() == (Outcome.LOST, "both_silent")


def test_a_goodbye_that_crosses_ours_changes_nothing_where_we_know_how_it_ended() -> None:
    stage = at(State.CONNECTED)
    stage.deliver(ev.MediaLost(cause="media_lost"))
    stage.caller_ends(By.BOTH)
    stage.agent_ends(FIRST, By.BOTH)
    assert stage.ended() == (Outcome.LOST, "media_lost")


def test_an_agent_who_is_silent_is_no_news_unless_they_talk() -> None:
    for state in (State.QUEUED, State.RINGING, State.JOINING):
        stage = at(state)
        assert stage.deliver(ev.AgentSilent(attempt=FIRST)) == ()
    stage = at(State.CONNECTED)
    assert stage.deliver(ev.AgentSilent(attempt=Attempt(7))) == ()
    assert stage.deliver(ev.AgentSilent(attempt=Attempt(7), is_caller_silent=True)) == ()


def test_a_dead_telephone_does_not_keep_the_agent_in_the_call() -> None:
    stage = at(State.CONNECTED)
    stage.settle()
    stage.caller_ends(By.THEM)
    assert not stage.line
    stage.time_out(ef.Timer.RELEASE)
    assert [type(write) for write in stage.line] == [wr.FreeAgent]
    stage.write()
    assert stage.media.popleft() == ef.AskLastHeard()
    # The record waits for the relay alone, which knows nothing of them.
    assert not stage.line
    stage.deliver(ev.LastHeard())
    stage.write()
    assert [type(write) for write in stage.closed] == [wr.Close]
    assert stage.is_in(State.ENDING)
    stage.agent_ends(FIRST, By.FAULT)
    assert stage.ended() == (Outcome.ANSWERED, "caller_hung_up")


# ---- an agent does not take the call -------------------------------------------------------------


REFUSALS = {
    "declined": ((603, "Decline"), WorkEnd.DECLINED, True),
    "busy telephone": ((486, "Busy Here"), WorkEnd.DECLINED, True),
    "no codec": ((488, "Not Acceptable Here"), WorkEnd.DECLINED, True),
    "not registered": ((480, "not registered"), WorkEnd.UNREACHABLE, True),
    "nobody took it": ((408, "Request Timeout"), WorkEnd.UNREACHABLE, True),
    "failure on the way": ((500, "Server Internal Error"), WorkEnd.UNREACHABLE, True),
    "another 503": ((503, "Service Unavailable"), WorkEnd.UNREACHABLE, True),
    "gate: busy": ((486, "busy"), WorkEnd.WITHDRAWN, False),
    "gate: stale": ((403, "stale token"), WorkEnd.WITHDRAWN, False),
    "gate: not loaded": ((503, "gate not loaded"), WorkEnd.WITHDRAWN, False),
}


@pytest.mark.parametrize(("refusal", "end", "tried"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_puts_the_caller_back_and_says_whose_fault_it_was(
    refusal: tuple[int, str], end: WorkEnd, *, tried: bool
) -> None:
    stage = at(State.RINGING)
    stage.relay()
    stage.agent_rejects(FIRST, *refusal)
    (write,) = stage.line
    assert isinstance(write, wr.GiveBack)
    assert (write.part.end, write.tried) == (end, tried)
    rules = stage.call.rules
    assert write.part.rest_s == (rules.no_answer_pause_s if tried else rules.refused_pause_s)
    assert stage.call.is_waiting
    assert stage.timers == set()


def test_an_agent_who_lets_it_ring_is_given_up_and_the_next_one_can_be_rung_at_once() -> None:
    stage = at(State.RINGING)
    stage.relay()
    stage.time_out(ef.Timer.RING)
    assert stage.agents == {FIRST: Leg.CANCELLED}
    stage.write()
    assert stage.freed[0].part.end is WorkEnd.NO_ANSWER
    stage.want_agent()
    stage.write(agent="bob")
    stage.relay()
    assert stage.agents == {FIRST: Leg.CANCELLED, SECOND: Leg.RINGING}
    assert stage.call.agent == "bob"


def test_a_late_answer_of_the_one_given_up_does_not_disturb_the_next() -> None:
    stage = at(State.RINGING)
    stage.relay()
    stage.time_out(ef.Timer.RING)
    stage.write()
    stage.want_agent()
    stage.write(agent="bob")
    stage.relay()
    stage.agent_answers(FIRST)
    assert stage.agents == {FIRST: Leg.BYE_SENT, SECOND: Leg.RINGING}
    stage.agent_answers(SECOND)
    stage.agent_ends(FIRST, By.US)
    assert stage.is_in(State.JOINING)
    stage.bring_to(State.CONNECTED)
    stage.end()
    assert stage.ended()[0] is Outcome.ANSWERED


def test_a_ring_timer_that_runs_out_before_the_telephone_rings_means_nothing() -> None:
    stage = at(State.RINGING)
    assert stage.deliver(ev.RingTimeout()) == ()


def test_an_agents_leg_that_fails_while_ringing_puts_the_caller_back() -> None:
    stage = at(State.RINGING)
    stage.relay()
    stage.agent_ends(FIRST, By.FAULT)
    assert stage.call.is_waiting
    assert stage.timers == set()


@pytest.mark.parametrize(
    ("by", "end"), [(By.THEM, WorkEnd.DECLINED), (By.FAULT, WorkEnd.UNREACHABLE)]
)
def test_an_agent_who_leaves_before_the_two_have_talked_puts_the_caller_back(
    by: By, end: WorkEnd
) -> None:
    stage = at(State.JOINING)
    stage.agent_ends(FIRST, by)
    assert stage.is_in(State.QUEUED)
    while_music_is_being_fetched = stage.call.is_waiting
    stage.settle()
    assert (while_music_is_being_fetched, stage.call.is_waiting) == (False, True)
    (given_back,) = stage.freed
    assert isinstance(given_back, wr.GiveBack)
    assert (given_back.part.end, given_back.tried) == (end, True)
    stage.end()
    assert stage.ended() == (Outcome.ABANDONED, "caller_hung_up")


def test_an_agent_whose_telephone_cannot_be_joined_is_hung_up_and_given_up() -> None:
    stage = at(State.JOINING)
    stage.relay(works=False)
    assert stage.agents == {FIRST: Leg.BYE_SENT}
    assert ef.RequeueMedia() in stage.log
    stage.settle()
    (given_back,) = stage.freed
    assert isinstance(given_back, wr.GiveBack)
    assert (given_back.part.end, given_back.tried) == (WorkEnd.UNREACHABLE, True)
    assert stage.call.is_waiting


def test_what_the_relay_says_of_an_agent_who_has_left_is_not_told_to_the_caller() -> None:
    stage = at(State.JOINING)
    stage.agent_ends(FIRST, By.THEM)
    stage.relay()
    assert not any(isinstance(effect, ef.ReinviteCaller) for effect in stage.log)


def test_events_of_an_attempt_that_never_was_mean_nothing() -> None:
    other = Attempt(9)
    events: list[ev.Event] = [
        ev.AgentMediaReady(attempt=other, sdp=SDP),
        ev.AgentAnswered(attempt=other, sdp=SDP),
        ev.AgentRejected(attempt=other, status=486),
        ev.AgentEnded(attempt=other, by=By.THEM),
        ev.MediaJoined(attempt=other, sdp=SDP),
        ev.AgentMediaRefused(attempt=other),
    ]
    for state in (State.RINGING, State.JOINING, State.CONNECTED):
        call = at(state).call
        for event in events:
            assert step(call, event, NOW) == (call, ())


def test_an_agent_who_has_them_back_and_cannot_be_joined_anew_has_talked_and_rests() -> None:
    """They are no agent who was rung in vain: the talk before was theirs."""
    stage = at(State.CONNECTED)
    stage.settle()
    stage.target_is_free = False
    stage.passes_on()
    stage.bring_to(State.JOINING)
    stage.deliver(ev.AgentMediaRefused(attempt=stage.call.attempt))
    stage.settle()
    assert stage.is_in(State.QUEUED)
    assert stage.freed[-1].part.end is WorkEnd.TALKED
