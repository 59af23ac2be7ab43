"""How long a caller can have waited, at least and at most, in the eyes of an edge. PURE.

Only their edge knows. It says so in their ticket, as often as it writes that; others add what has
passed since they saw that. So nobody has waited longer than since they sent their INVITE, as long
as no clock was wrong by which an edge tells that of a ticket which it has found written; and they
have waited for what their ticket says, and since the edge surely had that ticket.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from drills.prove.decisions import Due, Sights
from drills.prove.history import CallerOver, Event, FaultKind, Placed, Stored, TurnedAway
from drills.prove.times import FOR_EVER, spans
from drills.prove.world import World
from state.model import DidNumber, EdgeId, Ticket

_LATE_S = 1.0
"""So much later than it is mended a clock may still be wrong: edges look now and then."""
_ROUNDED_S = 0.01
"""Wall clocks tell milliseconds."""
UNSEEN_S = 1.0
"""For so long an edge lets a caller wait whom it has taken in and the store has not."""
_LONGEST_CALL_S, _OVER_S = 40.0, 5.0


class Waits:
    """Of all callers of a run."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._placed: dict[str, float] = {}
        self._again: set[str] = set()
        self._came: list[tuple[float, Placed]] = []
        self._written: dict[str, int] = {}
        """By which revision each caller got their first ticket."""
        self._over: dict[str, float] = {}
        for event in events:
            match event:
                case Placed():
                    self._placed.setdefault(event.call, event.at_s)
                    self._came.append((event.at_s, event))
                    if event.again is not None:
                        self._again.add(event.call)
                case Stored() if isinstance(event.value, Ticket):
                    self._written.setdefault(event.id, event.revision)
                case TurnedAway() | CallerOver():
                    self._over[event.call] = event.at_s
                case _:
                    pass
        self._wrong = [span for span in spans(events) if span.kind is FaultKind.WRONG_CLOCK]
        self._sights = Sights(events)

    def most_s(self, ticket: Ticket, edge: EdgeId, at_s: float) -> float:
        """Return how long at most, until `at_s`, as far as `edge` can know.

        For ever if one of the clocks was wrong by which an edge tells that of tickets which it has
        found written: those of itself and of the caller's edge. Or if the caller may stand where an
        earlier call of theirs did, and have waited as long before.
        """
        placed_s = self._placed.get(ticket.call)
        clocks = {edge, ticket.holder}
        if (
            placed_s is None
            or ticket.again_of
            or ticket.call in self._again
            or any(
                span.target in clocks and span.touches(placed_s, at_s, aftermath_s=_LATE_S)
                for span in self._wrong
            )
        ):
            return FOR_EVER
        return at_s - placed_s

    def least_s(self, world: World, ticket: Ticket, due: Due) -> float:
        """Return how long at least, when a decision was made on this world.

        Whatever the clocks say: no edge takes less for true than it has itself seen.
        """
        said_s = max(0.0, ticket.waited_s)
        seen_s = self._sights.seen_s(due.by, world.written[ticket.call], due.given_s)
        if seen_s is None:
            return said_s
        since_s = self._sights.since_s(due.decision.revision)
        return said_s + max(0.0, since_s - seen_s - _ROUNDED_S)

    def unseen(self, due: Due) -> Iterator[tuple[DidNumber, float]]:
        """Yield what was dialled by callers whom an edge may have known before the store did.

        And how long they can have waited at most when it decided.
        """
        begin = bisect_left(self._came, due.given_s - _LONGEST_CALL_S, key=lambda each: each[0])
        end = bisect_right(self._came, due.given_s, key=lambda each: each[0])
        for at_s, placed in self._came[begin:end]:
            written = self._written.get(placed.call)
            is_over = self._over.get(placed.call, due.given_s) < due.given_s - _OVER_S
            if (written is None and not is_over) or (written or 0) > due.decision.revision:
                yield DidNumber(placed.did), min(UNSEEN_S, due.given_s - at_s)
