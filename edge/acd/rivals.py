"""How many callers come to other edges in the time in which they cannot see this edge's. PURE.

Every edge whose caller has just come reaches for the same agent, the best. One that reaches in vain
loses nothing by it (`edge.acd.granting`); but it may be its own offer that makes the reservation of
somebody who waits at another edge fail, and where that happens often those who lose once lose
again. So an edge reserves with the very creation of a ticket only where rivals are few. Else it
lets its ticket be seen first, and all edges come to one match.
"""

from __future__ import annotations

from collections import deque
from typing import Final

FEW: Final = 0.3
"""So many who come elsewhere while a ticket is written, on average, are few: with twice as many the
slowest begin to wait for longer than without (decision 8)."""
REMEMBERED: Final = 8
"""The rate of rivals is that of the last so many."""
_WEIGHT: Final = 1 / 8
_LEAST_S: Final = 1e-3
_UNKNOWN_S: Final = 0.1
"""What a ticket is taken to take as long as none was written."""


class Rivals:
    """What one edge has seen of the others, since it began to look: then one may just have come."""

    def __init__(self, began_s: float) -> None:
        self._came_s = deque((began_s,), maxlen=REMEMBERED)
        self._takes_s: float | None = None

    def came(self, now_s: float) -> None:
        """Take in that a caller has come to another edge."""
        self._came_s.append(now_s)

    def took(self, seconds: float) -> None:
        """Take in how long a ticket of ours took to be written."""
        before_s = seconds if self._takes_s is None else self._takes_s
        self._takes_s = before_s + _WEIGHT * (seconds - before_s)

    def are_few(self, now_s: float) -> bool:
        """Tell whether to reserve before anybody has seen the ticket."""
        since_s = max(now_s - self._came_s[0], _LEAST_S)
        takes_s = _UNKNOWN_S if self._takes_s is None else self._takes_s
        return len(self._came_s) / since_s * takes_s < FEW
