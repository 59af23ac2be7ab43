"""The moves of a call: what the cells of the table in `edge.acd.call_state` do.

Each takes the call, the event and now, and returns the next call with the effects. In which states
each is called, the table knows.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec.structs import replace

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_writes as wr
from edge.acd.call import AgentLeg, Call, CallerLeg, Exchange, State, Verdict
from edge.acd.call_events import Attempt, By, Side
from edge.acd.ending import WITHDRAWN, AgentPart
from edge.acd.refusal import refusal
from state.model import Now, Outcome, WorkEnd

Step: TypeAlias = tuple[Call, tuple[ef.Effect, ...]]

CALLER_HUNG_UP = "caller_hung_up"
AGENT_HUNG_UP = "agent_hung_up"
AGENT_LOST = "agent_lost"
HELD_ELSEWHERE = "held_elsewhere"

_MERGED = 482
"""RFC 3261 §8.2.2.2: the same request has come by another way, and another edge has it."""
_UNAVAILABLE = 503
_NOT_ACCEPTABLE = 488
_PENDING = 491


# ---- arriving ------------------------------------------------------------------------------------


def arrive(call: Call, sdp: bytes | None, now: Now) -> Step:
    """Take the place in the queue at once, and get the media ready for the answer.

    A caller whose offer is late can take nobody before the ACK: until then no agent is kept for
    them, as during a greeting.
    """
    greets = call.rules.greeting or call.needs_ack
    call, ticket = _write(call, wr.CreateTicket(greeting=greets, at=now))
    return call, (ticket, ef.OpenMedia(sdp=sdp))


def media_opened(call: Call, event: ev.MediaOpened, _now: Now) -> Step:
    """Answer, and play; a call without a greeting waits from here on."""
    greets = call.rules.greeting
    call = replace(call, caller=CallerLeg.UP, state=State.GREETING if greets else State.QUEUED)
    prompt = ef.Prompt.GREETING if greets else ef.Prompt.MUSIC
    return call, (ef.AnswerCaller(sdp=event.sdp), ef.Play(prompt=prompt))


def media_failed(call: Call, event: ev.MediaFailed, now: Now) -> Step:
    """Refuse the caller."""
    return end(call, Outcome.REFUSED, event.cause, now, status=event.status)


def greeting_over(call: Call, _event: ev.GreetingOver, now: Now) -> Step:
    """Let the caller wait for an agent."""
    call, queued = _queued(replace(call, state=State.QUEUED), now)
    return call, (ef.Play(prompt=ef.Prompt.MUSIC), *queued)


# ---- ringing an agent ----------------------------------------------------------------------------


def reserved(call: Call, event: ev.Reserved, _now: Now) -> Step:
    """Begin the next attempt: get a session description to offer."""
    attempt = Attempt(call.attempt + 1)
    call = replace(
        call,
        state=State.RINGING,
        attempt=attempt,
        agent_leg=AgentLeg.PREPARING,
        decision=event.decision,
        is_agent_held=True,
    )
    return call, (ef.PrepareAgent(attempt=attempt, agent=event.decision.winner),)


def reserved_too_late(call: Call, _event: ev.Reserved, _now: Now) -> Step:
    """Remember that an agent is held, unless the close already asked for frees them too."""
    return replace(call, is_agent_held=not call.is_close_asked), ()


def agent_media_ready(call: Call, event: ev.AgentMediaReady, _now: Now) -> Step:
    """Ring."""
    agent = call.agent
    if agent is None or event.attempt != call.attempt or call.agent_leg is not AgentLeg.PREPARING:
        return call, ()
    return replace(call, agent_leg=AgentLeg.RINGING), (
        ef.InviteAgent(attempt=event.attempt, agent=agent, sdp=event.sdp),
        ef.StartTimer(timer=ef.Timer.RING, seconds=call.rules.ring_timeout_s),
    )


def ring_timeout(call: Call, _event: ev.RingTimeout, now: Now) -> Step:
    """Give up this agent: someone else is to answer."""
    if call.agent_leg is not AgentLeg.RINGING:
        return call, ()
    part = AgentPart(end=WorkEnd.NO_ANSWER, rest_s=call.rules.no_answer_pause_s)
    return _requeue(call, part, now, tried=True)


def agent_rejected(call: Call, event: ev.AgentRejected, now: Now) -> Step:
    """Put the caller back, unless this is the end of a leg that we gave up."""
    if not _is_present(call, event.attempt) or call.agent_leg is not AgentLeg.RINGING:
        return _leg_over(call, event.attempt)
    no = refusal(event.status, event.reason, call.rules)
    return _requeue(call, no.part, now, tried=no.tried, is_leg_over=True)


# ---- the agent answers ---------------------------------------------------------------------------


def agent_answered(call: Call, event: ev.AgentAnswered, _now: Now) -> Step:
    """Join the two."""
    if not _is_present(call, event.attempt) or call.agent_leg is not AgentLeg.RINGING:
        return answered_too_late(call, event, _now)
    return replace(call, state=State.JOINING, agent_leg=AgentLeg.UP), (
        ef.StopTimer(timer=ef.Timer.RING),
        ef.JoinMedia(attempt=event.attempt, sdp=event.sdp),
    )


def answered_too_late(call: Call, event: ev.AgentAnswered, _now: Now) -> Step:
    """Hang up on an answer that crossed our CANCEL."""
    if event.attempt not in call.closing:
        return call, ()
    return call, (ef.HangUpAgent(attempt=event.attempt, reason="answered_too_late"),)


def media_joined(call: Call, event: ev.MediaJoined, _now: Now) -> Step:
    """Tell the caller's telephone where the agent is."""
    if not _is_present(call, event.attempt):
        return call, ()
    return _offer_to_caller(replace(call, is_joined=True), event.sdp)


def agent_media_refused(call: Call, event: ev.AgentMediaRefused, now: Now) -> Step:
    """Give up an agent whose telephone cannot be joined with the caller's."""
    if not _is_present(call, event.attempt):
        return call, ()
    part = AgentPart(end=WorkEnd.UNREACHABLE, rest_s=call.rules.no_answer_pause_s)
    return _requeue(call, part, now, tried=True)


def media_requeued(call: Call, event: ev.MediaRequeued, _now: Now) -> Step:
    """Tell the caller's telephone where the music is."""
    return _offer_to_caller(replace(call, is_media_moving=False), event.sdp)


def agent_left(call: Call, event: ev.AgentEnded, now: Now) -> Step:
    """Put the caller back: the two have not talked yet."""
    if not _is_present(call, event.attempt):
        return _leg_over(call, event.attempt)
    end_ = WorkEnd.DECLINED if event.by is By.THEM else WorkEnd.UNREACHABLE
    part = AgentPart(end=end_, rest_s=call.rules.no_answer_pause_s)
    return _requeue(call, part, now, tried=True, is_leg_over=True)


# ---- the caller's session ------------------------------------------------------------------------


def confirmed(call: Call, event: ev.Confirmed, now: Now) -> Step:
    """Give the relay what this side answered to an offer that it had asked us for."""
    if event.side is Side.CALLER and call.needs_ack:
        if event.sdp is None:
            return end(call, Outcome.LOST, "no_session_in_ack", now)
        call, queued = _queued(replace(call, needs_ack=False), now)
        return call, (ef.SettleMedia(side=event.side, sdp=event.sdp), *queued)
    if event.sdp is None or (event.side is Side.AGENT and call.agent_leg is not AgentLeg.UP):
        return call, ()
    settled = ef.SettleMedia(side=event.side, sdp=event.sdp)
    if event.side is Side.CALLER:
        return call, (settled,)
    call, held = _held(call, now, on=event.holds)
    return call, (settled, *held)


def caller_reinvited(call: Call, event: ev.CallerReinvited, now: Now) -> Step:
    """Close the exchange. When nothing more is owed and the two are joined, they are connected."""
    settled: tuple[ef.Effect, ...] = ()
    if event.sdp is not None:
        settled = (ef.SettleMedia(side=Side.CALLER, sdp=event.sdp),)
    call, owed = _exchange_over(call)
    if call.state is State.JOINING and call.is_joined and call.exchange is Exchange.NONE:
        call, written = _write(replace(call, state=State.CONNECTED), wr.MarkConnected(at=now))
        call, held = _held(call, now, on=call.hold.asks)
        return call, (*settled, written, *held)
    return call, (*settled, *owed)


def caller_reinvite_refused(call: Call, _event: ev.CallerReinviteRefused, now: Now) -> Step:
    """End: the caller cannot be brought to where the audio is."""
    return end(call, Outcome.LOST, "reinvite_refused", now)


def offer_made(call: Call, event: ev.OfferMade, _now: Now) -> Step:
    """Put a hold, a resume or a change of address to the relay; the other side need not know."""
    if event.side is Side.AGENT:
        if call.agent_leg is not AgentLeg.UP:
            return call, ()
        asks = replace(call.hold, asks=event.holds)
        return replace(call, hold=asks), (ef.Renegotiate(side=Side.AGENT, sdp=event.sdp),)
    if call.exchange is Exchange.OURS:
        # RFC 3261 §14.2: two offers have crossed.
        return call, (ef.RefuseOffer(side=Side.CALLER, status=_PENDING),)
    if call.exchange is Exchange.THEIRS:
        # The stack refuses a second offer while the first is open; this is that first one.
        return call, ()
    return replace(call, exchange=Exchange.THEIRS), (
        ef.Renegotiate(side=Side.CALLER, sdp=event.sdp),
    )


def renegotiated(call: Call, event: ev.Renegotiated, now: Now) -> Step:
    """Answer their offer. From here on an agent who asked for it has the caller on hold."""
    answer = ef.AnswerOffer(side=event.side, sdp=event.sdp)
    call, answered = _their_offer_over(call, event.side, answer)
    if event.side is Side.CALLER or call.agent_leg is not AgentLeg.UP:
        return call, answered
    call, held = _held(call, now, on=call.hold.asks)
    return call, (*answered, *held)


def renegotiation_failed(call: Call, event: ev.RenegotiationFailed, _now: Now) -> Step:
    """Refuse their offer: the session stays as it was (RFC 3261 §14.2)."""
    if event.side is Side.AGENT:
        call = replace(call, hold=replace(call.hold, asks=call.hold.since is not None))
    refused = ef.RefuseOffer(side=event.side, status=_NOT_ACCEPTABLE)
    return _their_offer_over(call, event.side, refused)


# ---- ends ----------------------------------------------------------------------------------------


def caller_left(call: Call, event: ev.CallerEnded, now: Now) -> Step:
    """End a call whose caller has not talked to an agent."""
    call = replace(call, caller=CallerLeg.OVER)
    if event.by is By.THEM:
        if call.has_talked:
            return end(call, Outcome.LOST, AGENT_LOST, now)
        return end(call, Outcome.ABANDONED, CALLER_HUNG_UP, now)
    return end(call, Outcome.LOST, event.cause or "caller_lost", now)


def caller_done(call: Call, event: ev.CallerEnded, now: Now) -> Step:
    """End a call whose caller has talked to an agent."""
    call = replace(call, caller=CallerLeg.OVER)
    if event.by is By.THEM:
        return end(call, Outcome.ANSWERED, CALLER_HUNG_UP, now)
    return end(call, Outcome.LOST, event.cause or "caller_lost", now)


def agent_done(call: Call, event: ev.AgentEnded, now: Now) -> Step:
    """End a call whose agent has talked to the caller and hung up.

    A caller whose agent was lost wants to be served, and not to hear a goodbye: they wait again, at
    the old place, which is before all who came later.
    """
    if not _is_present(call, event.attempt):
        return _leg_over(call, event.attempt)
    if event.by is By.THEM:
        call = call.without_agent(still_closing=False)
        return end(call, Outcome.ANSWERED, AGENT_HUNG_UP, now)
    return _requeue(call, _talked(call), now, tried=False, is_leg_over=True)


def agent_silent(call: Call, event: ev.AgentSilent, now: Now) -> Step:
    """Put the caller of an agent who is gone back at the old place."""
    if not _is_present(call, event.attempt):
        return call, ()
    return _requeue(call, _talked(call), now, tried=False)


def turned_away(call: Call, event: ev.TurnedAway, now: Now) -> Step:
    """End a call whose caller has waited for too long."""
    return end(call, event.outcome, event.cause, now)


def media_lost(call: Call, event: ev.MediaLost, now: Now) -> Step:
    """End: nobody hears anybody any more."""
    return end(call, _cut(call), event.cause, now)


def stop(call: Call, event: ev.Stop, now: Now) -> Step:
    """End: this edge lets go of its calls."""
    return end(call, _cut(call), event.cause, now)


def ticket_lost(call: Call, _event: ev.TicketLost, now: Now) -> Step:
    """End our half: another edge has the call, or has closed it for us."""
    call = replace(call, is_ticket_lost=True)
    return end(call, Outcome.LOST, HELD_ELSEWHERE, now, status=_MERGED)


def end(call: Call, outcome: Outcome, cause: str, now: Now, status: int = _UNAVAILABLE) -> Step:
    """Decide the outcome; tell both legs and the relay. `status`: to a caller not answered."""
    talked = call.state is State.CONNECTED
    part = _talked(call) if talked else WITHDRAWN
    hold = call.hold.turned(on=False, now=now)
    call, caller = _end_caller(call, status, cause)
    call, agent = _end_agent(call, cause)
    call = replace(
        call,
        state=State.ENDING,
        owed_sdp=None,
        verdict=Verdict(
            outcome=outcome,
            cause=cause,
            part=part,
            at=now,
            holds=hold.count,
            held_s=hold.total_s,
        ),
    )
    release = ef.StartTimer(timer=ef.Timer.RELEASE, seconds=call.rules.release_s)
    return call, (*caller, *agent, ef.CloseMedia(), release)


# ---- while ending --------------------------------------------------------------------------------


def caller_over(call: Call, event: ev.CallerEnded, _now: Now) -> Step:
    """Note the end of the caller's leg. An agent's goodbye that did not reach them is a loss."""
    verdict = call.verdict
    if event.by is By.FAULT and verdict is not None and verdict.cause == AGENT_HUNG_UP:
        verdict = replace(verdict, outcome=Outcome.LOST, cause="caller_unreachable")
    return replace(call, caller=CallerLeg.OVER, verdict=verdict), ()


def agent_over(call: Call, event: ev.AgentRejected | ev.AgentEnded, _now: Now) -> Step:
    """Note the end of an agent's leg that we gave up."""
    return _leg_over(call, event.attempt)


def release_timeout(call: Call, _event: ev.ReleaseTimeout, _now: Now) -> Step:
    """Wait no longer for the legs before the agent is let go."""
    return replace(call, is_released=True), ()


def ticket_lost_ending(call: Call, _event: ev.TicketLost, _now: Now) -> Step:
    """Write no record; unless it is our own close that the mirror shows."""
    return replace(call, is_ticket_lost=call.is_ticket_lost or not call.is_close_asked), ()


def settle(call: Call) -> Step:
    """Write what is due of an ending call, and end it when nothing is left."""
    call, effects = _write_ending(call)
    is_recorded = call.is_close_asked or call.is_ticket_lost
    if call.has_legs or call.writes or not is_recorded or call.verdict is None:
        return call, effects
    outcome = call.verdict.outcome if call.is_closed else None
    return replace(call, state=State.ENDED), (
        *effects,
        ef.StopTimer(timer=ef.Timer.RELEASE),
        ef.Finished(outcome=outcome, cause=call.verdict.cause),
    )


# ---- the answers of the store --------------------------------------------------------------------


def written(call: Call, event: ev.Written, _now: Now) -> Step:
    """Count the write off."""
    is_closed = call.is_closed or isinstance(event.write, wr.Close)
    return replace(call, writes=call.writes - 1, is_closed=is_closed), ()


def write_refused(call: Call, event: ev.WriteRefused, now: Now) -> Step:
    """End our half: what is written before the end is refused only to one who lost the ticket."""
    call, _ = write_refused_ending(call, event, now)
    return end(call, Outcome.LOST, HELD_ELSEWHERE, now, status=_MERGED)


def write_refused_ending(call: Call, event: ev.WriteRefused, _now: Now) -> Step:
    """Count the write off, and note what is no longer ours."""
    call = replace(call, writes=call.writes - 1)
    match event.write:
        case wr.CreateTicket() | wr.MarkQueued() | wr.MarkConnected() | wr.MarkHold():
            return replace(call, is_ticket_lost=True), ()
        case wr.GiveBack():
            # Whoever closed the ticket freed its agent too; asking once more does no harm.
            return replace(call, is_ticket_lost=True, is_agent_held=True), ()
        case wr.FreeAgent() | wr.Close():
            # Somebody else has done it.
            return call, ()


# ---- parts ---------------------------------------------------------------------------------------


def _talked(call: Call) -> AgentPart:
    return AgentPart(end=WorkEnd.TALKED, rest_s=call.rules.wrap_up_s)


def _write(call: Call, write: wr.Write) -> tuple[Call, ef.Store]:
    return replace(call, writes=call.writes + 1), ef.Store(write=write)


def _write_ending(call: Call) -> Step:
    verdict = call.verdict
    is_agent_gone = call.agent_leg is AgentLeg.NONE and not call.closing
    may_let_go = is_agent_gone or call.is_released
    if verdict is None or call.is_close_asked:
        return call, ()
    if not call.is_ticket_lost and call.caller is CallerLeg.OVER:
        if call.is_agent_held and not may_let_go:
            return call, ()
        close = wr.Close(
            outcome=verdict.outcome,
            cause=verdict.cause,
            part=verdict.part,
            decision=call.decision,
            at=verdict.at,
            holds=verdict.holds,
            held_s=verdict.held_s,
        )
        call, asked = _write(replace(call, is_close_asked=True, is_agent_held=False), close)
        return call, (asked,)
    if call.is_agent_held and (call.is_released or (call.is_ticket_lost and is_agent_gone)):
        free = wr.FreeAgent(part=verdict.part, at=verdict.at)
        call, asked = _write(replace(call, is_agent_held=False), free)
        return call, (asked,)
    return call, ()


def _held(call: Call, now: Now, *, on: bool) -> Step:
    """Note that the agent holds the caller, or does no longer; let the others see it."""
    if call.state is not State.CONNECTED:
        # Of an agent who holds before the two are joined it counts from when they are.
        return replace(call, hold=replace(call.hold, asks=on)), ()
    before = call.hold.since is not None
    call = replace(call, hold=call.hold.turned(on=on, now=now))
    if before is on:
        return call, ()
    call, written = _write(call, wr.MarkHold(on=on, at=now))
    return call, (written,)


def _queued(call: Call, now: Now) -> Step:
    """Let the others see that the caller waits, once they can take an agent."""
    if call.state is not State.QUEUED or call.needs_ack:
        return call, ()
    call, queued = _write(call, wr.MarkQueued(at=now))
    return call, (queued,)


def _is_present(call: Call, attempt: Attempt) -> bool:
    return attempt == call.attempt and call.agent_leg is not AgentLeg.NONE


def _leg_over(call: Call, attempt: Attempt) -> Step:
    return replace(call, closing=call.closing - {attempt}), ()


def _requeue(
    call: Call, part: AgentPart, now: Now, *, tried: bool, is_leg_over: bool = False
) -> Step:
    """Put the caller back in the queue, at the old place, and the agent out of the call."""
    has_talked = call.state is State.CONNECTED
    was_joined = has_talked or call.state is State.JOINING
    hold = replace(call.hold.turned(on=False, now=now), asks=False)
    effects: tuple[ef.Effect, ...] = (ef.StopTimer(timer=ef.Timer.RING),)
    if is_leg_over:
        call = call.without_agent(still_closing=False)
    else:
        call, effects = _end_agent(call, part.end.value)
    call = replace(
        call,
        state=State.QUEUED,
        is_agent_held=False,
        is_media_moving=was_joined,
        owed_sdp=None,
        hold=hold,
        has_talked=call.has_talked or has_talked,
    )
    back = wr.GiveBack(part=part, tried=tried, at=now, has_talked=has_talked)
    call, given_back = _write(call, back)
    moving = (ef.RequeueMedia(),) if was_joined else ()
    return call, (*effects, given_back, *moving)


def _end_caller(call: Call, status: int, reason: str) -> Step:
    match call.caller:
        case CallerLeg.EARLY:
            call = replace(call, caller=CallerLeg.OVER)
            return call, (ef.RejectCaller(status=status, reason=reason),)
        case CallerLeg.UP:
            call = replace(call, caller=CallerLeg.CLOSING)
            return call, (ef.HangUpCaller(reason=reason),)
        case CallerLeg.CLOSING | CallerLeg.OVER:
            return call, ()


def _end_agent(call: Call, reason: str) -> Step:
    attempt = call.attempt
    match call.agent_leg:
        case AgentLeg.NONE | AgentLeg.PREPARING:
            return call.without_agent(still_closing=False), ()
        case AgentLeg.RINGING:
            call = call.without_agent(still_closing=True)
            ring = ef.StopTimer(timer=ef.Timer.RING)
            return call, (ring, ef.CancelAgent(attempt=attempt, reason=reason))
        case AgentLeg.UP:
            call = call.without_agent(still_closing=True)
            return call, (ef.HangUpAgent(attempt=attempt, reason=reason),)


def _offer_to_caller(call: Call, sdp: bytes) -> Step:
    if call.exchange is not Exchange.NONE:
        return replace(call, owed_sdp=sdp), ()
    return replace(call, exchange=Exchange.OURS), (ef.ReinviteCaller(sdp=sdp),)


def _exchange_over(call: Call) -> Step:
    owed = call.owed_sdp
    call = replace(call, exchange=Exchange.NONE, owed_sdp=None)
    return (call, ()) if owed is None else _offer_to_caller(call, owed)


def _their_offer_over(call: Call, side: Side, reply: ef.Effect) -> Step:
    if side is Side.AGENT:
        return call, (reply,) if call.agent_leg is AgentLeg.UP else ()
    if call.exchange is not Exchange.THEIRS:
        return call, ()
    call, owed = _exchange_over(call)
    return call, (reply, *owed)


def _cut(call: Call) -> Outcome:
    """Return what a call cut off by a fault counts as: one not answered yet was refused."""
    return Outcome.REFUSED if call.caller is CallerLeg.EARLY else Outcome.LOST
