"""PURE. Where an agent may pass a caller on to: what a REFER's target means, and why not.

A target is another agent by their AOR, whatever their site, or a queue by its id or by a DID that
leads to it. Everything else is refused: nobody is dialled outside.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from edge.acd.eligibility import (
    Reason,
    facts_of,
    live_sites,
    out_of_reach,
    unavailable_because,
)
from edge.acd.match import Offering
from state.model import AgentId, Decision, DidNumber, Entry, Now, Queue, QueueId, SiteId, Ticket
from state.snapshot import Snapshot

FORBIDDEN: Final = 403
UNKNOWN: Final = 404
NOT_THERE: Final = 480
BUSY: Final = 486
_NUMBER = re.compile(r"\+?[0-9*#().-]{3,}")
_BUSY: Final = {Reason.HAS_OFFER: "has a call", Reason.WRAP_UP: "is in wrap-up"}
_AWAY: Final = {
    Reason.NOT_SIGNED_IN: "is not signed in",
    Reason.PAUSED: "is paused",
    Reason.NO_CAPACITY: "takes no calls",
    Reason.SITE_NOT_LIVE: "is at a site that is down",
    Reason.SITE_UNREACHABLE: "is at a site that is out of reach",
}


class ToAgent(Struct, frozen=True, kw_only=True):
    """The caller is to go to this agent, who is free, or is consulted about this caller."""

    agent: AgentId


class ToQueue(Struct, frozen=True, kw_only=True):
    """The caller is to wait in this queue."""

    queue: Queue


class No(Struct, frozen=True, kw_only=True):
    """The caller stays where they are."""

    status: int
    """SIP's word for it."""
    reason: str
    """A reason phrase: for the agent's eyes."""


def destination(  # noqa: PLR0913  who passes whom to whom, and when
    snapshot: Snapshot,
    ticket: Ticket,
    by: AgentId,
    target: str,
    now: Now,
    *,
    unreachable: frozenset[SiteId] = frozenset(),
) -> ToAgent | ToQueue | No:
    """Return where `target`, the user part of a URI, would bring a caller whom `by` passes on.

    Of another tenant's agents and queues it says no more than of what there is not.
    """
    agent = snapshot.agents.get(AgentId(target))
    if agent is not None and agent.value.tenant == ticket.tenant:
        return _to_agent(snapshot, ticket, by, agent.value.id, now, unreachable)
    did = snapshot.dids.get(DidNumber(target))
    queue = snapshot.queues.get(QueueId(target) if did is None else did.value.queue)
    if queue is not None and queue.value.tenant == ticket.tenant:
        return ToQueue(queue=queue.value)
    if _NUMBER.fullmatch(target) and did is None:
        return No(status=FORBIDDEN, reason="No transfers outside")
    return No(status=UNKNOWN, reason="No such agent or queue")


def _to_agent(  # noqa: PLR0913, PLR0917  as `destination`
    snapshot: Snapshot,
    ticket: Ticket,
    by: AgentId,
    agent: AgentId,
    now: Now,
    unreachable: frozenset[SiteId],
) -> ToAgent | No:
    if agent == by:
        return No(status=FORBIDDEN, reason="Not to oneself")
    facts = facts_of(snapshot, agent, live_sites(snapshot))
    beyond = unreachable | out_of_reach(snapshot, ticket)
    because = unavailable_because(facts, now, unreachable=beyond)
    offer = snapshot.offers.get(agent)
    is_consulted = offer is not None and offer.value.call == ticket.call
    if because is None or (because is Reason.HAS_OFFER and is_consulted):
        return ToAgent(agent=agent)
    if because in _BUSY:
        return No(status=BUSY, reason=f"{agent} {_BUSY[because]}")
    return No(status=NOT_THERE, reason=f"{agent} {_AWAY.get(because, 'cannot be had')}")


def decided(snapshot: Snapshot, by: AgentId, agent: AgentId, now: Now) -> Decision:
    """Return why the target gets the call: `by` said so, and no score did."""
    return Decision(
        revision=snapshot.revision,
        wall_ms=now.wall_ms,
        winner=agent,
        score=0.0,
        parts={},
        passed_on_by=by,
    )


def offering(snapshot: Snapshot, ticket: Entry[Ticket], decision: Decision) -> Offering:
    """Return the wish to give the target to the call."""
    facts = facts_of(snapshot, decision.winner, live_sites(snapshot))
    return Offering.of(ticket, facts, decision)
