"""PURE. With whom each agent talks, or has talked last and still wraps up; by the shared state.

The number of a caller stands in the ticket, which is gone when the agent wraps up; so the last one
is remembered here, from the moment the two talk until the agent rings again.

The laws:

- Who only rings has not talked: they see nobody yet.
- Where the call is held does not matter: a call that has moved to another site or edge is the same.
- When the rest is over, it is over, however long ago this was looked at last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from immutables import Map
from msgspec import Struct

from control_plane.customers.numbers import dialled
from edge.acd.eligibility import rest_ends_s
from edge.acd.region import region_of
from state.keys import Kind
from state.model import (
    MAIN,
    AgentId,
    CallId,
    DidNumber,
    Now,
    OfferState,
    QueueId,
    SiteId,
    TenantId,
    Ticket,
)
from state.snapshot import Delta, Snapshot

NONE: Final[Map[AgentId, Talk]] = Map()


class Talk(Struct, frozen=True, kw_only=True):
    """An agent's call, from the first word on."""

    agent: AgentId
    call: CallId
    tenant: TenantId
    number: str
    """E.164, or what else the caller's side said; empty: nothing."""
    queue: str
    did: str
    site: SiteId
    connected_ms: int | None
    offered_at: int
    """The revision from which the two talk: work that is older is of an earlier call."""

    def __repr__(self) -> str:
        """Say nothing of the caller."""
        return f"Talk({self.agent}, {self.call})"


def followed(
    held: Map[AgentId, Talk], snapshot: Snapshot, deltas: Iterable[Delta]
) -> Map[AgentId, Talk]:
    """Return `held` with what the deltas that led to `snapshot` make of it."""
    for delta in deltas:
        if delta.kind not in (Kind.OFFER, Kind.TICKET):
            continue
        for agent in _concerned(delta, snapshot):
            held = _with(held, snapshot, agent)
    return held


def _concerned(delta: Delta, snapshot: Snapshot) -> tuple[AgentId, ...]:
    if delta.kind is Kind.OFFER:
        return (AgentId(delta.id),)
    ticket = snapshot.tickets.get(CallId(delta.id))
    agent = None if ticket is None else ticket.value.agent
    return () if agent is None else (agent,)


def _with(held: Map[AgentId, Talk], snapshot: Snapshot, agent: AgentId) -> Map[AgentId, Talk]:
    offer = snapshot.offers.get(agent)
    if offer is None:
        return held
    if offer.value.state is OfferState.RINGING:
        return held.delete(agent) if agent in held else held
    ticket = snapshot.tickets.get(offer.value.call)
    if ticket is None:
        return held
    before = held.get(agent)
    is_same = before is not None and before.call == offer.value.call
    since = before.offered_at if before is not None and is_same else offer.mod_revision
    return held.set(agent, _talk(snapshot, agent, ticket.value, since))


def _talk(snapshot: Snapshot, agent: AgentId, ticket: Ticket, since: int) -> Talk:
    tenant = tenant_of(snapshot, ticket.did, ticket.queue)
    return Talk(
        agent=agent,
        call=ticket.call,
        tenant=tenant,
        number=calling(snapshot, ticket),
        queue=ticket.queue,
        did=ticket.did,
        site=ticket.site,
        connected_ms=ticket.connected_ms,
        offered_at=since,
    )


def is_on(talk: Talk, snapshot: Snapshot, now: Now) -> bool:
    """Return whether the agent still talks, or wraps that call up."""
    offer = snapshot.offers.get(talk.agent)
    if offer is not None:
        return offer.value.call == talk.call and offer.value.state is OfferState.TALKING
    work = snapshot.works.get(talk.agent)
    if work is None or work.mod_revision < talk.offered_at:
        return False
    return now.mono_s < rest_ends_s(work, snapshot.presences.get(talk.agent))


def by_number(held: Mapping[AgentId, Talk]) -> dict[tuple[str, str], tuple[Talk, ...]]:
    """Return the talks by tenant and number."""
    found: dict[tuple[str, str], tuple[Talk, ...]] = {}
    for talk in held.values():
        if talk.number:
            key = (talk.tenant, talk.number)
            found[key] = (*found.get(key, ()), talk)
    return found


def tenant_of(snapshot: Snapshot, did: str, queue: str) -> TenantId:
    """Return whose call it is.

    Of a DID and a queue that are gone, the queue's id tells: a tenant's own begin with its id.
    """
    number, line = snapshot.dids.get(DidNumber(did)), snapshot.queues.get(QueueId(queue))
    if number is not None:
        return number.value.tenant
    if line is not None:
        return line.value.tenant
    head, dot, _ = queue.partition(".")
    return TenantId(head) if dot else MAIN


@lru_cache(maxsize=16_384)
def number_of(caller: str, region: str | None = None) -> str:
    """Return a calling number as E.164 where it is such a number, else as it came."""
    try:
        return dialled(caller, region)
    except ValueError:
        return caller.strip()[:64]


def calling(snapshot: Snapshot, ticket: Ticket) -> str:
    """Return the number of a call's caller as `number_of` does, by the region of that call."""
    tenant = tenant_of(snapshot, ticket.did, ticket.queue)
    region = ticket.region or region_of(snapshot, tenant, ticket.did)
    return number_of(ticket.caller, region or None)
