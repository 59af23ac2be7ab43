"""The calls of an edge that was killed and is soon back: its next life goes on with them. PURE.

What the caller and the agent hear meanwhile is the relay's, which no run of this proof has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.history import Answered, Event, FaultKind, Stored
from drills.prove.laws_store import EDGE_DIED
from drills.prove.times import Span, on_path, spans
from drills.prove.violations import Law, Violation
from drills.prove.world import World, revisions
from state.model import CallId, CallRecord

SOON_S = 6.0
"""Its lease is 8 s: nobody else may have closed its calls by then."""
KNOWN_S = 1.0
"""For so long a call was answered, and had its place: the journal names it."""


def check_takeover(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield calls that were closed as those of a dead edge, though it was back in time."""
    faults = spans(events)
    short = [span for span in faults if _is_short(span)]
    died = [
        event
        for event in events
        if isinstance(event, Stored)
        and isinstance(event.value, CallRecord)
        and event.value.cause == EDGE_DIED
    ]
    if not short or not died:
        return
    held = _held(events, short)
    for event in died:
        for span in short:
            if event.id in held[span] and _is_to_blame(span, faults, event.at_s):
                text = f"{event.id} was lost, though {span.target} was back in time"
                yield Violation(
                    law=Law.NOT_TAKEN_UP, at_s=event.at_s, revision=event.revision, text=text
                )


def _is_short(span: Span) -> bool:
    return span.kind is FaultKind.KILL_EDGE and span.ended_s - span.began_s <= SOON_S


def _held(events: Sequence[Event], short: Sequence[Span]) -> dict[Span, set[CallId]]:
    """Return which calls each edge had answered, and had given a place, when it was killed."""
    answered = {event.call: event.at_s for event in events if isinstance(event, Answered)}
    came: dict[str, float] = {}
    found: dict[Span, set[CallId]] = {span: set() for span in short}
    due = sorted(short, key=lambda span: span.began_s)
    world = World()

    def look(span: Span) -> None:
        known_s = span.began_s - KNOWN_S
        found[span] = {
            ticket.call
            for ticket, _ in world.tickets.values()
            if ticket.holder == span.target
            and came[ticket.call] <= known_s
            and answered.get(ticket.call, span.began_s) <= known_s
        }

    for changes in revisions(events):
        while due and due[0].began_s < changes[0].at_s:
            look(due.pop(0))
        world.apply(changes)
        for change in changes:
            if change.id in world.tickets:
                came.setdefault(change.id, change.at_s)
    for span in due:
        look(span)
    return found


def _is_to_blame(span: Span, faults: Sequence[Span], at_s: float) -> bool:
    """Tell whether nothing but this death may have taken the edge's calls from it."""
    others = on_path((each for each in faults if each is not span), span.target, span.target)
    return span.began_s < at_s and not any(each.touches(span.began_s, at_s) for each in others)
