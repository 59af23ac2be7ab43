"""How many other edges' callers come in the time in which this edge cannot see them. PURE.

Every edge whose caller has just come reaches for the same agent, the best. One that reaches in vain
loses nothing by it (`edge.acd.granting`); but it may be its own offer that makes the reservation of
somebody who waits at another edge fail. So an edge reserves with the very creation of a ticket only
where rivals are few: where hardly ever somebody comes elsewhere between what the decision rests on
and the moment at which all others see what came of it. Else it lets its ticket be seen first, and
all edges come to one match.
"""

from __future__ import annotations

from collections import deque
from typing import Final

FEW: Final = 0.05
"""So many rivals in that time, on average, are few."""
REMEMBERED: Final = 8
"""The rate of rivals is that of the last so many."""
_WEIGHT: Final = 1 / 8
_BLIND: Final = 2.0
"""For so many times as long as a transaction takes nobody else sees it: its way, and the watch's on
both sides."""


class Rivals:
    """What one edge has seen of the others."""

    def __init__(self) -> None:
        self._came_s: deque[float] = deque(maxlen=REMEMBERED)
        self._takes_s = 0.0

    def came(self, now_s: float) -> None:
        """Take in that a caller has come to another edge."""
        self._came_s.append(now_s)

    def took(self, seconds: float) -> None:
        """Take in how long a ticket of ours took to be written."""
        if not self._takes_s:
            self._takes_s = seconds
        self._takes_s += _WEIGHT * (seconds - self._takes_s)

    def are_few(self, now_s: float) -> bool:
        """Tell whether to reserve before anybody has seen the ticket."""
        if not self._came_s:
            return True
        since_s = max(now_s - self._came_s[0], 1e-3)
        rate = len(self._came_s) / since_s
        return rate * _BLIND * self._takes_s < FEW
