"""The call machine: holds, and offers of sessions that cross."""

from __future__ import annotations

import pytest

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd.call import State
from edge.acd.call_events import Attempt, By, Side
from edge.acd.call_state import step
from edge.acd.ending import WITHDRAWN
from state.model import Outcome
from tests.acd.stage import SDP, Leg, Stage
from tests.acd.states import FIRST, WAITING, at, kinds
from tests.acd.worlds import NOW


@pytest.mark.parametrize("state", [*WAITING[:3], State.CONNECTED])
@pytest.mark.parametrize("works", [True, False], ids=["held", "refused"])
def test_a_hold_by_the_caller_is_answered_by_the_relay(state: State, *, works: bool) -> None:
    stage = at(state)
    while stage.media:
        stage.relay()
    stage.offers(Side.CALLER)
    stage.relay(works=works)
    reply = ef.AnswerOffer(side=Side.CALLER, sdp=SDP)
    assert stage.log[-1] == (reply if works else ef.RefuseOffer(side=Side.CALLER, status=488))
    assert stage.offer_open is None
    stage.end()
    stage.check_ended()


def test_an_earlier_agents_leg_that_ends_leaves_the_offer_of_the_present_one_open() -> None:
    stage = Stage(greeting=False).bring_to(State.RINGING)
    while Attempt(1) not in stage.agents:
        stage.usual_step()
    stage.time_out(ef.Timer.RING)
    stage.bring_to(State.JOINING)
    stage.offers(Side.AGENT)
    stage.agent_ends(Attempt(1), By.US)
    stage.settle()
    assert not stage.agent_offer_open
    assert sum(isinstance(each, ef.AnswerOffer) for each in stage.log) == 1


@pytest.mark.parametrize("works", [True, False], ids=["held", "refused"])
def test_a_hold_by_the_agent_is_answered_by_the_relay(*, works: bool) -> None:
    stage = at(State.CONNECTED)
    while stage.media:
        stage.relay()
    stage.offers(Side.AGENT, None)
    stage.relay(works=works)
    reply = ef.AnswerOffer(side=Side.AGENT, sdp=SDP)
    assert stage.log[-1] == (reply if works else ef.RefuseOffer(side=Side.AGENT, status=488))
    if works:
        effects = stage.deliver(ev.Confirmed(side=Side.AGENT, sdp=SDP))
        assert effects == (ef.SettleMedia(side=Side.AGENT, sdp=SDP),)


def test_what_an_agent_offers_who_is_not_in_the_call_is_left_to_the_stack() -> None:
    stage = at(State.QUEUED)
    for event in (
        ev.OfferMade(side=Side.AGENT, sdp=SDP),
        ev.Renegotiated(side=Side.AGENT, sdp=SDP),
        ev.RenegotiationFailed(side=Side.AGENT),
        ev.Confirmed(side=Side.AGENT, sdp=SDP),
    ):
        assert step(stage.call, event, NOW) == (stage.call, ())


def test_two_offers_that_cross_are_told_so() -> None:
    stage = at(State.JOINING)
    stage.relay()
    assert stage.offer_open is Side.AGENT
    stage.deliver(ev.OfferMade(side=Side.CALLER, sdp=SDP))
    assert stage.log[-1] == ef.RefuseOffer(side=Side.CALLER, status=491)


def test_an_offer_that_is_being_answered_is_not_taken_twice() -> None:
    stage = at(State.CONNECTED)
    stage.offers(Side.CALLER)
    assert stage.deliver(ev.OfferMade(side=Side.CALLER, sdp=SDP)) == ()


def test_a_hold_that_comes_while_the_agent_is_joined_is_answered_before_our_own_offer() -> None:
    stage = at(State.JOINING)
    stage.offers(Side.CALLER)
    stage.relay()
    assert not any(isinstance(effect, ef.ReinviteCaller) for effect in stage.log)
    stage.relay()
    assert kinds(tuple(stage.log[-2:])) == [ef.AnswerOffer, ef.ReinviteCaller]
    stage.caller_accepts()
    assert stage.is_in(State.CONNECTED)


def test_what_is_owed_to_the_caller_is_offered_once_the_open_offer_is_answered() -> None:
    stage = at(State.JOINING)
    stage.relay()
    stage.agent_ends(FIRST, By.THEM)
    while stage.media:
        stage.relay()
    assert stage.log[-1] == ef.RequeueMedia()
    stage.caller_accepts()
    assert kinds(tuple(stage.log[-2:])) == [ef.SettleMedia, ef.ReinviteCaller]
    stage.caller_accepts()
    assert stage.call.is_waiting


def test_what_was_owed_for_an_agent_who_has_left_is_not_offered_any_more() -> None:
    stage = at(State.JOINING)
    stage.offers(Side.CALLER)
    stage.relay()
    stage.agent_ends(FIRST, By.THEM)
    stage.relay()
    assert stage.log[-1] == ef.AnswerOffer(side=Side.CALLER, sdp=SDP)
    stage.relay()
    assert kinds(tuple(stage.log[-1:])) == [ef.ReinviteCaller]


def test_a_reply_of_the_relay_to_nothing_means_nothing() -> None:
    call = at(State.CONNECTED).call
    assert step(call, ev.Renegotiated(side=Side.CALLER, sdp=SDP), NOW) == (call, ())


def test_an_answer_without_a_body_settles_nothing_but_the_exchange() -> None:
    stage = at(State.JOINING)
    stage.relay()
    stage.offer_open = None
    effects = stage.deliver(ev.CallerReinvited())
    assert kinds(effects) == [ef.Store]
    assert stage.is_in(State.CONNECTED)


def test_what_a_caller_who_asked_for_an_offer_says_of_it_is_no_answer_to_a_later_one() -> None:
    """Their ACK may be slow: ours waits for it, and more may be owed by then."""
    stage = at(State.JOINING)
    stage.relay()
    assert stage.log[-1] == ef.ReinviteCaller(sdp=SDP)
    effects = stage.deliver(ev.CallerReinvited(sdp=SDP, was_asked=True))
    assert effects == (ef.SettleMedia(side=Side.CALLER, sdp=SDP),)
    assert stage.is_in(State.JOINING)
    stage.caller_accepts()
    assert stage.is_in(State.CONNECTED)


def test_what_an_agent_who_asked_for_an_offer_says_of_it_does_not_bring_the_caller_back() -> None:
    stage = at(State.CONNECTED)
    stage.passes_on()
    while not stage.is_in(State.RETURNING):
        stage.deliver(ev.TargetRefused(status=486))
    attempt = stage.call.attempt
    asked = ev.AgentReinvited(attempt=attempt, sdp=SDP, was_asked=True)
    assert stage.deliver(asked) == ()
    assert stage.is_in(State.RETURNING)


def test_a_caller_who_refuses_the_reinvite_is_let_go_properly() -> None:
    stage = at(State.JOINING)
    stage.relay()
    stage.offer_open = None
    stage.deliver(ev.CallerReinviteRefused(status=488))
    assert stage.caller is Leg.BYE_SENT
    assert stage.agents == {FIRST: Leg.BYE_SENT}
    assert stage.ended() == (Outcome.LOST, "reinvite_refused")
    assert stage.closed[0].part == WITHDRAWN


# ---- refusals that leave the session as it was (RFC 3261 §14.1) ---------------------------------


def _refused(stage: Stage, status: int = 488) -> None:
    assert stage.offer_open is Side.AGENT
    stage.offer_open = None
    stage.deliver(ev.CallerReinviteRefused(status=status))


def _told(stage: Stage, event: ev.MediaJoined | ev.MediaRequeued) -> None:
    """Let the relay do what was asked of it, and say this."""
    stage.media.popleft()
    stage.deliver(event)


@pytest.mark.parametrize("status", [488, 415, 500, 603])
def test_a_caller_who_refuses_what_they_need_not_know_talks_all_the_same(status: int) -> None:
    stage = at(State.JOINING)
    _told(stage, ev.MediaJoined(attempt=FIRST, sdp=SDP, is_needed=False))
    _refused(stage, status)
    assert stage.is_in(State.CONNECTED)
    stage.caller_ends(By.THEM)
    stage.end()
    assert stage.ended() == (Outcome.ANSWERED, "caller_hung_up")


@pytest.mark.parametrize("status", [408, 481])
def test_a_refusal_that_says_that_nobody_is_there_ends_the_call(status: int) -> None:
    stage = at(State.JOINING)
    _told(stage, ev.MediaJoined(attempt=FIRST, sdp=SDP, is_needed=False))
    _refused(stage, status)
    stage.end()
    assert stage.outcome == (Outcome.LOST, "reinvite_refused")


def _put_back() -> Stage:
    """Return a call whose agent has left as the caller's re-INVITE is under way."""
    stage = at(State.JOINING)
    stage.relay()
    stage.agent_ends(FIRST, By.THEM)
    while not isinstance(stage.media[0], ef.RequeueMedia):
        stage.relay()
    return stage


def test_a_refusal_of_what_is_past_is_none_while_the_relay_brings_the_caller_back() -> None:
    stage = _put_back()
    _refused(stage)
    assert stage.is_in(State.QUEUED)
    stage.relay()
    assert stage.log[-1] == ef.ReinviteCaller(sdp=SDP)
    stage.caller_accepts()
    assert stage.call.is_waiting


@pytest.mark.parametrize("is_needed", [False, True])
def test_after_a_refusal_what_is_owed_is_offered(*, is_needed: bool) -> None:
    stage = _put_back()
    _told(stage, ev.MediaRequeued(sdp=SDP, is_needed=is_needed))
    _refused(stage)
    assert stage.log[-1] == ef.ReinviteCaller(sdp=SDP)
    _refused(stage)
    assert stage.is_in(State.ENDING if is_needed else State.QUEUED)
    stage.end()
    cause = "reinvite_refused" if is_needed else "caller_hung_up"
    assert stage.outcome[1] == cause


def test_who_refuses_music_that_they_need_not_be_told_of_is_rung_for_again() -> None:
    stage = _put_back()
    _told(stage, ev.MediaRequeued(sdp=SDP, is_needed=False))
    _refused(stage)
    _refused(stage)
    stage.bring_to(State.CONNECTED)
    stage.end()
    assert stage.outcome == (Outcome.ANSWERED, "caller_hung_up")
