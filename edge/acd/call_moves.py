"""The moves of a call: what the cells of the table in `edge.acd.call_state` do.

Each takes the call, the event and now, and returns the next call with the effects. In which states
each is called, the table knows. How a call ends is in `edge.acd.call_endings`.
"""

from __future__ import annotations

from msgspec.structs import replace

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_parts as parts
from edge.acd import call_writes as wr
from edge.acd.call import AgentLeg, Call, CallerLeg, Exchange, State
from edge.acd.call_endings import end
from edge.acd.call_events import Attempt, By, Side
from edge.acd.call_parts import Step
from edge.acd.ending import WITHDRAWN, AgentPart
from edge.acd.refusal import refusal
from state.model import Decision, Now, Outcome, WorkEnd

_NOT_ACCEPTABLE = 488
_PENDING = 491
_GONE = frozenset({408, 481})
_NO_ANSWER = 408


# ---- arriving ------------------------------------------------------------------------------------


def arrive(call: Call, sdp: bytes | None, now: Now) -> Step:
    """Take the place in the queue at once, and get the media ready for the answer.

    A caller whose offer is late, or whom a sister may have, takes nobody before the ACK: until then
    no agent is kept for them, as during a greeting.
    """
    greets = call.rules.greeting or call.awaits_ack
    call, ticket = parts.write(call, wr.CreateTicket(greeting=greets, at=now))
    return call, (ticket, ef.OpenMedia(sdp=sdp))


def media_opened(call: Call, event: ev.MediaOpened, _now: Now) -> Step:
    """Answer, and play; a call without a greeting waits from here on."""
    greets = call.rules.greeting
    call = replace(call, caller=CallerLeg.UP, state=State.GREETING if greets else State.QUEUED)
    prompt = ef.Prompt.GREETING if greets else ef.Prompt.MUSIC
    answer, play = ef.AnswerCaller(sdp=event.sdp), ef.Play(prompt=prompt)
    if not call.is_agent_held or call.decision is None:
        return call, (answer, play)
    # The relay does one thing after the other, and an agent who is kept is rung before music
    # begins: it is heard by then in any case.
    call, preparing = _attempt(call, call.decision)
    return call, (answer, *preparing, play)


def media_failed(call: Call, event: ev.MediaFailed, now: Now) -> Step:
    """Refuse the caller."""
    return end(call, Outcome.REFUSED, event.cause, now, status=event.status)


def greeting_over(call: Call, _event: ev.GreetingOver, now: Now) -> Step:
    """Let the caller wait for an agent."""
    call, queued = parts.queued(replace(call, state=State.QUEUED), now)
    return call, (ef.Play(prompt=ef.Prompt.MUSIC), *queued)


# ---- ringing an agent ----------------------------------------------------------------------------


def reserved(call: Call, event: ev.Reserved, now: Now) -> Step:
    """Begin the next attempt: get a session description to offer.

    Unless the caller has taken the offer to be called back meanwhile: then the agent is free.
    """
    if not call.asked.takes:
        return _attempt(call, event.decision)
    call = replace(call, decision=event.decision, is_agent_held=True)
    call, effects = parts.requeue(call, WITHDRAWN, now, tried=False)
    # To give somebody back lets the caller wait: they do not.
    call, taken = parts.write(call, wr.TakeCallback(at=now))
    return call, (*effects, taken)


def _attempt(call: Call, decision: Decision) -> Step:
    attempt = Attempt(call.attempt + 1)
    call = replace(
        call,
        state=State.RINGING,
        attempt=attempt,
        agent_leg=AgentLeg.PREPARING,
        decision=decision,
        is_agent_held=True,
    )
    return call, (ef.PrepareAgent(attempt=attempt, agent=decision.winner),)


def reserved_at_once(call: Call, event: ev.Reserved, _now: Now) -> Step:
    """Keep the agent, who was free when the call came, until the caller is answered."""
    return replace(call, decision=event.decision, is_agent_held=True), ()


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
    return parts.requeue(call, part, now, tried=True, status=_NO_ANSWER)


def agent_rejected(call: Call, event: ev.AgentRejected, now: Now) -> Step:
    """Put the caller back, unless this is the end of a leg that we gave up."""
    if not parts.is_present(call, event.attempt) or call.agent_leg is not AgentLeg.RINGING:
        return parts.leg_over(call, event.attempt)
    no = refusal(event.status, event.reason, call.rules)
    return parts.requeue(call, no.part, now, tried=no.tried, is_leg_over=True, status=event.status)


# ---- the agent answers ---------------------------------------------------------------------------


def agent_answered(call: Call, event: ev.AgentAnswered, _now: Now) -> Step:
    """Join the two."""
    if not parts.is_present(call, event.attempt) or call.agent_leg is not AgentLeg.RINGING:
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


def media_joined(call: Call, event: ev.MediaJoined, now: Now) -> Step:
    """Tell the caller's telephone where the agent is."""
    if not parts.is_present(call, event.attempt):
        return call, ()
    call = replace(call, is_joined=True, joined_at=now)
    return parts.offer_to_caller(call, event.sdp, is_needed=event.is_needed)


def agent_media_refused(call: Call, event: ev.AgentMediaRefused, now: Now) -> Step:
    """Give up an agent whose telephone cannot be joined with the caller's."""
    if not parts.is_present(call, event.attempt):
        return call, ()
    if call.is_back:
        # They have talked with this caller before they passed them on.
        return parts.requeue(call, parts.talked(call), now, tried=False)
    part = AgentPart(end=WorkEnd.UNREACHABLE, rest_s=call.rules.no_answer_pause_s)
    return parts.requeue(call, part, now, tried=True)


def media_requeued(call: Call, event: ev.MediaRequeued, _now: Now) -> Step:
    """Tell the caller's telephone where the music is."""
    call = replace(call, is_media_moving=False)
    return parts.offer_to_caller(call, event.sdp, is_needed=event.is_needed)


def agent_left(call: Call, event: ev.AgentEnded, now: Now) -> Step:
    """Put the caller back: the two have not talked yet."""
    if not parts.is_present(call, event.attempt):
        return parts.leg_over(call, event.attempt)
    end_ = WorkEnd.DECLINED if event.by is By.THEM else WorkEnd.UNREACHABLE
    part = AgentPart(end=end_, rest_s=call.rules.no_answer_pause_s)
    if call.is_back:
        return parts.requeue(call, parts.talked(call), now, tried=False, is_leg_over=True)
    return parts.requeue(call, part, now, tried=True, is_leg_over=True)


# ---- the caller's session ------------------------------------------------------------------------


def confirmed(call: Call, event: ev.Confirmed, now: Now) -> Step:
    """Give the relay what this side answered to an offer that it had asked us for."""
    if event.side is Side.CALLER:
        return _caller_confirmed(call, event.sdp, now)
    return _agent_said(call, event.sdp, now, holds=event.holds)


def agent_reinvited(call: Call, event: ev.AgentReinvited, now: Now) -> Step:
    """Give the relay what an agent's telephone answered in ACK: it had asked us for an offer."""
    if not parts.is_present(call, event.attempt):
        return call, ()
    return _agent_said(call, event.sdp, now, holds=event.holds)


def _agent_said(call: Call, sdp: bytes | None, now: Now, *, holds: bool) -> Step:
    if sdp is None or call.agent_leg is not AgentLeg.UP:
        return call, ()
    call, held = parts.held(replace(call, hold=replace(call.hold, asks=holds)), now, on=holds)
    return call, (ef.SettleMedia(side=Side.AGENT, sdp=sdp), *held)


def _caller_confirmed(call: Call, sdp: bytes | None, now: Now) -> Step:
    """Know that the caller has our answer: who has waited for that waits for an agent now."""
    awaited, lacks_session = call.awaits_ack, call.needs_ack and sdp is None
    call = replace(call, is_acknowledged=True)
    if lacks_session:
        return end(call, Outcome.LOST, "no_session_in_ack", now)
    settled = () if sdp is None else (ef.SettleMedia(side=Side.CALLER, sdp=sdp),)
    call = replace(call, needs_ack=False)
    if not awaited:
        return call, settled
    call, queued = parts.queued(call, now)
    return call, (*settled, *queued)


def caller_reinvited(call: Call, event: ev.CallerReinvited, now: Now) -> Step:
    """Close the exchange. When nothing more is owed and the two are joined, they are connected."""
    settled: tuple[ef.Effect, ...] = ()
    if event.sdp is not None:
        settled = (ef.SettleMedia(side=Side.CALLER, sdp=event.sdp),)
    call = replace(call, hears_nothing=False)
    if event.was_asked:
        return call, settled
    call, effects = _offer_over(call, now)
    return call, (*settled, *effects)


def caller_reinvite_refused(call: Call, event: ev.CallerReinviteRefused, now: Now) -> Step:
    """Go on with the session as it was (RFC 3261 §14.1), if the caller is where the audio is.

    Or is to be offered something newer; end else, or if they are gone (§12.2.1.2).
    """
    is_superseded = call.owed_sdp is not None or call.is_media_moving
    is_deaf = call.is_offer_needed and (call.hears_nothing or not is_superseded)
    if event.status in _GONE or is_deaf:
        return end(call, Outcome.LOST, "reinvite_refused", now)
    return _offer_over(replace(call, hears_nothing=False), now)


def _offer_over(call: Call, now: Now) -> Step:
    call, owed = parts.exchange_over(call)
    if call.state is State.JOINING and call.is_joined and call.exchange is Exchange.NONE:
        return parts.connected(call, now, now)
    return call, owed


def offer_made(call: Call, event: ev.OfferMade, _now: Now) -> Step:
    """Put a hold, a resume or a change of address to the relay; the other side need not know."""
    if event.side is Side.AGENT:
        if call.agent_leg is not AgentLeg.UP:
            return call, ()
        # Who asks us for an offer says in the ACK what for.
        holds = call.hold.asks if event.sdp is None else event.holds
        asks = replace(call.hold, asks=holds)
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
    if event.side is Side.CALLER and not event.is_offer:
        call = replace(call, hears_nothing=False)
    answer = ef.AnswerOffer(side=event.side, sdp=event.sdp)
    call, answered = parts.their_offer_over(call, event.side, answer)
    if event.side is Side.CALLER or call.agent_leg is not AgentLeg.UP:
        return call, answered
    call, held = parts.held(call, now, on=call.hold.asks)
    return call, (*answered, *held)


def renegotiation_failed(call: Call, event: ev.RenegotiationFailed, _now: Now) -> Step:
    """Refuse their offer: the session stays as it was (RFC 3261 §14.2)."""
    if event.side is Side.AGENT:
        call = replace(call, hold=replace(call.hold, asks=call.hold.since is not None))
    refused = ef.RefuseOffer(side=event.side, status=_NOT_ACCEPTABLE)
    return parts.their_offer_over(call, event.side, refused)
