"""The transactions that give an agent to a call: one that waits, or one that has just come. PURE.

Owns what is compared before an agent is given; the laws of all plans are `edge.acd.reservation`'s.

A caller who finds an agent free does not wait for two transactions, the ticket's and then the
agent's: both are written by one (`created_with_agent`). It is decided on the snapshot with the
tickets in it that are about to be written (`with_tickets`), as the last to have come; so whoever is
seen to wait goes first, as in every match. If the agent is taken meanwhile, the same transaction
writes the ticket alone, and the call waits like any other.

With an agent whom a caller gets at the place of a call that is left behind (`edge.acd.heirs`) goes
that place: over that call's ticket as it was, and if nobody has had the place; or, where the ticket
has been closed by then, over the place that it left, which goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.heirs import Left, inheriting
from edge.acd.match import Offering
from edge.acd.places import taking
from edge.acd.plan import (
    OWN,
    GivenAgent,
    Held,
    Plan,
    put_offer,
    put_ticket,
    rewritten,
    same_ticket,
    same_work,
)
from edge.acd.relaxation import waited_s
from edge.acd.reservation import created
from edge.acd.token import Token
from edge.acd.work import idle_before_s, idle_told_s, rest_over_s
from state import keys
from state.codec import encode
from state.model import (
    FIRST_EPOCH,
    CallId,
    EdgeId,
    Entry,
    Heir,
    Now,
    Offer,
    OfferState,
    Place,
    Ticket,
    TicketState,
)
from state.snapshot import Snapshot
from state.store import Absent, Compare, Delete, ModIs, Put


class _Grant(Struct, frozen=True):
    """An agent who is given: their offer, and on what that rests."""

    given: GivenAgent
    put: Put
    rests_on: tuple[Compare, ...]


def _grant(
    offering: Offering, snapshot: Snapshot, *, edge: EdgeId, at: Now, alone: Token | None
) -> _Grant:
    agent = offering.agent
    presence = snapshot.presences.get(agent)
    epoch = FIRST_EPOCH if presence is None else presence.value.epoch
    offer = Offer(
        agent=agent,
        call=offering.call,
        edge=edge,
        state=OfferState.RINGING,
        since_ms=at.wall_ms,
        epoch=epoch if alone is None else alone.epoch,
        granted=None if alone is None else alone.revision,
    )
    work = snapshot.works.get(agent)
    given = GivenAgent(
        offer=Entry(value=offer, create_revision=OWN, mod_revision=OWN, seen_s=at.mono_s),
        work=work,
        work_revision=offering.work_revision,
        idle_s=idle_before_s(presence, work, at),
        since_s=at.mono_s,
        rest_over_s=rest_over_s(presence, work),
    )
    put = put_offer(offer)
    rests_on = (
        ModIs(key=keys.presence(agent), mod_revision=offering.presence_revision),
        same_work(agent, offering.work_revision),
        Absent(key=put.key),
    )
    return _Grant(given, put, rests_on)


class _Inherited(Struct, frozen=True):
    """What goes with an agent who is given at the place of another call, if one is."""

    ticket: Ticket
    rests_on: tuple[Compare, ...] = ()
    does: tuple[Put | Delete, ...] = ()


def _inherited(ticket: Ticket, left: Left | None, at: Now) -> _Inherited:
    if left is None:
        return _Inherited(ticket)
    if isinstance(left.value, Place):
        return _Inherited(inheriting(ticket, left, at.mono_s), *taking((left,)))
    record = Heir(call=left.value.call, heir=ticket.call)
    put = Put(key=keys.heir(record.call), value=encode(record))
    inherited = inheriting(ticket, left, at.mono_s)
    return _Inherited(inherited, (same_ticket(left), Absent(key=put.key)), (put,))


def reserved(  # noqa: PLR0913 - what is decided, what is held, by whom and when
    offering: Offering,
    held: Held,
    snapshot: Snapshot,
    *,
    edge: EdgeId,
    at: Now,
    alone: Token | None = None,
    left: Left | None = None,
) -> Plan:
    """Plan to give the agent to the call, if nothing on which the match rested has changed.

    `snapshot` is the one of the match; only the agent's past comes from it. The revision at which
    this lands is the token's, but without a quorum: then it is `alone`. `left`: at whose place the
    call stood.
    """
    grant = _grant(offering, snapshot, edge=edge, at=at, alone=alone)
    waiting = replace(held.ticket.value, waited_s=waited_s(held.ticket, at))
    # Who has been given the place back meanwhile has it.
    inherited = _inherited(waiting, left if waiting.place is None else None, at)
    ticket = replace(
        inherited.ticket,
        state=TicketState.OFFERED,
        agent=offering.agent,
        idle_s=idle_told_s(grant.given.work, grant.given.idle_s),
    )
    put = put_ticket(ticket)
    seen = ModIs(key=put.key, mod_revision=offering.ticket_revision)
    compares = (seen, same_ticket(held.ticket), *grant.rests_on, *inherited.rests_on)
    return Plan(
        compares=tuple(dict.fromkeys(compares)),
        success=(grant.put, put, *inherited.does),
        proof=grant.put,
        after=replace(
            held, ticket=rewritten(held.ticket, ticket, at), given=grant.given, transferor=None
        ),
    )


NOT_YET: Final = 1 << 61
"""Above every revision of the store: the place of a ticket that is about to be written."""


def about_to_be_written(ticket: Ticket, now: Now, place: int = NOT_YET) -> Entry[Ticket]:
    """Return the entry of a ticket that the store has not got yet."""
    return Entry(value=ticket, create_revision=place, mod_revision=place, seen_s=now.mono_s)


def with_tickets(snapshot: Snapshot, coming: Mapping[CallId, Entry[Ticket]]) -> Snapshot:
    """Return the snapshot with tickets that are about to be written, after all that are."""
    calling = snapshot.calling
    for call, entry in coming.items():
        if (by := entry.value.by) is not None:
            calling = calling.set(by, calling.get(by, frozenset()) | {call})
    return replace(snapshot, tickets=snapshot.tickets.update(coming), calling=calling)


def as_it_came(ticket: Ticket) -> Ticket:
    """Return the ticket on which an agent was given to a call with its very creation."""
    return replace(ticket, state=TicketState.QUEUED, agent=None)


def created_with_agent(  # noqa: PLR0913 - what is decided, for whom, by whom and when
    offering: Offering,
    ticket: Ticket,
    snapshot: Snapshot,
    *,
    edge: EdgeId,
    at: Now,
    left: Left | None = None,
) -> Plan:
    """Plan for an arrival whom an agent is free for: ticket and offer, or else the ticket alone.

    `snapshot` is the one of the match; `left`: at whose place the call stood in it.
    """
    alone = created(ticket, at)
    grant = _grant(offering, snapshot, edge=edge, at=at, alone=None)
    inherited = _inherited(ticket, left, at)
    value = replace(
        inherited.ticket,
        state=TicketState.OFFERED,
        agent=offering.agent,
        idle_s=idle_told_s(grant.given.work, grant.given.idle_s),
    )
    put = put_ticket(value)
    entry = Entry(value=value, create_revision=OWN, mod_revision=OWN, seen_s=at.mono_s)
    return Plan(
        compares=(*alone.compares, *grant.rests_on, *inherited.rests_on),
        success=(grant.put, put, *inherited.does),
        proof=put,
        after=Held(ticket=entry, given=grant.given),
        otherwise=alone,
    )
