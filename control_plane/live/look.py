"""PURE. What the shared state says of calls, agents, queues and sites: values for the policy.

Owns which record tells what. Who may see which of it is decided elsewhere (`views`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from control_plane.live.talks import calling, tenant_of
from edge.acd.agent_state import AgentState, agent_states, state_of
from edge.acd.callback import is_over, is_refused, waits_for_clearance
from edge.acd.eligibility import facts_of, live_sites, rest_ends_s
from edge.acd.ending import UNKNOWN_CALLER, rung_in_vain
from edge.acd.forecast import Staff, forecast, forecasts_for_newcomers
from edge.acd.handling import talk_s, told_wrap_up_s
from edge.acd.needs import Needs
from edge.acd.present import (
    Callers,
    between_s,
    reason_of,
    since_ms,
    sites_out_of_reach,
    talked_s,
    waited_s,
)
from state.model import (
    AgentId,
    CallId,
    CallRecord,
    EdgeLife,
    Entry,
    Now,
    Queue,
    QueueId,
    Site,
    SiteId,
    Ticket,
    TicketState,
)
from state.snapshot import Snapshot


class CallFacts(Struct, frozen=True, kw_only=True):
    """One call, running or over."""

    id: str
    tenant: str
    did: str
    queue: str
    site: str
    edge: str
    state: str
    """As the ticket says, or `ended`."""
    arrived_ms: int
    queued_ms: int | None
    connected_ms: int | None
    ended_ms: int | None
    agent: str
    """Empty: none."""
    agent_site: str
    team: str
    employer: str
    caller: str
    """Empty: not known."""
    outcome: str | None
    cause: str
    tried: tuple[str, ...]
    waited_s: float
    talked_s: float | None
    callback_of: str = ""
    code: str = ""
    """What it was about; empty: nobody has said."""
    wrap_up_s: float | None = None
    position: int | None = None
    estimate_s: float | None = None

    def __repr__(self) -> str:
        """Say nothing of the caller."""
        return f"CallFacts({self.id})"


class AgentFacts(Struct, frozen=True, kw_only=True):
    """One agent."""

    id: str
    tenant: str
    name: str
    site: str
    team: str
    employer: str
    state: AgentState
    since_ms: int | None
    reason: str
    by: str
    call: str | None
    channels: dict[str, int]
    calls: int
    rest_left_s: float
    """How long they still rest; 0: they do not."""


class QueueFacts(Struct, frozen=True, kw_only=True):
    """One queue."""

    id: str
    tenant: str
    employer: str
    waiting: int
    first_ms: int | None
    """Since when whoever has waited longest does."""
    longest_s: float | None
    ringing: int
    talking: int
    free: int
    estimate_s: float | None
    callbacks: int = 0
    """Callers who are to be called back, and are not in the line yet."""
    callbacks_not_cleared: int = 0
    """Of these, those of whom nobody has looked yet whether they may be."""


class SiteFacts(Struct, frozen=True, kw_only=True):
    """One site."""

    id: str
    name: str
    is_draining: bool
    has_quorum: bool
    """An edge of it lives in the shared state, or could not."""
    edges: tuple[EdgeLife, ...]
    out_of_reach_of: tuple[str, ...]
    """Edges elsewhere whose probes find it down."""
    shares: dict[str, int]


class AloneFacts(Struct, frozen=True, kw_only=True):
    """How a site serves alone."""

    since_ms: int
    because: Literal["no_quorum", "store_full"]


# ---- calls ---------------------------------------------------------------------------------------


def call_of(snapshot: Snapshot, ticket: Ticket, now: Now, *, told: bool = False) -> CallFacts:
    """Return a call that runs. `told`: with its place and forecast, which take a look at all."""
    agent = None if ticket.agent is None else snapshot.agents.get(ticket.agent)
    who = None if agent is None else agent.value
    found = forecast(snapshot, ticket.call, now) if told and _is_queued(ticket) else None
    return CallFacts(
        id=ticket.call,
        tenant=tenant_of(snapshot, ticket.did, ticket.queue),
        did=ticket.did,
        queue=ticket.queue,
        site=ticket.site,
        edge=ticket.holder,
        state=ticket.state.value,
        arrived_ms=ticket.arrived_ms,
        queued_ms=ticket.queued_ms,
        connected_ms=ticket.connected_ms,
        ended_ms=None,
        agent=ticket.agent or "",
        agent_site="" if who is None else who.site,
        team="" if who is None else who.team,
        employer="" if who is None else who.employer,
        caller=known(snapshot, ticket),
        outcome=None,
        cause="",
        tried=rung_in_vain(ticket),
        waited_s=waited_s(ticket, now),
        talked_s=talked_s(ticket, now.wall_ms),
        callback_of=ticket.callback_of or "",
        position=None if found is None else found.position,
        estimate_s=None if found is None else found.wait_s,
    )


def _is_queued(ticket: Ticket) -> bool:
    return ticket.state is TicketState.QUEUED


def known(snapshot: Snapshot, ticket: Ticket) -> str:
    """Return the calling number, or nothing where the telephone network said none."""
    if ticket.caller == UNKNOWN_CALLER:
        return ""
    return calling(snapshot, ticket)


def ended_call(
    record: CallRecord, *, tenant: str, caller: str, who: Whose, code: str = ""
) -> CallFacts:
    """Return a call that is over."""
    connected_ms = record.connected_ms
    return CallFacts(
        id=record.call,
        tenant=tenant,
        did=record.did,
        queue=record.queue,
        site=record.site,
        edge=record.edge,
        state="ended",
        arrived_ms=record.arrived_ms,
        queued_ms=record.queued_ms,
        connected_ms=connected_ms,
        ended_ms=record.ended_ms,
        agent=record.agent or "",
        agent_site=record.agent_site or "",
        team=who.team,
        employer=who.employer,
        caller=caller,
        outcome=record.outcome.value,
        cause=record.cause,
        tried=record.tried,
        waited_s=between_s(record.arrived_ms, connected_ms or record.ended_ms),
        talked_s=None if connected_ms is None else round(talk_s(record), 3),
        wrap_up_s=told_wrap_up_s(record),
        callback_of=record.callback_of or "",
        code=code,
        estimate_s=record.estimate_s,
    )


class Whose(Struct, frozen=True):
    """Of which team and employer an agent is."""

    team: str = ""
    employer: str = ""

    @classmethod
    def of(cls, snapshot: Snapshot, agent: AgentId | None) -> Whose:
        """Look it up."""
        entry = None if agent is None else snapshot.agents.get(agent)
        return cls() if entry is None else cls(entry.value.team, entry.value.employer)


# ---- agents --------------------------------------------------------------------------------------


def agents(
    snapshot: Snapshot, now: Now, only: frozenset[AgentId] | None = None
) -> Iterator[AgentFacts]:
    """Yield every agent, or those named, in the order of their ids."""
    down, live = sites_out_of_reach(snapshot), live_sites(snapshot)
    for agent in sorted(snapshot.agents if only is None else only):
        if agent in snapshot.agents:
            state = state_of(snapshot, facts_of(snapshot, agent, live), now, down)
            yield _agent(snapshot, agent, state, now)


def _agent(snapshot: Snapshot, agent: AgentId, state: AgentState, now: Now) -> AgentFacts:
    record = snapshot.agents[agent].value
    work, offer = snapshot.works.get(agent), snapshot.offers.get(agent)
    wish, presence = snapshot.wishes.get(agent), snapshot.presences.get(agent)
    # Who is given to a call a moment before the end of their rest has nothing left of it.
    is_over = work is None or offer is not None
    left_s = 0.0 if is_over else max(0.0, rest_ends_s(work, presence) - now.mono_s)
    return AgentFacts(
        id=agent,
        tenant=record.tenant,
        name=record.name,
        site=record.site,
        team=record.team,
        employer=record.employer,
        state=state,
        since_ms=since_ms(snapshot, agent, state),
        reason=reason_of(snapshot, agent),
        by="" if wish is None else wish.value.by,
        call=None if offer is None else offer.value.call,
        channels={channel.value: count for channel, count in record.channels.items()},
        calls=0 if work is None else work.value.calls,
        rest_left_s=round(left_s, 1) if offer is None else 0.0,
    )


# ---- queues --------------------------------------------------------------------------------------


def queues(
    snapshot: Snapshot, now: Now, only: frozenset[QueueId] | None = None
) -> Iterator[QueueFacts]:
    """Yield every queue, or those named, in the order of their ids."""
    states = agent_states(snapshot, now, unreachable=sites_out_of_reach(snapshot))
    free = frozenset(agent for agent, state in states.items() if state is AgentState.READY)
    tickets: dict[QueueId, list[Ticket]] = {}
    for entry in snapshot.tickets.values():
        tickets.setdefault(entry.value.queue, []).append(entry.value)
    wanted = [
        snapshot.queues[name].value
        for name in sorted(snapshot.queues)
        if only is None or name in only
    ]
    staff = Staff(snapshot)
    expected = forecasts_for_newcomers(staff, snapshot, wanted, now)
    backs, not_cleared = _callbacks(snapshot, now)
    for queue in wanted:
        suited = free & staff.pool(Needs.of_queue(queue))
        estimate_s = expected[queue.id].wait_s
        found = _queue(queue, tickets.get(queue.id, ()), len(suited), estimate_s, now)
        yield replace(found, callbacks=backs[queue.id], callbacks_not_cleared=not_cleared[queue.id])


def _callbacks(snapshot: Snapshot, now: Now) -> tuple[Counter[str], Counter[str]]:
    """Return, by queue, how many are to be called back, and how many of them are not cleared."""
    backs: Counter[str] = Counter()
    not_cleared: Counter[str] = Counter()
    for place in snapshot.places.values():
        name = place.value.queue
        if name is None or is_over(place, now) or is_refused(snapshot, place):
            continue
        backs[name] += 1
        not_cleared[name] += waits_for_clearance(snapshot, place, now)
    return backs, not_cleared


def _queue(
    queue: Queue, tickets: Iterable[Ticket], free: int, estimate_s: float | None, now: Now
) -> QueueFacts:
    callers = Callers.of(tickets, now)
    return QueueFacts(
        id=queue.id,
        tenant=queue.tenant,
        employer=queue.employer,
        waiting=callers.waiting,
        first_ms=callers.first_ms,
        longest_s=callers.longest_s,
        ringing=callers.ringing,
        talking=callers.talking,
        free=free,
        estimate_s=None if estimate_s is None else round(estimate_s, 1),
    )


# ---- sites ---------------------------------------------------------------------------------------


def sites(snapshot: Snapshot) -> Iterator[SiteFacts]:
    """Yield every site, in the order of their ids."""
    for name in sorted(snapshot.sites):
        yield _site(snapshot, snapshot.sites[name], name)


def _site(snapshot: Snapshot, entry: Entry[Site], name: SiteId) -> SiteFacts:
    lives = sorted(snapshot.edges.values(), key=lambda each: each.value.edge)
    own = tuple(each.value for each in lives if each.value.site == name)
    elsewhere = {each.value.edge for each in lives} - {each.edge for each in own}
    return SiteFacts(
        id=name,
        name=entry.value.name,
        is_draining=entry.value.draining,
        has_quorum=bool(own),
        edges=own,
        out_of_reach_of=tuple(
            sorted(
                each.value.edge
                for each in snapshot.probes.values()
                if each.value.edge in elsewhere and name in each.value.down
            )
        ),
        shares={str(site): parts for site, parts in entry.value.shares.items()},
    )


def live_call(snapshot: Snapshot, call: str) -> Ticket | None:
    """Return the ticket of a call that runs."""
    entry = snapshot.tickets.get(CallId(call))
    return None if entry is None else entry.value
