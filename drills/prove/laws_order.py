"""First come, first served: judged on the snapshot on which each decision was made. PURE.

All agents of the run suit all its calls, so a call may get an agent on a snapshot only if fewer
calls came before it there than agents were free, for holders that reach the same sites. What an
edge knows beyond the snapshot (its own requests under way, a site that it cannot reach, an agent's
rest) only lowers the number of agents; so nobody is accused wrongly. An edge that loses events does
not know the snapshot that it names: what it decides until it is healed is left open. Decisions are
read from the calls' records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from drills.prove.history import Event, FaultKind, Stored
from drills.prove.times import Span, spans
from drills.prove.violations import Law, Violation
from drills.prove.world import World, revisions
from state.model import CallRecord, Decision, PresenceState, Ticket, TicketState
from state.overlay import ALONE_FROM

HEALED_S = 30.0
"""A mirror that has lost events has made them good by then."""
LONGEST_CALL_S = 40.0


def check_order(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield the decisions by which somebody was overtaken."""
    blind = [span for span in spans(events) if span.kind is FaultKind.LOSE_EVENTS]
    due = sorted(_decisions(events, blind), key=lambda each: each[1].revision)
    world, firsts = World(), _first_tickets(events)
    place = 0
    for changes in revisions(events):
        while place < len(due) and due[place][1].revision < changes[0].revision:
            yield from _judge(world, firsts, *due[place])
            place += 1
        world.apply(changes)
    for change, decision in due[place:]:
        yield from _judge(world, firsts, change, decision)


def _decisions(events: Sequence[Event], blind: list[Span]) -> Iterator[tuple[Stored, Decision]]:
    """Yield the decisions of edges that knew the snapshot which they name."""
    for event in events:
        if isinstance(event, Stored) and isinstance(event.value, CallRecord):
            record = event.value
            was_blind = any(
                span.target == record.edge
                and span.touches(event.at_s - LONGEST_CALL_S, event.at_s, aftermath_s=HEALED_S)
                for span in blind
            )
            # Decided without a quorum: on no snapshot that the store ever had.
            is_alone = record.decision is not None and record.decision.revision >= ALONE_FROM
            # By whom the caller was passed on chose, and not the line.
            is_lines = record.decision is not None and record.decision.passed_on_by is None
            if record.decision is not None and is_lines and not was_blind and not is_alone:
                yield event, record.decision


_Placed = tuple[Ticket, int]
"""A ticket and its create revision."""


def _first_tickets(events: Sequence[Event]) -> dict[str, _Placed]:
    """Return with which ticket each call came."""
    firsts: dict[str, _Placed] = {}
    for event in events:
        if isinstance(event, Stored) and isinstance(event.value, Ticket):
            firsts.setdefault(event.id, (event.value, event.revision))
    return firsts


def _judge(
    world: World, firsts: Mapping[str, _Placed], change: Stored, decision: Decision
) -> Iterator[Violation]:
    own = world.tickets.get(change.id)
    if own is None:
        own = firsts.get(change.id)
        if own is None or own[1] <= decision.revision:
            return  # older than the history
        # Decided as it came: it got its place with the agent, after all who had one then.
    key = _order(*own)
    reach = world.out_of_reach(own[0].holder)
    ahead = [
        call
        for call, (ticket, created) in world.tickets.items()
        if ticket.state is TicketState.QUEUED
        and ticket.holder in world.edges
        and world.out_of_reach(ticket.holder) == reach
        and _order(ticket, created) < key
    ]
    free = sum(
        presence.state is PresenceState.READY
        and agent not in world.offers
        and presence.site not in reach
        for agent, (presence, _) in world.presences.items()
    )
    if len(ahead) >= free:
        held = " ".join(sorted(world.tickets[call][0].holder for call in ahead))
        text = (
            f"{change.id} ({own[0].holder}) got {decision.winner}, one of {free} free, "
            f"with {len(ahead)} before it ({held})"
        )
        yield Violation(law=Law.OVERTAKEN, at_s=change.at_s, revision=decision.revision, text=text)


def _order(ticket: Ticket, created: int) -> tuple[int, int]:
    """Return who comes first: priority, then the place. No queue of the run ages its calls."""
    return (-ticket.priority, created if ticket.place is None else ticket.place)
