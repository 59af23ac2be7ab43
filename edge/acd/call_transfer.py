"""The moves of a transfer: an agent passes the caller on, to another agent or into a queue.

As in `edge.acd.call_moves`: each takes the call, the event and now, and returns the next call with
the effects. RFC 5589 has the words: the *transferor* passes on, the *target* is to have the caller.

The laws:

- The caller is never without somebody who answers for them: the transferor stays reserved, and
  their leg stays up, until the target and the caller hear each other. A transferor who hangs up is
  out at once; then a target who cannot be had costs the caller nothing but music, at the old place.
- A target who cannot be had brings the caller back to a transferor who is still there.
- The caller hears music in between, and is not on hold.
- A target who was consulted is there already (`edge.acd.consultation`): nobody is rung, their
  telephone is asked in by re-INVITE, as one is that takes the caller back.
"""

from __future__ import annotations

from msgspec.structs import replace

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_moves as moves
from edge.acd import call_parts as parts
from edge.acd import call_writes as wr
from edge.acd.call import AgentLeg, Call, Rules, State, Transferor
from edge.acd.call_events import Attempt, Side
from edge.acd.call_parts import Step
from edge.acd.ending import WITHDRAWN, AgentPart
from state.model import Now

_RINGS = 180
_DONE = 200
_PENDING = 491
_NOBODY = 480


def passed_to_agent(call: Call, event: ev.PassedToAgent, now: Now) -> Step:
    """Let the caller hear music, and get hold of the target."""
    return _passed_on(call, ef.ReserveTarget(agent=event.target), now)


def passed_to_consulted(call: Call, _event: ev.PassedToConsulted, now: Now) -> Step:
    """Let the caller hear music, and give them to the one who is there."""
    return _passed_on(call, ef.HandOver(), now)


def _passed_on(call: Call, wanted: ef.ReserveTarget | ef.HandOver, now: Now) -> Step:
    if call.decision is None:
        return call, ()
    transferor = Transferor(attempt=call.attempt, decision=call.decision)
    call, talk = parts.talk_over(call, now)
    call, passed = parts.write(call, wr.PassOn(talk=talk, at=now))
    call = replace(
        call,
        state=State.TRANSFERRING,
        agent_leg=AgentLeg.NONE,
        is_joined=False,
        joined_at=None,
        is_media_moving=True,
        owed_sdp=None,
        is_passed_on=True,
        transferor=transferor,
    )
    return call, (passed, ef.RequeueMedia(), wanted)


def passed_to_queue(call: Call, event: ev.PassedToQueue, now: Now) -> Step:
    """Put the caller into another queue. That is all there is to it: the agent is out."""
    attempt, part = call.attempt, parts.talked(call)
    call, talk = parts.talk_over(call, now)
    call, hung_up = parts.end_agent(call, "transferred")
    call = replace(
        call,
        state=State.QUEUED,
        rules=Rules.of(event.queue, greeting=False),
        is_agent_held=False,
        is_media_moving=True,
        owed_sdp=None,
        is_passed_on=True,
        has_talked=False,
    )
    call, moved = parts.write(call, wr.MoveToQueue(queue=event.queue, part=part, talk=talk, at=now))
    told = ef.TellTransferor(attempt=attempt, status=_DONE)
    return call, (told, *hung_up, moved, ef.RequeueMedia())


def target_reserved(call: Call, event: ev.Reserved, now: Now) -> Step:
    """Ring the target. A transferor who has hung up meanwhile is free."""
    call, effects = moves.reserved(call, event, now)
    if call.transferor is None or call.transferor.is_up:
        return call, effects
    call, freed = _freed(call, now)
    return call, (*effects, *freed)


def consulted_given(call: Call, event: ev.ConsultedGiven, now: Now) -> Step:
    """Ask the telephone of the one who was consulted into the session."""
    attempt = Attempt(call.attempt + 1)
    effects: tuple[ef.Effect, ...] = ()
    if call.transferor is not None and not call.transferor.is_up:
        call, effects = _freed(call, now)
    call = replace(
        call,
        state=State.RETURNING,
        attempt=attempt,
        agent_leg=AgentLeg.UP if event.is_there else AgentLeg.NONE,
        decision=event.decision,
        is_agent_held=True,
    )
    if not event.is_there:
        call, more = parts.requeue(call, WITHDRAWN, now, tried=False, is_leg_over=True)
        return call, (*effects, *more)
    prepare = ef.PrepareAgent(attempt=attempt, agent=event.decision.winner)
    return call, (*effects, ef.TakeConsulted(attempt=attempt), prepare)


def target_refused(call: Call, event: ev.TargetRefused, now: Now) -> Step:
    """Bring the caller back; to the queue, if nobody is there any more."""
    if call.transferor is not None and call.transferor.is_up:
        return parts.hand_back(call, WITHDRAWN, now, status=event.status)
    back = wr.GiveBack(part=parts.talked(call), tried=False, at=now, has_talked=True)
    call = replace(call, state=State.QUEUED, is_agent_held=False, transferor=None)
    call, given_back = parts.write(call, back)
    return call, (given_back,)


def target_rings(call: Call, event: ev.AgentProgress, _now: Now) -> Step:
    """Let the transferor know."""
    transferor = call.transferor
    if transferor is None or event.attempt != call.attempt:
        return call, ()
    return call, (ef.TellTransferor(attempt=transferor.attempt, status=_RINGS),)


def left_while_passing(call: Call, event: ev.AgentEnded, _now: Now) -> Step:
    """Note that the transferor has hung up; whether the target can be had is not known yet."""
    transferor = call.transferor
    if transferor is None or event.attempt != transferor.attempt:
        return parts.leg_over(call, event.attempt)
    return replace(call, transferor=replace(transferor, is_up=False)), ()


def left_while_served(call: Call, event: ev.AgentEnded, now: Now) -> Step:
    """Let a transferor go who hangs up while the target is being rung or joined."""
    if call.transferor is None or event.attempt != call.transferor.attempt:
        return moves.agent_left(call, event, now)
    return _freed(call, now)


def media_moved(call: Call, event: ev.MediaRequeued, now: Now) -> Step:
    """Tell the caller's telephone where the music is, unless the relay has gone on since."""
    return moves.media_requeued(call, event, now) if call.is_media_moving else (call, ())


def transferor_offers(call: Call, event: ev.OfferMade, now: Now) -> Step:
    """Refuse, for a moment, what the transferor's telephone wants: it is in no session now."""
    if event.side is Side.AGENT:
        return call, (ef.RefuseOffer(side=Side.AGENT, status=_PENDING),)
    return moves.offer_made(call, event, now)


# ---- the caller comes back -----------------------------------------------------------------------


def returning_media_ready(call: Call, event: ev.AgentMediaReady, _now: Now) -> Step:
    """Ask the transferor's telephone back into the session."""
    if not parts.is_present(call, event.attempt):
        return call, ()
    return call, (ef.ReinviteAgent(attempt=event.attempt, sdp=event.sdp),)


def reinvited(call: Call, event: ev.AgentReinvited, now: Now) -> Step:
    """Join the two again. What the telephone has said before it was asked back joins nobody."""
    if event.was_asked or not parts.is_present(call, event.attempt):
        return call, ()
    if event.sdp is None:
        refused = ev.AgentReinviteRefused(attempt=event.attempt, status=_NOBODY)
        return reinvite_refused(call, refused, now)
    call = replace(call, state=State.JOINING, hold=replace(call.hold, asks=event.holds))
    return call, (ef.JoinMedia(attempt=event.attempt, sdp=event.sdp),)


def reinvite_refused(call: Call, event: ev.AgentReinviteRefused, now: Now) -> Step:
    """Put the caller back into the queue, or to the transferor: this one cannot take them."""
    if not parts.is_present(call, event.attempt):
        return call, ()
    return parts.requeue(call, _part(call), now, tried=False)


def returning_left(call: Call, event: ev.AgentEnded, now: Now) -> Step:
    """Put the caller back into the queue, or to the transferor: this one has hung up.

    Or let a transferor go who hangs up while the one whom they had consulted is asked in.
    """
    if parts.is_present(call, event.attempt):
        return parts.requeue(call, _part(call), now, tried=False, is_leg_over=True)
    if call.transferor is not None and event.attempt == call.transferor.attempt:
        return _freed(call, now)
    return parts.leg_over(call, event.attempt)


def _part(call: Call) -> AgentPart:
    """Return the part of one who is asked in: who was consulted has not talked with the caller."""
    return parts.talked(call) if call.is_back else WITHDRAWN


def _freed(call: Call, now: Now) -> Step:
    free = wr.FreeTransferor(part=parts.talked(call), at=now)
    call, freed = parts.write(replace(call, transferor=None), free)
    return call, (freed,)
