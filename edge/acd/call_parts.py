"""What moves of a call are made of: legs and offers that end, writes that are asked for. PURE."""

from __future__ import annotations

from typing import TypeAlias

from msgspec.structs import replace

from edge.acd import call_effects as ef
from edge.acd import call_writes as wr
from edge.acd.call import AgentLeg, Call, CallerLeg, Exchange, State, Verdict
from edge.acd.call_events import Attempt, Side
from edge.acd.ending import AgentPart, Holds
from state.model import Now, Outcome, WorkEnd

Step: TypeAlias = tuple[Call, tuple[ef.Effect, ...]]
_DONE = 200
_NOBODY = 480


def talked(call: Call) -> AgentPart:
    """Return the part of an agent who has talked: wrap-up follows."""
    return AgentPart(end=WorkEnd.TALKED, rest_s=call.rules.wrap_up_s)


def write(call: Call, asked: wr.Write) -> tuple[Call, ef.Store]:
    """Ask for a write, and count it."""
    return replace(call, writes=call.writes + 1), ef.Store(write=asked)


def write_ending(call: Call) -> Step:
    """Ask for what an ending call owes: the record, and before it the agent's freedom."""
    verdict = call.verdict
    is_agent_gone = call.agent_leg is AgentLeg.NONE and not call.closing
    may_let_go = is_agent_gone or call.is_released
    if verdict is None or call.is_close_asked:
        return call, ()
    if call.is_ticket_lost and call.is_agent_held and may_let_go:
        # The record will most likely be refused, and the agent would not be freed with it.
        return _free(call, verdict)
    is_caller_over = call.caller is CallerLeg.OVER or call.is_caller_gone
    is_over = is_caller_over and (may_let_go or not call.is_agent_held)
    if is_over and call.farewell is None:
        return _close(call, verdict)
    if call.is_agent_held and call.is_released:
        return _free(call, verdict)
    return call, ()


def _close(call: Call, verdict: Verdict) -> Step:
    """Ask for the record; also of a ticket that seems lost: whether it is, only the store knows."""
    close = wr.Close(
        leaving=verdict.leaving,
        talk=verdict.talk,
        outcome=verdict.outcome,
        cause=verdict.cause,
        part=verdict.part,
        decision=call.decision,
        at=verdict.at,
        holds=verdict.holds,
        held_s=verdict.held_s,
    )
    call, asked = write(replace(call, is_close_asked=True, is_agent_held=False), close)
    return call, (asked,)


def _free(call: Call, verdict: Verdict) -> Step:
    free = wr.FreeAgent(part=verdict.part, at=verdict.at, leaving=verdict.leaving)
    call, asked = write(replace(call, is_agent_held=False), free)
    return call, (asked,)


def held(call: Call, now: Now, *, on: bool) -> Step:
    """Note that the agent holds the caller, or does no longer; let the others see it."""
    if call.state is not State.CONNECTED:
        # Of an agent who holds before the two are joined it counts from when they are.
        return replace(call, hold=replace(call.hold, asks=on)), ()
    before = call.hold.since is not None
    call = replace(call, hold=call.hold.turned(on=on, now=now))
    if before is on:
        return call, ()
    call, written = write(call, wr.MarkHold(on=on, at=now))
    return call, (written,)


def queued(call: Call, now: Now) -> Step:
    """Let the others see that the caller waits, once they can take an agent."""
    if call.state is not State.QUEUED or call.awaits_ack:
        return call, ()
    call, queued = write(call, wr.MarkQueued(at=now))
    return call, (queued,)


def connected(call: Call, at: Now, now: Now) -> Step:
    """Let the two talk, since `at`."""
    call = replace(
        call, state=State.CONNECTED, talk_held=call.hold, is_passed_on=False, is_back=False
    )
    call, written = write(call, wr.MarkConnected(at=at))
    call, served = transfer_done(call, now)
    call, held_ = held(call, now, on=call.hold.asks)
    return call, (written, *served, *held_)


def is_present(call: Call, attempt: Attempt) -> bool:
    """Tell whether the leg of this attempt is the present one."""
    return attempt == call.attempt and call.agent_leg is not AgentLeg.NONE


def leg_over(call: Call, attempt: Attempt) -> Step:
    """Note that a leg which was being ended is over."""
    return replace(call, closing=call.closing - {attempt}), ()


def requeue(  # noqa: PLR0913  who leaves, how, and what is told
    call: Call,
    part: AgentPart,
    now: Now,
    *,
    tried: bool,
    is_leg_over: bool = False,
    status: int = _NOBODY,
) -> Step:
    """Put the caller back in the queue, at the old place, and the agent out of the call.

    Or back to the agent who had passed them on, as long as that one is there; `status` tells them
    why.
    """
    if call.transferor is not None and call.transferor.is_up:
        return hand_back(call, part, now, is_leg_over=is_leg_over, status=status)
    talks = call.state is State.CONNECTED
    has_talked = talks or call.is_back
    was_joined = talks or call.state is State.JOINING
    talk: Holds | None = None
    if talks:
        call, talk = talk_over(call, now)
    call = replace(call, hold=replace(call.hold, asks=False))
    effects: tuple[ef.Effect, ...] = (ef.StopTimer(timer=ef.Timer.RING),)
    if is_leg_over:
        call = call.without_agent(still_closing=False)
    else:
        call, effects = end_agent(call, part.end.value)
    call = replace(
        call,
        state=State.QUEUED,
        is_agent_held=False,
        is_media_moving=was_joined or call.is_media_moving,
        owed_sdp=None,
        has_talked=call.has_talked or talks,
        is_back=False,
    )
    back = wr.GiveBack(part=part, tried=tried, at=now, has_talked=has_talked, talk=talk)
    call, given_back = write(call, back)
    moving = (ef.RequeueMedia(),) if was_joined else ()
    return call, (*effects, given_back, *moving)


def talk_over(call: Call, now: Now) -> tuple[Call, Holds]:
    """End the talk; return how the agent had the caller on hold in it, and is to rest after it."""
    hold = replace(call.hold.turned(on=False, now=now), asks=False)
    count = hold.count - call.talk_held.count
    total_s = round(hold.total_s - call.talk_held.total_s, 3)
    talk = Holds(count=count, total_s=total_s, wrap_up_s=call.rules.wrap_up_s)
    return replace(call, hold=hold), talk


def hand_back(
    call: Call, part: AgentPart, now: Now, *, is_leg_over: bool = False, status: int = _NOBODY
) -> Step:
    """Bring the caller back to the transferor; `part` is the target's, if one was reserved.

    The transferor's leg goes on as a further attempt: what comes of earlier ones is past.
    """
    transferor = call.transferor
    if transferor is None:
        return call, ()
    was_joined = call.state is State.JOINING
    ended: tuple[ef.Effect, ...] = (ef.StopTimer(timer=ef.Timer.RING),)
    if is_leg_over:
        call = call.without_agent(still_closing=False)
    else:
        call, ended = end_agent(call, part.end.value)
    attempt = Attempt(call.attempt + 1)
    call = replace(
        call,
        state=State.RETURNING,
        attempt=attempt,
        agent_leg=AgentLeg.UP,
        decision=transferor.decision,
        is_agent_held=True,
        is_media_moving=was_joined or call.is_media_moving,
        transferor=None,
        is_back=True,
    )
    agent = transferor.decision.winner
    call, handed_back = write(call, wr.HandBack(part=part, agent=agent, at=now))
    moving = (ef.RequeueMedia(),) if was_joined else ()
    return call, (
        *ended,
        handed_back,
        *moving,
        ef.TellTransferor(attempt=transferor.attempt, status=status),
        ef.TakeBack(attempt=attempt, was=transferor.attempt),
        ef.PrepareAgent(attempt=attempt, agent=agent),
    )


def transfer_done(call: Call, now: Now) -> Step:
    """Let the transferor go: the target has the caller."""
    transferor = call.transferor
    if transferor is None:
        return call, ()
    told = ef.TellTransferor(attempt=transferor.attempt, status=_DONE)
    call, hung_up = end_transferor(call, "transferred")
    call, freed = write(call, wr.FreeTransferor(part=talked(call), at=now))
    return call, (told, *hung_up, freed)


def end_transferor(call: Call, reason: str) -> Step:
    """Hang up on the transferor, if their leg is up."""
    transferor = call.transferor
    if transferor is None:
        return call, ()
    call = replace(call, transferor=None)
    if not transferor.is_up:
        return call, ()
    call = replace(call, closing=call.closing | {transferor.attempt})
    return call, (ef.HangUpAgent(attempt=transferor.attempt, reason=reason),)


def end_caller(call: Call, status: int, reason: str) -> Step:
    """End the caller's leg. `status`: to one who was not answered."""
    match call.caller:
        case CallerLeg.EARLY:
            call = replace(call, caller=CallerLeg.OVER)
            return call, (ef.RejectCaller(status=status, reason=reason),)
        case CallerLeg.UP:
            call = replace(call, caller=CallerLeg.CLOSING)
            return call, (ef.HangUpCaller(reason=reason),)
        case CallerLeg.CLOSING | CallerLeg.OVER:
            return call, ()


def leave_caller(call: Call) -> Step:
    """Let go of a caller who has another edge's answer, and never had ours."""
    if call.caller not in {CallerLeg.UP, CallerLeg.CLOSING}:
        return call, ()
    return replace(call, caller=CallerLeg.OVER), (ef.LeaveCaller(),)


def end_agent(call: Call, reason: str) -> Step:
    """End the leg of the present attempt."""
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


def offer_to_caller(call: Call, sdp: bytes, *, is_needed: bool) -> Step:
    """Offer the caller a changed session, now or once the open exchange is over."""
    call = replace(call, is_offer_needed=is_needed)
    if call.exchange is not Exchange.NONE:
        return replace(call, owed_sdp=sdp), ()
    return replace(call, exchange=Exchange.OURS), (ef.ReinviteCaller(sdp=sdp),)


def exchange_over(call: Call) -> Step:
    """Close the exchange on the caller's leg; begin the one that is owed."""
    owed = call.owed_sdp
    call = replace(call, exchange=Exchange.NONE, owed_sdp=None)
    if owed is None:
        return call, ()
    return offer_to_caller(call, owed, is_needed=call.is_offer_needed)


def their_offer_over(call: Call, side: Side, reply: ef.Effect) -> Step:
    """Give the reply to an offer of theirs, if it still waits for one."""
    if side is Side.AGENT:
        return call, (reply,) if call.agent_leg is AgentLeg.UP else ()
    if call.exchange is not Exchange.THEIRS:
        return call, ()
    call, owed = exchange_over(call)
    return call, (reply, *owed)


def cut(call: Call) -> Outcome:
    """Return what a call cut off by a fault counts as: one not answered yet was refused."""
    return Outcome.REFUSED if call.caller is CallerLeg.EARLY else Outcome.LOST
