"""What a snapshot says of agents, queues and sites beyond their state: since when, why, how many.

Owns what a wallboard shows beside the one word of `edge.acd.agent_state`. Stamps are the writers'
wall clocks: for people, and no decision rests on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, Self, assert_never

from msgspec import Struct

from edge.acd.agent_state import AgentState
from edge.acd.eligibility import rest_of_s
from state.model import AgentId, Now, PresenceState, SiteId, Ticket, TicketState
from state.snapshot import Snapshot

_MS: Final = 1000


def sites_out_of_reach(snapshot: Snapshot) -> frozenset[SiteId]:
    """Return the sites that every edge elsewhere finds down. Its own edges are no witnesses."""
    probes = [entry.value for entry in snapshot.probes.values()]
    homes = {edge: entry.value.site for edge, entry in snapshot.edges.items()}
    found = set()
    for site in snapshot.sites:
        others = [probe for probe in probes if homes.get(probe.edge) not in {site, None}]
        if others and all(site in probe.down for probe in others):
            found.add(site)
    return frozenset(found)


def presence_of(snapshot: Snapshot, agent: AgentId) -> PresenceState:
    """Return what the agent's present home says; the word of a former home is void."""
    entry = snapshot.presences.get(agent)
    if entry is None or entry.value.site != snapshot.agents[agent].value.site:
        return PresenceState.SIGNED_OUT
    return entry.value.state


def reason_of(snapshot: Snapshot, agent: AgentId) -> str:
    """Return why an agent is paused, by the word of their home, or else of their wish."""
    presence, wish = snapshot.presences.get(agent), snapshot.wishes.get(agent)
    if presence is not None and presence.value.reason:
        return presence.value.reason
    return "" if wish is None else wish.value.reason


def since_ms(snapshot: Snapshot, agent: AgentId, state: AgentState) -> int | None:
    """Return since when an agent is in that state; None: nothing tells."""
    presence, work = snapshot.presences.get(agent), snapshot.works.get(agent)
    offer = snapshot.offers.get(agent)
    match state:
        case AgentState.OFFERED | AgentState.TALKING:
            return _called_ms(snapshot, agent) if offer is None else offer.value.since_ms
        case AgentState.HOLD:
            return None if offer is None else offer.value.hold_since_ms
        case AgentState.WRAP_UP:
            return None if work is None else work.value.ended_ms
        case AgentState.READY:
            rested_ms = 0
            if work is not None:
                rested_ms = work.value.ended_ms + round(rest_of_s(work, presence) * _MS)
            return None if presence is None else max(presence.value.since_ms, rested_ms)
        case AgentState.PAUSED | AgentState.SIGNED_OUT | AgentState.ELSEWHERE:
            return None if presence is None else presence.value.since_ms
        case AgentState.UNREACHABLE:
            return None
        case _:
            assert_never(state)


def _called_ms(snapshot: Snapshot, agent: AgentId) -> int | None:
    """Return since when an agent calls from their own telephone; None: they do not."""
    calls = snapshot.calling.get(agent, ())
    return min((snapshot.tickets[call].value.arrived_ms for call in calls), default=None)


class Callers(Struct, frozen=True, kw_only=True):
    """How far the callers of a queue have come."""

    waiting: int
    first_ms: int | None
    """Since when whoever of them has waited longest does; None: nobody waits."""
    longest_s: float | None
    """How long that is."""
    ringing: int
    talking: int

    @classmethod
    def of(cls, tickets: Iterable[Ticket], now: Now) -> Self:
        """Count the tickets of one queue."""
        mine = list(tickets)
        states = Counter(each.state for each in mine)
        waiting = [_waits_since_ms(each) for each in mine if each.state.is_waiting]
        first_ms = min(waiting, default=None)
        return cls(
            waiting=len(waiting),
            first_ms=first_ms,
            longest_s=None if first_ms is None else between_s(first_ms, now.wall_ms),
            ringing=states[TicketState.OFFERED],
            talking=states[TicketState.CONNECTED],
        )


def waits_s(ticket: Ticket, now: Now) -> float:
    """Return how long somebody who waits has done so since they came, the greeting included.

    What they have talked, before an agent was lost or passed them on to a queue, is no waiting.
    """
    return between_s(_waits_since_ms(ticket), now.wall_ms)


def _waits_since_ms(ticket: Ticket) -> int:
    talked_ms = sum(each.until_ms - each.since_ms for each in ticket.talks)
    return ticket.arrived_ms + talked_ms


def waited_s(ticket: Ticket, now: Now) -> float:
    """Return how long somebody has waited: until an agent first answered, or else up to now.

    Of one who waits for another agent since, up to now, too.
    """
    if ticket.state is not TicketState.CONNECTED or ticket.connected_ms is None:
        return waits_s(ticket, now)
    return between_s(ticket.arrived_ms, ticket.connected_ms)


def talked_s(ticket: Ticket, now_ms: int) -> float | None:
    """Return how long agents have talked with somebody up to then; None: nobody has.

    All of them together, as `edge.acd.service_level.talk_s` says it of a call that is over: what is
    waited between two talks is none.
    """
    if ticket.connected_ms is None:
        return None
    over_s = sum(between_s(each.since_ms, each.until_ms) for each in ticket.talks)
    is_passed_on = bool(ticket.talks) and ticket.talking_ms is None
    if ticket.state is not TicketState.CONNECTED or is_passed_on:
        return round(over_s, 3)
    since_ms = ticket.talking_ms or ticket.connected_ms
    return round(over_s + between_s(since_ms, now_ms), 3)


def between_s(earlier_ms: int, later_ms: int) -> float:
    """Return how long it was; never negative, whatever the clocks say."""
    return round(max(0, later_ms - earlier_ms) / _MS, 3)
