"""The call machine: a caller whom a fault has left in silence and who leaves was cut off."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd import call_effects as fx
from edge.acd import call_events as ev
from edge.acd.call import WITH_MEDIA, CallerLeg, Rules, State
from edge.acd.call_events import Attempt, By, Side
from edge.acd.call_joining import TALK_AFTER_S
from edge.acd.call_resume import SILENCE_S, Passing, is_silent, resumed
from edge.acd.call_state import step
from state.model import Outcome
from tests.acd.stage import SDP, Stage, decision
from tests.acd.states import FIRST
from tests.acd.worlds import NOW, call_id

LOST = (Outcome.LOST, "media_lost")


def _silenced(state: State) -> Stage:
    stage = Stage().bring_to(state)
    stage.call = replace(stage.call, hears_nothing=True)
    return stage


@pytest.mark.parametrize("state", [State.GREETING, State.QUEUED, State.RINGING])
def test_who_leaves_while_they_hear_nothing_is_lost(state: State) -> None:
    stage = _silenced(state)
    stage.caller_ends(By.THEM)
    stage.end()
    assert stage.ended() == LOST


@pytest.mark.parametrize("by_agent", [True, False])
def test_who_was_joined_and_not_told_of_it_has_not_talked(*, by_agent: bool) -> None:
    """The re-INVITE is needed: the relay's old ports are no more."""
    stage = _silenced(State.JOINING)
    while stage.media:
        stage.relay()
    assert stage.call.is_joined
    stage.later(TALK_AFTER_S * 8)
    if by_agent:
        stage.agent_ends(FIRST, By.THEM)
        assert stage.call.state is State.QUEUED
        assert not stage.call.has_talked
    stage.caller_ends(By.THEM)
    stage.end()
    assert stage.outcome == LOST


def test_who_has_taken_our_offer_hears_the_agent_and_ends_the_call() -> None:
    stage = _silenced(State.RINGING).bring_to(State.CONNECTED)
    stage.caller_ends(By.THEM)
    stage.end()
    assert stage.outcome == (Outcome.ANSWERED, "caller_hung_up")


def test_who_has_made_an_offer_themselves_hears_the_music_once_the_relay_has_answered() -> None:
    stage = _silenced(State.QUEUED)
    stage.offers(Side.CALLER, SDP)
    assert stage.call.hears_nothing
    while stage.media:
        stage.relay()
    stage.caller_ends(By.THEM)
    stage.end()
    assert stage.outcome == (Outcome.ABANDONED, "caller_hung_up")


def test_who_asked_for_our_offer_hears_the_music_once_they_have_answered_it() -> None:
    """A re-INVITE without a session description: our 200 is an offer, and their ACK the answer."""
    for has_answered, outcome in ((False, LOST), (True, (Outcome.ABANDONED, "caller_hung_up"))):
        stage = _silenced(State.QUEUED)
        stage.offers(Side.CALLER, None)
        while stage.media:
            stage.relay()
        assert stage.call.hears_nothing
        if has_answered:
            stage.deliver(ev.CallerReinvited(sdp=SDP, was_asked=True))
        stage.caller_ends(By.THEM)
        stage.end()
        assert stage.outcome == outcome


NOBODY_TELLS_THE_CALLER: list[Any] = [
    ev.GreetingOver(),
    ev.Reserved(decision=decision()),
    ev.RingTimeout(),
    ev.MediaRequeued(sdp=SDP),
    ev.TargetRefused(status=503),
    ev.Renegotiated(side=Side.AGENT, sdp=SDP),
    ev.OfferMade(side=Side.CALLER, sdp=None),
    ev.Renegotiated(side=Side.CALLER, sdp=SDP, is_offer=True),
    ev.OfferMade(side=Side.AGENT, sdp=SDP),
    *(
        event
        for attempt in (Attempt(1), Attempt(2), Attempt(3))
        for event in (
            ev.AgentMediaReady(attempt=attempt, sdp=SDP),
            ev.AgentAnswered(attempt=attempt, sdp=SDP),
            ev.AgentRejected(attempt=attempt, status=486, reason=""),
            ev.AgentReinvited(attempt=attempt, sdp=SDP),
            ev.AgentSilent(attempt=attempt),
            ev.MediaJoined(attempt=attempt, sdp=SDP),
            ev.AgentEnded(attempt=attempt, by=By.THEM),
        )
    ),
]


@given(
    state=st.sampled_from(sorted(WITH_MEDIA)),
    is_passed_on=st.booleans(),
    is_left=st.booleans(),
    events=st.lists(st.tuples(st.sampled_from(NOBODY_TELLS_THE_CALLER), st.floats(0, 9))),
)
def test_whatever_happens_before_they_are_told_of_new_media_their_goodbye_ends_nothing(
    *, state: State, is_passed_on: bool, is_left: bool, events: list[tuple[ev.Event, float]]
) -> None:
    call, first = resumed(
        call_id(1),
        Rules(greeting=True),
        state,
        attempt=FIRST,
        decision=decision(),
        passing=Passing(is_passed_on=is_passed_on),
        has_media=state is State.GREETING and is_left,
        offered_anew=SDP if state is State.GREETING and is_left else None,
    )
    now = NOW
    for event in first:
        call, _ = step(call, event, now)
    for event, seconds in events:
        now = replace(now, mono_s=now.mono_s + seconds)
        call, _ = step(call, event, now)
    if call.caller is CallerLeg.UP:
        call, _ = step(call, ev.CallerEnded(by=By.THEM), now)
    assert call.verdict is not None
    assert (call.verdict.outcome, call.verdict.cause) == LOST


@pytest.mark.parametrize(
    ("state", "over_for_s", "is_so"),
    [
        (State.GREETING, SILENCE_S + 0.001, True),
        (State.GREETING, SILENCE_S, False),
        (State.GREETING, -2.0, False),
        (State.GREETING, None, False),
        (State.QUEUED, 9.0, False),
        (State.CONNECTED, 9.0, False),
    ],
)
def test_only_a_greeting_that_is_over_leaves_its_caller_in_silence(
    state: State, over_for_s: float | None, *, is_so: bool
) -> None:
    until_ms = None if over_for_s is None else NOW.wall_ms - round(over_for_s * 1000)
    assert is_silent(state, until_ms, NOW) is is_so


def test_whom_a_greeting_left_in_silence_hears_the_music_once_they_say_so() -> None:
    call, first = resumed(call_id(1), Rules(greeting=True), State.GREETING, offered_anew=SDP)
    asked: list[fx.Effect] = []
    for event in first:
        call, effects = step(call, event, NOW)
        asked += effects
    assert fx.Play(prompt=fx.Prompt.MUSIC) in asked
    assert fx.ReinviteCaller(sdp=SDP) in asked
    assert call.hears_nothing
    call, _ = step(call, ev.CallerReinvited(sdp=SDP), NOW)
    assert call.is_waiting
    call, _ = step(call, ev.CallerEnded(by=By.THEM), NOW)
    assert call.verdict is not None
    assert (call.verdict.outcome, call.verdict.cause) == (Outcome.ABANDONED, "caller_hung_up")
