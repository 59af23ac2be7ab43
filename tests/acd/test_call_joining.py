"""The call machine: ends of a call whose caller's re-INVITE has no answer, though the two talk."""

from __future__ import annotations

import pytest

from edge.acd import call_events as ev
from edge.acd import call_writes as wr
from edge.acd.call import State
from edge.acd.call_events import By, Side
from edge.acd.call_joining import TALK_AFTER_S
from edge.acd.ending import Holds
from state.model import Outcome, WorkEnd
from tests.acd.stage import Stage
from tests.acd.states import FIRST
from tests.acd.worlds import NOW

SOONER_S = TALK_AFTER_S - 0.1


def _joined(seconds: float) -> Stage:
    """Return a call that the relay joined so long ago, and whose re-INVITE nobody has answered."""
    stage = Stage().bring_to(State.JOINING)
    while stage.media:
        stage.relay()
    assert stage.call.is_joined
    stage.later(seconds)
    return stage


def _writes(stage: Stage) -> list[wr.Write]:
    return [each.write for each in stage.log if hasattr(each, "write")]


def test_a_caller_who_hangs_up_after_a_talk_was_answered_whatever_became_of_the_reinvite() -> None:
    stage = _joined(4.0)
    stage.caller_ends(By.THEM)
    stage.end()
    assert stage.ended() == (Outcome.ANSWERED, "caller_hung_up")
    (close,) = stage.closed
    assert close.part.end is WorkEnd.TALKED
    (connected,) = (each for each in _writes(stage) if isinstance(each, wr.MarkConnected))
    assert connected.at == NOW


def test_an_agent_who_hangs_up_after_a_talk_has_answered() -> None:
    stage = _joined(7.0)
    stage.agent_ends(FIRST, By.THEM)
    stage.end()
    assert stage.ended() == (Outcome.ANSWERED, "agent_hung_up")


@pytest.mark.parametrize(
    ("heard_ago_s", "end"),
    [
        pytest.param(3.1, (Outcome.LOST, "caller_unheard"), id="not-since-they-were-joined"),
        pytest.param(2.0, (Outcome.LOST, "caller_unheard"), id="not-since-as-the-relay-tells-it"),
        pytest.param(1.9, (Outcome.ANSWERED, "agent_hung_up"), id="for-a-second"),
        pytest.param(0.0, (Outcome.ANSWERED, "agent_hung_up"), id="until-the-end"),
    ],
)
@pytest.mark.parametrize("by", [By.US, By.BOTH])
def test_an_agent_who_has_heard_nobody_has_met_nobody_though_a_telephone_answers_our_goodbye(
    heard_ago_s: float, by: By, end: tuple[Outcome, str]
) -> None:
    """The trunk is cut: whether the caller had left before nobody knows."""
    stage = _joined(3.0)
    stage.heard(Side.CALLER, ago_s=heard_ago_s)
    stage.agent_ends(FIRST, By.THEM)
    stage.relay()
    stage.later(3.5)
    stage.caller_ends(by)
    assert stage.ended() == end


def test_a_caller_whose_agent_is_lost_after_a_talk_waits_again_as_one_who_has_talked() -> None:
    stage = _joined(7.0)
    stage.agent_ends(FIRST, By.FAULT)
    assert stage.call.state is State.QUEUED
    assert stage.call.has_talked
    stage.end()
    stage.check_ended()


@pytest.mark.parametrize("seconds", [0.0, SOONER_S])
def test_a_caller_who_hangs_up_at_once_has_not_talked(seconds: float) -> None:
    stage = _joined(seconds)
    stage.caller_ends(By.THEM)
    stage.end()
    assert stage.outcome == (Outcome.ABANDONED, "caller_hung_up")


def test_an_agent_who_hangs_up_at_once_has_declined() -> None:
    stage = _joined(SOONER_S)
    stage.agent_ends(FIRST, By.THEM)
    assert stage.call.state is State.QUEUED
    assert not stage.call.has_talked


def test_an_agent_who_answers_later_has_not_talked_for_as_long_as_one_before() -> None:
    stage = _joined(SOONER_S)
    stage.agent_ends(FIRST, By.THEM)
    stage.later(60.0)
    stage.bring_to(State.JOINING)
    while stage.media:
        stage.relay()
    stage.caller_ends(By.THEM)
    stage.end()
    assert stage.outcome == (Outcome.ABANDONED, "caller_hung_up")


ENDS = {
    "the edge stops": ev.Stop(),
    "the relay has gone": ev.MediaLost(),
    "the place is another's": ev.TicketLost(),
    "the re-INVITE has run out": ev.CallerReinviteRefused(status=408),
}


@pytest.mark.parametrize("event", ENDS.values(), ids=ENDS)
def test_who_has_talked_rests_as_after_a_talk_whatever_ends_it(event: ev.Event) -> None:
    stage = _joined(31.0)
    stage.deliver(event)
    stage.end()
    stage.check_ended()
    (close,) = stage.closed
    assert close.outcome is Outcome.LOST
    assert (close.part.end, close.talk) == (WorkEnd.TALKED, Holds(wrap_up_s=5.0))
    (connected,) = (each for each in _writes(stage) if isinstance(each, wr.MarkConnected))
    assert connected.at == NOW


@pytest.mark.parametrize("event", ENDS.values(), ids=ENDS)
def test_who_has_not_been_joined_for_long_when_it_ends_has_not_talked(event: ev.Event) -> None:
    stage = _joined(SOONER_S)
    stage.deliver(event)
    stage.end()
    (close,) = stage.closed
    assert (close.part.end, close.talk) == (WorkEnd.WITHDRAWN, None)
