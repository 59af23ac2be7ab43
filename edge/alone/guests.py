"""Agents of a site who are with callers of others when it is cut off from the store. PURE.

The edges of those callers can tell it nothing any more. That such a call is over, and whether the
two talked, only the agent's gate tells; and the store will say it when it is back.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge.acd.work import work_after
from state import keys
from state.codec import encode
from state.model import AgentId, CallId, Entry, Now, Offer, SiteId, WorkEnd
from state.raw import Change
from state.snapshot import Snapshot


def guests(snapshot: Snapshot, site: SiteId) -> Iterator[tuple[AgentId, Entry[Offer]]]:
    """Yield the agents of a site whom other sites have given to calls."""
    for agent, offer in snapshot.offers.items():
        life = snapshot.edges.get(offer.value.edge)
        if _is_at(snapshot, agent, site) and (life is None or life.value.site != site):
            yield agent, offer


def own_calls(snapshot: Snapshot, site: SiteId) -> list[CallId]:
    """Return the calls that agents of a site have made themselves, and other sites hold."""
    return [
        call
        for agent, calls in snapshot.calling.items()
        for call in calls
        if _is_at(snapshot, agent, site) and snapshot.tickets[call].value.site != site
    ]


def rest_after(snapshot: Snapshot, offer: Entry[Offer], at: Now) -> list[Change]:
    """Return what lets an agent wrap up after a talk that another site held; nothing: no need."""
    agent, call = offer.value.agent, offer.value.call
    ticket = snapshot.tickets.get(call)
    queue = None if ticket is None else snapshot.queues.get(ticket.value.queue)
    if queue is None or queue.value.wrap_up_s <= 0.0:
        return []
    work = snapshot.works.get(agent)
    rests = work_after(
        agent,
        None if work is None else work.value,
        end=WorkEnd.TALKED,
        rest_s=queue.value.wrap_up_s,
        idle_s=0.0,
        busy_s=0.0,
        at=at,
        call=call,
    )
    created = 0 if work is None else work.create_revision
    key, text = keys.work(agent), encode(rests)
    return [Change(key=key, value=text, create_revision=created, mod_revision=0)]


def _is_at(snapshot: Snapshot, agent: AgentId, site: SiteId) -> bool:
    known = snapshot.agents.get(agent)
    return known is not None and known.value.site == site
