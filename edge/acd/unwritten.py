"""What the former life of an edge had decided of a call, and could not write any more. PURE.

Its journal has the ticket as it would have been (`told`); the store has what was written. Between
the two a caller may not be seen to wait, or to talk, whom nobody would serve then; and there may be
agents who were out of the call, whom nobody else would free before it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.ending import WITHDRAWN, AgentPart
from edge.acd.plan import (
    GivenAgent,
    Held,
    Plan,
    put_offer,
    put_ticket,
    rewritten,
    same_offer,
    same_ticket,
)
from edge.acd.relaxation import waited_s
from edge.acd.reservation import freeing_of
from state.model import AgentId, Entry, Now, Offer, OfferState, Ticket, TicketState, WorkEnd
from state.store import Compare, Delete, Put


class Told(Struct, frozen=True, kw_only=True):
    """What the journal tells of a call that is more than its place."""

    ticket: Ticket
    transferor: AgentId | None = None
    """Who has passed the caller on, and is not out yet."""
    consulted: AgentId | None = None
    """Whom the agent had called to ask them."""
    hold_since_ms: int | None = None
    """Since when the agent has the caller on hold."""
    wrap_up_s: float = 0.0
    """For how long rests who has talked."""

    @property
    def agents(self) -> Collection[AgentId]:
        """Whom the call had."""
        known = (self.ticket.agent, self.transferor, self.consulted)
        return {each for each in known if each is not None}


def held_as_told(ticket: Entry[Ticket], given: Mapping[AgentId, GivenAgent], told: Told) -> Held:
    """Return what is held of a call, by what was told; `given`: who is given to it by the store."""
    roles = (told.ticket.agent, told.transferor, told.consulted)
    held: list[GivenAgent | None] = []
    for place, agent in enumerate(roles):
        is_new = agent is not None and agent not in roles[:place]
        held.append(given.get(agent) if agent is not None and is_new else None)
    agent_, transferor, consulted = held
    return Held(ticket=ticket, given=agent_, transferor=transferor, consulted=consulted)


def held_by_copy(ticket: Entry[Ticket], given: Mapping[AgentId, GivenAgent], told: Told) -> Held:
    """Return the same by a copy of the store that the former life may have outlived.

    Whom it shows with the caller may have left, and nobody can say; who has the caller since is
    held as well, and so freed with the call.
    """
    known, value = told.ticket, ticket.value
    if known.state is TicketState.CONNECTED and known.agent == value.agent:
        ticket = replace(ticket, value=as_told(value, known))
    seen = replace(told, ticket=value, consulted=told.consulted or known.agent)
    return held_as_told(ticket, given, seen)


def caught_up(held: Held, out: Sequence[GivenAgent], told: Told, at: Now) -> Plan | None:
    """Plan to write what was told of a call and does not stand in the store; None: all does.

    `held` is as told, `out`: whoever else is given to the call, who were out of it. Of these who
    has talked rests, as they would have.
    """
    compares: tuple[Compare, ...] = (same_ticket(held.ticket),)
    success: tuple[Put | Delete, ...] = ()
    parts = {
        talk.agent: AgentPart(end=WorkEnd.TALKED, rest_s=told.wrap_up_s)
        for talk in told.ticket.talks
    }
    for each in out:
        freeing = freeing_of(each, parts.get(_agent(each), WITHDRAWN), at)
        compares += freeing.compares
        success += freeing.success
    given = held.given
    offer = None if given is None else _talking(given.offer.value, told)
    if given is not None and offer is not None:
        compares += (same_offer(given.offer),)
        success += (put_offer(offer),)
        held = replace(held, given=replace(given, offer=rewritten(given.offer, offer, at)))
    value = _caught_up(held, {_agent(each) for each in out}, told.ticket, at)
    if value is not None:
        success += (put_ticket(value),)
        held = replace(held, ticket=rewritten(held.ticket, value, at))
    proof = next((each for each in success if isinstance(each, Put)), None)
    if proof is None:
        return None
    return Plan(compares=compares, success=success, proof=proof, after=held)


def as_told(ticket: Ticket, told: Ticket) -> Ticket:
    """Return the ticket as it would have been; its place, which nobody has told of, stays."""
    return replace(
        ticket,
        state=told.state,
        agent=told.agent,
        idle_s=ticket.idle_s if told.idle_s is None else told.idle_s,
        queue=told.queue,
        needs=told.needs,
        any_of=told.any_of,
        attributes=told.attributes,
        priority=told.priority,
        tried=told.tried,
        queued_ms=told.queued_ms,
        connected_ms=told.connected_ms,
        talks=told.talks,
        talking_ms=told.talking_ms,
        takes_callback=told.takes_callback,
    )


# ---- parts ---------------------------------------------------------------------------------------


def _caught_up(held: Held, out: Collection[AgentId], told: Ticket, at: Now) -> Ticket | None:
    """Return the ticket as it is to be written; None: it stands so."""
    before = held.ticket.value
    agent = None if held.given is None else _agent(held.given)
    if agent != told.agent and before.agent not in out:
        # Whom it was told of somebody else has freed.
        return None
    value = as_told(before, told)
    if value == before:
        return None
    if TicketState.CONNECTED in {before.state, told.state}:
        # A talk does not count as waiting.
        return value
    return replace(value, waited_s=waited_s(replace(held.ticket, value=value), at))


def _talking(offer: Offer, told: Told) -> Offer | None:
    """Return the offer of an agent who talks as it is to be written; None: it stands so."""
    ticket = told.ticket
    if ticket.state is not TicketState.CONNECTED or offer.agent != ticket.agent:
        return None
    since_ms = ticket.talking_ms or ticket.connected_ms
    if since_ms is None or offer.state is OfferState.TALKING:
        since_ms = offer.since_ms
    talks = replace(
        offer, state=OfferState.TALKING, since_ms=since_ms, hold_since_ms=told.hold_since_ms
    )
    return None if talks == offer else talks


def _agent(given: GivenAgent) -> AgentId:
    return given.offer.value.agent
