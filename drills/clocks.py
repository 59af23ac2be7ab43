"""Between what a site's clock differs from the runner's, by asking it for the time. PURE.

Cristian's method (F. Cristian, "Probabilistic clock synchronization", Distributed Computing 3,
1989, pages 146 to 158). The answer was written between the request and its arrival, so the clock
differs by what it told less the middle of the two, give or take half the round trip. Nothing is
presumed of how long either way took, and the shortest round trip tells most.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from drills.evidence import ClockBound


class Trip(Struct, frozen=True, kw_only=True):
    """One question for the time. In milliseconds since 1970."""

    before_ms: float
    """By the clock of whoever asks, when they asked."""
    after_ms: float
    """When they had the answer."""
    theirs_ms: float
    """What was told."""
    tick_ms: float = 1.0
    """What is smaller is left out in what is told."""

    @property
    def round_trip_ms(self) -> float:
        """Return how long the answer took."""
        return self.after_ms - self.before_ms

    @property
    def least_ms(self) -> float:
        """Return by how much at least that clock was ahead; below zero: behind at most."""
        return self.theirs_ms - self.after_ms

    @property
    def most_ms(self) -> float:
        """Return by how much at most it was ahead."""
        return self.theirs_ms + self.tick_ms - self.before_ms


def bound_of(who: str, trips: Iterable[Trip]) -> ClockBound | None:
    """Return between what a clock differs; None: it was never told.

    By the shortest round trip. Where another one shows that the clock was set meanwhile, the bounds
    reach as far as that one's.
    """
    ordered = sorted(trips, key=lambda each: each.round_trip_ms)
    if not ordered:
        return None
    least_ms, most_ms = ordered[0].least_ms, ordered[0].most_ms
    for each in ordered[1:]:
        if each.least_ms > most_ms:
            most_ms = each.most_ms
        elif each.most_ms < least_ms:
            least_ms = each.least_ms
    return ClockBound(who=who, least_ms=round(least_ms, 3), most_ms=round(most_ms, 3))


def moved_ms(trips: Iterable[Trip]) -> float:
    """Return by how much a clock was set, or ran off, for certain, between two of the questions."""
    asked = list(trips)
    if not asked:
        return 0.0
    highest = max(each.least_ms for each in asked)
    lowest = min(each.most_ms for each in asked)
    return max(0.0, round(highest - lowest, 3))
