"""The moves by which a call ends, and those of one that is ending.

As in `edge.acd.call_moves`: each takes the call, the event and now, and returns the next call with
the effects.
"""

from __future__ import annotations

from msgspec.structs import replace

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_farewell as farewell
from edge.acd import call_parts as parts
from edge.acd import call_writes as wr
from edge.acd.call import Call, CallerLeg, State, Verdict
from edge.acd.call_events import By, Side
from edge.acd.call_farewell import AGENT_HUNG_UP, CALLER_HUNG_UP, CALLER_UNREACHABLE
from edge.acd.call_parts import Step
from edge.acd.ending import CALLBACK_TAKEN, WITHDRAWN
from edge.acd.yielding import ACKNOWLEDGED_ELSEWHERE, CANCELLED
from state.model import Now, Outcome

AGENT_LOST = "agent_lost"
UNHEARD = "goodbye_unheard"
"""Somebody was gone of whom no goodbye had been heard: whether they had said one, nobody knows."""
BOTH_SILENT = "both_silent"
"""Neither was heard any more, and no goodbye of either could come: most likely they had said it."""
CALLER_SILENT = "caller_silent"
"""The caller's line died, in a talk or as they waited: their place is kept, to be called back."""
MEDIA_LOST = "media_lost"
LEFT_IN_TRANSFER = "left_in_transfer"
"""The caller hung up after an agent had passed them on, before another had them."""
HELD_ELSEWHERE = "held_elsewhere"

MERGED = 482
"""RFC 3261 §8.2.2.2: the same request has come by another way, and another edge has it."""
_UNAVAILABLE = 503


# ---- ends ----------------------------------------------------------------------------------------


def caller_left(call: Call, event: ev.CallerEnded, now: Now) -> Step:
    """End a call whose caller has not talked to an agent.

    Who leaves because a fault has left them in silence was cut off by it. Who has two answers, and
    hangs up on ours (RFC 3261 §13.2.2.4), goes on with the other edge.
    """
    call = replace(call, caller=CallerLeg.OVER)
    if event.by is By.THEM:
        if event.is_claimed and not (call.is_passed_on or call.has_talked):
            return end(call, Outcome.LOST, ACKNOWLEDGED_ELSEWHERE, now)
        if call.hears_nothing:
            return end(call, Outcome.LOST, MEDIA_LOST, now)
        if call.is_passed_on:
            return end(call, Outcome.ANSWERED, LEFT_IN_TRANSFER, now)
        if call.has_talked:
            return end(call, Outcome.LOST, AGENT_LOST, now)
        cause = CANCELLED if event.cause == CANCELLED else CALLER_HUNG_UP
        return end(call, Outcome.ABANDONED, cause, now)
    return end(call, Outcome.LOST, _lost_because(event), now)


def waiting_caller_left(call: Call, event: ev.CallerEnded, now: Now) -> Step:
    """End a call whose caller waits, or has just taken the offer to be called back."""
    if call.asked.takes:
        return end(replace(call, caller=CallerLeg.OVER), Outcome.CALLBACK, CALLBACK_TAKEN, now)
    return caller_left(call, event, now)


def caller_done(call: Call, event: ev.CallerEnded, now: Now) -> Step:
    """End a call whose caller has talked to an agent."""
    call = replace(call, caller=CallerLeg.OVER)
    if event.by is By.THEM:
        return end(call, Outcome.ANSWERED, CALLER_HUNG_UP, now)
    return end(call, Outcome.LOST, _lost_because(event), now)


def _lost_because(event: ev.CallerEnded) -> str:
    return UNHEARD if event.by is By.UNHEARD else event.cause or "caller_lost"


def agent_done(call: Call, event: ev.AgentEnded, now: Now) -> Step:
    """End a call whose agent has talked to the caller and hung up.

    A caller whose agent was lost wants to be served, and not to hear a goodbye: they wait again, at
    the old place, which is before all who came later. Of one who has hung up unheard they have
    heard the goodbye themselves.
    """
    if not parts.is_present(call, event.attempt):
        return parts.leg_over(call, event.attempt)
    if event.by in {By.THEM, By.UNHEARD}:
        call = call.without_agent(still_closing=False)
        if event.by is By.THEM:
            return end(call, Outcome.ANSWERED, AGENT_HUNG_UP, now)
        return end(call, Outcome.LOST, UNHEARD, now)
    return parts.requeue(call, parts.talked(call), now, tried=False, is_leg_over=True)


def agent_silent(call: Call, event: ev.AgentSilent, now: Now) -> Step:
    """Put the caller of an agent who is gone back at the old place; end it if both are gone.

    The BYE will not reach the agent's telephone: in either case they are free at once.
    """
    if not parts.is_present(call, event.attempt):
        return call, ()
    if event.is_caller_silent:
        return end(replace(call, is_released=True), Outcome.LOST, BOTH_SILENT, now)
    return parts.requeue(call, parts.talked(call), now, tried=False)


def caller_silent(call: Call, event: ev.CallerSilent, now: Now) -> Step:
    """End a call whose caller is gone: no agent is kept, or rung, for them, and they are missed.

    Nor does anybody wait behind them until our goodbye has been given up.
    """
    if event.attempt != call.attempt:
        return call, ()
    return end(replace(call, is_caller_gone=True), Outcome.LOST, CALLER_SILENT, now)


def media_lost(call: Call, event: ev.MediaLost, now: Now) -> Step:
    """End: nobody hears anybody any more."""
    return end(call, parts.cut(call), event.cause, now)


def stop(call: Call, event: ev.Stop, now: Now) -> Step:
    """End: this edge lets go of its calls."""
    return end(call, parts.cut(call), event.cause, now)


def ticket_lost(call: Call, _event: ev.TicketLost, now: Now) -> Step:
    """End our half: another edge has the call, or has closed it for us."""
    call = replace(call, is_ticket_lost=True)
    return end(call, Outcome.LOST, HELD_ELSEWHERE, now, status=MERGED)


def claimed(call: Call, _event: ev.Claimed, now: Now) -> Step:
    """Give way to the edge whose answer the caller has acknowledged, unless ours is, too."""
    if call.is_acknowledged:
        return call, ()
    call, left = parts.leave_caller(call)
    call, ended = end(call, Outcome.LOST, ACKNOWLEDGED_ELSEWHERE, now, status=MERGED)
    return call, (*left, *ended)


def end(call: Call, outcome: Outcome, cause: str, now: Now, status: int = _UNAVAILABLE) -> Step:
    """Decide the outcome; tell both legs and the relay. `status`: to a caller not answered."""
    talks = call.state is State.CONNECTED
    part = parts.talked(call) if talks or call.is_back else WITHDRAWN
    leaving = _leaving(call)
    said = farewell.said(outcome, cause, talks=talks and call.hold.since is None)
    call, talk = parts.talk_over(call, now)
    call, caller = parts.end_caller(call, status, cause)
    call, agent = parts.end_agent(call, cause)
    call, transferor = parts.end_transferor(call, cause)
    call = replace(
        call,
        state=State.ENDING,
        owed_sdp=None,
        farewell=said,
        verdict=Verdict(
            outcome=outcome,
            cause=cause,
            part=part,
            at=now,
            holds=call.hold.count,
            held_s=call.hold.total_s,
            leaving=leaving,
            talk=talk if talks else None,
        ),
    )
    release = ef.StartTimer(timer=ef.Timer.RELEASE, seconds=call.rules.release_s)
    closing = (ef.CloseMedia(),) if said is None else ()
    return call, (*caller, *agent, *transferor, *closing, release)


def _leaving(call: Call) -> wr.Leaving | None:
    if call.transferor is None:
        return None
    return wr.Leaving(agent=call.transferor.decision.winner, part=parts.talked(call))


# ---- while ending --------------------------------------------------------------------------------


def caller_over(call: Call, event: ev.CallerEnded, _now: Now) -> Step:
    """Note the end of the caller's leg. An agent's goodbye that did not reach them is a loss."""
    verdict = _said_after_all(call, event, CALLER_HUNG_UP)
    is_unheard = event.by in {By.FAULT, By.UNHEARD}
    if is_unheard and verdict is not None and verdict.cause == AGENT_HUNG_UP:
        verdict = replace(verdict, outcome=Outcome.LOST, cause=CALLER_UNREACHABLE)
    call = farewell.leg_over(call, event)
    return replace(call, caller=CallerLeg.OVER, verdict=verdict), ()


def confirmed_ending(call: Call, event: ev.Confirmed, _now: Now) -> Step:
    """Note that it is our answer that the caller has: they hear our goodbye."""
    is_theirs = event.side is Side.CALLER
    return replace(call, is_acknowledged=call.is_acknowledged or is_theirs), ()


def claimed_ending(call: Call, _event: ev.Claimed, _now: Now) -> Step:
    """Give way, as above, and wait no longer for a caller who will not hear our goodbye."""
    if call.is_acknowledged or call.is_close_asked or call.verdict is None:
        return call, ()
    verdict = replace(call.verdict, outcome=Outcome.LOST, cause=ACKNOWLEDGED_ELSEWHERE)
    return parts.leave_caller(replace(call, verdict=verdict))


def agent_over(call: Call, event: ev.AgentRejected | ev.AgentEnded, _now: Now) -> Step:
    """Note the end of an agent's leg that we gave up."""
    # An agent before them may be said goodbye to yet, at a site that is frozen.
    if isinstance(event, ev.AgentEnded) and event.attempt == call.attempt:
        call = replace(call, verdict=_said_after_all(call, event, AGENT_HUNG_UP))
        call = farewell.leg_over(call, event)
    return parts.leg_over(call, event.attempt)


def _said_after_all(
    call: Call, event: ev.CallerEnded | ev.AgentEnded, cause: str
) -> Verdict | None:
    """Return the verdict on a call once a goodbye has come that crossed ours.

    That both had left was a guess, and a loss because nobody had heard them say so. Now somebody
    has, and answers: the first to come has ended the call. Any other end stands as we know it.
    """
    verdict = call.verdict
    if verdict is None or verdict.cause != BOTH_SILENT or event.by is not By.BOTH:
        return verdict
    if call.is_close_asked:
        return verdict
    return replace(verdict, outcome=Outcome.ANSWERED, cause=cause)


def release_timeout(call: Call, _event: ev.ReleaseTimeout, _now: Now) -> Step:
    """Wait no longer for the legs before the agent is let go."""
    return replace(call, is_released=True), ()


def ticket_lost_ending(call: Call, _event: ev.TicketLost, _now: Now) -> Step:
    """Keep no agent; unless it is our own close that the mirror shows."""
    return replace(call, is_ticket_lost=call.is_ticket_lost or not call.is_close_asked), ()


def settle(call: Call) -> Step:
    """Write what is due of an ending call, and end it when nothing is left."""
    call, media = farewell.settled(call)
    call, writes = parts.write_ending(call)
    effects = (*media, *writes)
    if call.has_legs or call.writes or not call.is_close_asked or call.verdict is None:
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
    return end(call, Outcome.LOST, HELD_ELSEWHERE, now, status=MERGED)


def write_refused_ending(call: Call, event: ev.WriteRefused, _now: Now) -> Step:
    """Count the write off, and note what is no longer ours."""
    call = replace(call, writes=call.writes - 1)
    match event.write:
        case (
            wr.CreateTicket()
            | wr.MarkQueued()
            | wr.TakeCallback()
            | wr.MarkConnected()
            | wr.MarkHold()
            | wr.PassOn()
            | wr.HandBack()
        ):
            return replace(call, is_ticket_lost=True), ()
        case wr.GiveBack() | wr.MoveToQueue():
            # Whoever closed the ticket freed its agent too; asking once more does no harm.
            return replace(call, is_ticket_lost=True, is_agent_held=True), ()
        case wr.FreeAgent() | wr.FreeTransferor() | wr.Close():
            # Somebody else has done it.
            return call, ()
