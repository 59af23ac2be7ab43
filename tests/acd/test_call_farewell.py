"""The call machine: who hangs up into a line that was dead, and who says goodbye in peace."""

from __future__ import annotations

import pytest

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_writes as wr
from edge.acd.call import State
from edge.acd.call_events import By, Side
from edge.acd.call_farewell import UNHEARD_MS
from state.model import Outcome
from tests.acd.stage import Leg, Stage
from tests.acd.states import FIRST, at

UNHEARD_S = UNHEARD_MS / 1000
ASKED = [ef.AskLastHeard(), ef.CloseMedia()]
SIDES = pytest.mark.parametrize("gone", Side)
UNANSWERED = pytest.mark.parametrize("by", [By.FAULT, By.UNHEARD])
AS_BEFORE = {
    Side.AGENT: (Outcome.ANSWERED, "caller_hung_up"),
    Side.CALLER: (Outcome.LOST, "caller_unreachable"),
}
"""What is said of a goodbye that the other does not answer, as long as no more is known."""


def _talk(*, held: bool = False) -> Stage:
    stage = at(State.CONNECTED)
    stage.settle()
    if held:
        stage.offers(Side.AGENT, holds=True)
        stage.settle()
        assert stage.call.hold.since is not None
    stage.later(60.0)
    return stage


def _hung_up_on(gone: Side, *, heard_ago_s: float, held: bool = False) -> Stage:
    """Let two talk, and the other hang up when somebody was heard last so long ago."""
    stage = _talk(held=held)
    stage.heard(gone, ago_s=heard_ago_s)
    _says_goodbye(stage, gone)
    return stage


def _says_goodbye(stage: Stage, gone: Side) -> None:
    """Let the other one hang up."""
    _ends(stage, Side.CALLER if gone is Side.AGENT else Side.AGENT, By.THEM)


def _ends(stage: Stage, side: Side, by: By) -> None:
    if side is Side.AGENT:
        stage.agent_ends(FIRST, by)
    else:
        stage.caller_ends(by)


@SIDES
def test_who_hangs_up_into_a_dead_line_was_cut_off(gone: Side) -> None:
    stage = _hung_up_on(gone, heard_ago_s=UNHEARD_S)
    stage.time_out(ef.Timer.RELEASE)
    stage.relay()
    stage.write()
    # The agent is free; what the record says hangs on whether our goodbye is answered.
    assert not stage.has_offer
    assert not stage.closed
    assert not stage.line
    stage.later(3.0)
    _ends(stage, gone, By.UNHEARD)
    assert stage.ended() == (Outcome.LOST, f"{gone}_unheard")


@SIDES
def test_of_whom_not_even_a_proxy_answers_may_have_said_goodbye_before(gone: Side) -> None:
    """Their site is dead: their own goodbye met nobody either."""
    stage = _hung_up_on(gone, heard_ago_s=30.0)
    stage.time_out(ef.Timer.RELEASE)
    stage.relay()
    stage.later(3.0)
    _ends(stage, gone, By.FAULT)
    assert stage.ended() == AS_BEFORE[gone]


@SIDES
def test_whose_telephone_is_known_at_once_to_be_gone_is_asked_about_at_once(gone: Side) -> None:
    stage = _hung_up_on(gone, heard_ago_s=10.0)
    _ends(stage, gone, By.UNHEARD)
    assert list(stage.media) == ASKED
    assert not stage.line
    assert stage.ended() == (Outcome.LOST, f"{gone}_unheard")


@SIDES
def test_who_was_silent_and_answers_our_goodbye_was_there(gone: Side) -> None:
    stage = _hung_up_on(gone, heard_ago_s=30.0)
    stage.time_out(ef.Timer.RELEASE)
    stage.relay()
    stage.later(3.0)
    _ends(stage, gone, By.US)
    assert stage.ended()[0] is Outcome.ANSWERED


@UNANSWERED
@SIDES
def test_a_line_that_died_after_the_goodbye_changes_nothing(gone: Side, by: By) -> None:
    stage = _hung_up_on(gone, heard_ago_s=UNHEARD_S - 0.001)
    stage.later(8.0)
    stage.time_out(ef.Timer.RELEASE)
    stage.relay()
    _ends(stage, gone, by)
    assert stage.ended() == AS_BEFORE[gone]


@pytest.mark.parametrize("relay_works", [True, False])
@UNANSWERED
@SIDES
def test_of_whom_the_relay_knows_nothing_all_stays_as_it_was(
    gone: Side, by: By, *, relay_works: bool
) -> None:
    """It has had nothing of them, their own word lets them be silent, or it does not answer."""
    stage = _talk()
    other = Side.CALLER if gone is Side.AGENT else Side.AGENT
    stage.heard(other, ago_s=30.0)
    _says_goodbye(stage, gone)
    _ends(stage, gone, by)
    stage.relay(works=relay_works)
    assert stage.ended() == AS_BEFORE[gone]


@SIDES
def test_on_hold_everybody_is_silent_by_right(gone: Side) -> None:
    stage = _hung_up_on(gone, heard_ago_s=30.0, held=True)
    assert list(stage.media) == [ef.CloseMedia()]
    _ends(stage, gone, By.FAULT)
    assert stage.ended() == AS_BEFORE[gone]


@SIDES
def test_a_usual_goodbye_costs_the_relay_one_command_and_the_store_one_write(gone: Side) -> None:
    stage = _hung_up_on(gone, heard_ago_s=0.0)
    assert not stage.media
    assert not stage.line
    _ends(stage, gone, By.US)
    assert list(stage.media) == [ef.CloseMedia()]
    assert [type(each) for each in stage.line] == [wr.Close]
    assert stage.ended()[0] is Outcome.ANSWERED


@SIDES
def test_a_goodbye_of_both_ended_the_talk(gone: Side) -> None:
    stage = _hung_up_on(gone, heard_ago_s=30.0)
    _ends(stage, gone, By.BOTH)
    assert stage.ended()[0] is Outcome.ANSWERED


def test_a_relay_that_answers_late_keeps_the_record_waiting_and_not_the_agent() -> None:
    stage = _talk()
    stage.heard(Side.AGENT, ago_s=30.0)
    stage.caller_ends(By.THEM)
    stage.agent_ends(FIRST, By.UNHEARD)
    stage.time_out(ef.Timer.RELEASE)
    assert [type(each) for each in stage.line] == [wr.FreeAgent]
    stage.write()
    assert list(stage.media) == ASKED
    assert stage.ended() == (Outcome.LOST, "agent_unheard")


def test_another_end_is_not_looked_into() -> None:
    for event in (ev.MediaLost(), ev.Stop(), ev.CallerSilent(attempt=FIRST)):
        stage = _talk()
        stage.heard(Side.AGENT, ago_s=30.0)
        stage.deliver(event)
        assert list(stage.media) == [ef.CloseMedia()]
        assert stage.agents[FIRST] is Leg.BYE_SENT
        stage.agent_ends(FIRST, By.FAULT)
        assert stage.ended()[0] is Outcome.LOST
        assert stage.outcome[1] != "agent_unheard"
