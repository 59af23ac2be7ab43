from __future__ import annotations

from typing import get_args

import pytest

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_writes as wr
from edge.acd.call import AgentLeg, Rules, State
from edge.acd.call_events import Attempt, By, Side
from edge.acd.call_state import TABLE, Ignored, ignored_because, start, step
from edge.acd.ending import WITHDRAWN
from state.model import Outcome, Queue, QueueId, WorkEnd
from tests.acd.stage import SDP, Leg, Stage, decision
from tests.acd.worlds import NOW, call_id
from tests.acd.worlds import at as later

FIRST, SECOND = Attempt(1), Attempt(2)
WAITING = [State.GREETING, State.QUEUED, State.RINGING, State.JOINING]
ANSWERED_STATES = [*WAITING, State.CONNECTED]


def at(state: State, *, greeting: bool = True) -> Stage:
    return Stage(greeting=greeting).bring_to(state)


def kinds(effects: tuple[ef.Effect, ...]) -> list[type]:
    return [type(effect) for effect in effects]


# ---- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", State)
def test_every_event_is_defined_in_every_state(state: State) -> None:
    assert set(TABLE[state]) == set(get_args(ev.Event))


def test_whatever_is_ignored_is_ignored_for_a_stated_reason() -> None:
    cells = [cell for row in TABLE.values() for cell in row.values()]
    reasons = {cell.because for cell in cells if isinstance(cell, Ignored)}
    assert all(reasons)
    assert Ignored("the call is over") in TABLE[State.ENDED].values()


def test_the_reason_for_ignoring_an_event_can_be_asked() -> None:
    call = at(State.CONNECTED).call
    assert ignored_because(call, ev.GreetingOver()) == "the greeting was over already"
    assert ignored_because(call, ev.Stop()) is None


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


def test_without_a_greeting_the_caller_waits_at_once_and_no_second_write_is_needed() -> None:
    stage = at(State.QUEUED, greeting=False)
    assert ef.Play(prompt=ef.Prompt.MUSIC) in stage.log
    assert [e for e in stage.log if isinstance(e, ef.Store)] == [
        ef.Store(write=wr.CreateTicket(greeting=False, at=NOW))
    ]


def test_a_call_that_is_answered_goes_the_whole_way() -> None:
    stage = at(State.CONNECTED)
    stage.end()
    stage.check_ended()
    assert stage.outcome == (Outcome.ANSWERED, "caller_hung_up")
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
        ef.CloseMedia,
        ef.StartTimer,
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
    stage.check_ended()
    assert stage.outcome == (Outcome.LOST, "no_session_in_ack")


def test_a_plain_ack_means_nothing() -> None:
    assert at(State.QUEUED).deliver(ev.Confirmed(side=Side.CALLER)) == ()


# ---- the caller ends it --------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.ARRIVING, *WAITING])
def test_a_caller_who_leaves_before_talking_has_abandoned(state: State) -> None:
    stage = at(state)
    stage.caller_ends(By.THEM)
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (Outcome.ABANDONED, "caller_hung_up")
    assert stage.closed[0].part == WITHDRAWN


@pytest.mark.parametrize("state", ANSWERED_STATES)
def test_a_caller_whose_leg_fails_is_lost(state: State) -> None:
    stage = at(state)
    stage.caller_ends(By.FAULT)
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (Outcome.LOST, "session_expired")


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
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (Outcome.ABANDONED, "caller_hung_up")
    assert [freed.part for freed in stage.freed] == [WITHDRAWN]


def test_a_goodbye_that_crosses_ours_is_as_good() -> None:
    stage = at(State.CONNECTED)
    stage.agent_ends(FIRST, By.THEM)
    assert stage.caller is Leg.BYE_SENT
    stage.caller_ends(By.THEM)
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (Outcome.ANSWERED, "agent_hung_up")


# ---- the agent ends it ---------------------------------------------------------------------------


def test_a_call_that_the_agent_ended_is_answered() -> None:
    stage = at(State.CONNECTED)
    stage.agent_ends(FIRST, By.THEM)
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (Outcome.ANSWERED, "agent_hung_up")
    assert stage.freed[0].part.end is WorkEnd.TALKED


def test_a_caller_whom_the_agents_goodbye_does_not_reach_is_lost() -> None:
    stage = at(State.CONNECTED)
    stage.agent_ends(FIRST, By.THEM)
    stage.caller_ends(By.FAULT)
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (Outcome.LOST, "caller_unreachable")


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
    stage.check_ended()
    assert stage.outcome == (Outcome.ANSWERED, "caller_hung_up")


@LOST
def test_a_caller_whose_agent_is_lost_and_who_gives_up_waiting_was_lost(how: str) -> None:
    stage = at(State.CONNECTED)
    _lost(stage, how=how)
    stage.end()
    stage.check_ended()
    assert stage.outcome == (Outcome.LOST, "agent_lost")


def test_an_agent_who_is_silent_is_no_news_unless_they_talk() -> None:
    for state in (State.QUEUED, State.RINGING, State.JOINING):
        stage = at(state)
        assert stage.deliver(ev.AgentSilent(attempt=FIRST)) == ()
    stage = at(State.CONNECTED)
    assert stage.deliver(ev.AgentSilent(attempt=Attempt(7))) == ()


def test_a_dead_telephone_does_not_keep_the_agent_in_the_call() -> None:
    stage = at(State.CONNECTED)
    stage.write()
    stage.caller_ends(By.THEM)
    assert not stage.line
    stage.time_out(ef.Timer.RELEASE)
    stage.write()
    assert [type(write) for write in stage.closed] == [wr.Close]
    assert stage.is_in(State.ENDING)
    stage.agent_ends(FIRST, By.FAULT)
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (Outcome.ANSWERED, "caller_hung_up")


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
    stage.check_ended()
    assert stage.outcome[0] is Outcome.ANSWERED


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
    stage.check_ended()
    assert stage.outcome == (Outcome.ABANDONED, "caller_hung_up")


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


# ---- the caller's session ------------------------------------------------------------------------


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


def test_a_caller_who_refuses_the_reinvite_is_let_go_properly() -> None:
    stage = at(State.JOINING)
    stage.relay()
    stage.offer_open = None
    stage.deliver(ev.CallerReinviteRefused(status=488))
    assert stage.caller is Leg.BYE_SENT
    assert stage.agents == {FIRST: Leg.BYE_SENT}
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (Outcome.LOST, "reinvite_refused")
    assert stage.closed[0].part == WITHDRAWN


# ---- faults --------------------------------------------------------------------------------------


def test_a_caller_whom_the_relay_cannot_serve_is_refused() -> None:
    stage = Stage()
    stage.relay(works=False)
    assert ef.RejectCaller(status=488, reason="no_common_codec") in stage.log
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (Outcome.REFUSED, "no_common_codec")


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
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (None, "held_elsewhere")
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
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (None, "held_elsewhere")
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
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (None, "agent_hung_up")


def test_a_ticket_that_goes_by_our_own_close_is_not_lost() -> None:
    stage = at(State.QUEUED)
    stage.caller_ends(By.THEM)
    stage.deliver(ev.TicketLost())
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (Outcome.ABANDONED, "caller_hung_up")


def test_a_ticket_lost_while_the_legs_end_leaves_the_record_to_the_other() -> None:
    stage = at(State.CONNECTED)
    stage.agent_ends(FIRST, By.THEM)
    stage.take_away()
    stage.deliver(ev.TicketLost())
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (None, "agent_hung_up")
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
    stage.settle()
    stage.check_ended()
    assert stage.outcome == (Outcome.ANSWERED, "caller_hung_up")


def test_the_end_is_stamped_when_it_happened_not_when_it_was_written() -> None:
    stage = at(State.QUEUED)
    leaving, _ = step(stage.call, ev.Stop(), NOW)
    _, effects = step(leaving, ev.CallerEnded(by=By.US), later(30))
    (close,) = (e.write for e in effects if isinstance(e, ef.Store))
    assert isinstance(close, wr.Close)
    assert close.at == NOW


# ---- a queue that gives up -----------------------------------------------------------------------

AWAY = ev.TurnedAway(outcome=Outcome.CALLBACK, cause="waited_too_long")


def test_who_has_waited_for_too_long_is_let_go_with_the_outcome_that_the_queue_names() -> None:
    stage = Stage().bring_to(State.QUEUED)
    effects = stage.deliver(AWAY)
    assert ef.HangUpCaller(reason="waited_too_long") in effects
    stage.end()
    stage.check_ended()
    assert stage.outcome == (Outcome.CALLBACK, "waited_too_long")


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
