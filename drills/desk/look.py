"""What a snapshot tells of agents, queues and calls. PURE.

Owns how records become rows. The states and the choices are those of `edge.acd`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from drills.desk.answers import AgentRow, QueueRow
from drills.desk.call_answers import CallbackRow, CallRow
from edge.acd.agent_state import AgentState, agent_states
from edge.acd.callback import is_over, is_refused, waits_for_clearance
from edge.acd.eligibility import unsuited_because
from edge.acd.forecast import forecast, forecast_for_newcomer
from edge.acd.handling import talk_s
from edge.acd.in_doubt import Doubts
from edge.acd.line import place_of
from edge.acd.needs import Needs
from edge.acd.places import place_number
from edge.acd.present import (
    Callers,
    between_s,
    presence_of,
    reason_of,
    since_ms,
    sites_out_of_reach,
    talked_s,
    waited_s,
)
from state.model import (
    AgentId,
    CallRecord,
    Entry,
    Now,
    Place,
    Queue,
    SiteId,
    SkillId,
    SkillNeed,
    Ticket,
    TicketState,
)
from state.snapshot import Snapshot


def agent_rows(snapshot: Snapshot, now: Now) -> tuple[AgentRow, ...]:
    """Return every agent, by home site and id."""
    states = agent_states(snapshot, now, unreachable=sites_out_of_reach(snapshot))
    rows = [_agent_row(snapshot, agent, state) for agent, state in states.items()]
    return tuple(sorted(rows, key=lambda row: (row.site, row.agent)))


def states_by_site(rows: Iterable[AgentRow]) -> dict[SiteId, dict[AgentState, int]]:
    """Return how many agents of each site are in each state."""
    counts: dict[SiteId, dict[AgentState, int]] = {}
    for row in rows:
        here = counts.setdefault(row.site, {})
        here[row.state] = here.get(row.state, 0) + 1
    return counts


def _agent_row(snapshot: Snapshot, agent: AgentId, state: AgentState) -> AgentRow:
    record = snapshot.agents[agent].value
    work, offer = snapshot.works.get(agent), snapshot.offers.get(agent)
    wish = snapshot.wishes.get(agent)
    return AgentRow(
        agent=agent,
        name=record.name,
        site=record.site,
        presence=presence_of(snapshot, agent),
        state=state,
        since_ms=since_ms(snapshot, agent, state),
        calls=0 if work is None else work.value.calls,
        skills=dict(record.skills),
        reason=reason_of(snapshot, agent),
        by="" if wish is None else wish.value.by,
        call=None if offer is None else offer.value.call,
    )


def queue_rows(snapshot: Snapshot, agents: Iterable[AgentRow], now: Now) -> tuple[QueueRow, ...]:
    """Return every queue, by id."""
    free = [row for row in agents if row.state is AgentState.READY]
    return tuple(
        _queue_row(snapshot, snapshot.queues[queue].value, free, now)
        for queue in sorted(snapshot.queues)
    )


def _queue_row(snapshot: Snapshot, queue: Queue, free: Iterable[AgentRow], now: Now) -> QueueRow:
    tickets = [e.value for e in snapshot.tickets.values() if e.value.queue == queue.id]
    agents = (snapshot.agents[row.agent].value for row in free)
    needs, callers = Needs.of_queue(queue), Callers.of(tickets, now)
    dids = sorted(n for n, entry in snapshot.dids.items() if entry.value.queue == queue.id)
    return QueueRow(
        queue=queue.id,
        dids=tuple(dids),
        needs=levels(queue.needs),
        waiting=callers.waiting,
        longest_s=callers.longest_s,
        ringing=callers.ringing,
        talking=callers.talking,
        free=sum(1 for agent in agents if unsuited_because(agent, needs) is None),
        estimate_s=forecast_for_newcomer(snapshot, queue, now).wait_s,
    )


def callback_rows(snapshot: Snapshot, now: Now) -> tuple[CallbackRow, ...]:
    """Return who is to be called back, in the order in which they came."""
    doubts = Doubts(snapshot)
    rows = [
        (place_number(entry), _due_row(snapshot, entry, now, doubts))
        for entry in snapshot.places.values()
        if not is_over(entry, now) and not is_refused(snapshot, entry)
    ]
    rows += [
        (place_of(entry), _under_way_row(entry.value))
        for entry in snapshot.tickets.values()
        if entry.value.callback_of is not None and entry.value.state is not TicketState.CONNECTED
    ]
    return tuple(row for _, row in sorted(rows, key=lambda each: (each[0], each[1].call)))


def _due_row(snapshot: Snapshot, entry: Entry[Place], now: Now, doubts: Doubts) -> CallbackRow:
    place = entry.value
    left_s = (place.due_s or 0.0) - (now.mono_s - entry.seen_s)
    return CallbackRow(
        call=place.call,
        did=place.did,
        queue=place.queue,
        is_under_way=False,
        tries=place.tries,
        most_tries=0 if place.call_back is None else place.call_back.tries,
        due_in_s=round(max(0.0, left_s), 1),
        until_ms=place.until_ms,
        waits_for_clearance=waits_for_clearance(snapshot, entry, now),
        may_be_served_at=place.held_at if doubts.has(entry, now) else None,
    )


def _under_way_row(ticket: Ticket) -> CallbackRow:
    return CallbackRow(
        call=ticket.callback_of or ticket.call,
        did=ticket.did,
        queue=ticket.queue,
        is_under_way=True,
        tries=ticket.tries - 1,
        most_tries=0 if ticket.call_back is None else ticket.call_back.tries,
        due_in_s=0.0,
        until_ms=ticket.until_ms,
    )


def levels(needs: Iterable[SkillNeed]) -> Mapping[SkillId, int]:
    """Return the highest level needed of each skill."""
    found: dict[SkillId, int] = {}
    for need in needs:
        found[need.skill] = max(need.level, found.get(need.skill, 0))
    return found


def running(snapshot: Snapshot, now: Now) -> tuple[CallRow, ...]:
    """Return the calls that have a ticket, the newest first."""
    tickets = sorted(snapshot.tickets.values(), key=lambda entry: -entry.create_revision)
    return tuple(
        replace(running_row(snapshot, entry.value, now), **_told(snapshot, entry.value, now))
        for entry in tickets
    )


def _told(snapshot: Snapshot, ticket: Ticket, now: Now) -> dict[str, float | None]:
    """Return what its caller may be told of a call that waits."""
    if ticket.state is not TicketState.QUEUED:
        return {}
    found = forecast(snapshot, ticket.call, now)
    if found is None:
        return {}
    wait_s = None if found.wait_s is None else round(found.wait_s, 1)
    return {"position": found.position, "estimate_s": wait_s}


def running_row(snapshot: Snapshot, ticket: Ticket, now: Now) -> CallRow:
    """Return one call that has a ticket."""
    agent = None if ticket.agent is None else snapshot.agents.get(ticket.agent)
    return CallRow(
        call=ticket.call,
        did=ticket.did,
        queue=ticket.queue,
        site=ticket.site,
        edge=ticket.holder,
        arrived_ms=ticket.arrived_ms,
        state=ticket.state,
        outcome=None,
        cause="",
        waited_s=waited_s(ticket, now),
        talked_s=talked_s(ticket, now.wall_ms),
        ended_ms=None,
        agent=ticket.agent,
        agent_site=None if agent is None else agent.value.site,
    )


def ended_row(record: CallRecord) -> CallRow:
    """Return one call of the ledger."""
    connected_ms = record.connected_ms
    return CallRow(
        call=record.call,
        did=record.did,
        queue=record.queue,
        site=record.site,
        edge=record.edge,
        arrived_ms=record.arrived_ms,
        state=None,
        outcome=record.outcome,
        cause=record.cause,
        waited_s=between_s(record.arrived_ms, connected_ms or record.ended_ms),
        talked_s=None if connected_ms is None else round(talk_s(record), 3),
        held_s=record.held_s,
        ended_ms=record.ended_ms,
        agent=record.agent,
        agent_site=record.agent_site,
        estimate_s=record.estimate_s,
        callback_of=record.callback_of,
    )
