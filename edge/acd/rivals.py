"""Whether callers come to other edges in the time in which this edge cannot see them. PURE.

Every edge whose caller has just come reaches for the same agent, the best. One that reaches in vain
loses nothing by it (`edge.acd.granting`); but it may be its own offer that makes the reservation of
somebody who waits at another edge fail. So an edge reserves with the very creation of a ticket only
where rivals are few: where nobody has come elsewhere for many times as long as others take to see
what it does. Else it lets its ticket be seen first, and all edges come to one match.
"""

from __future__ import annotations

from typing import Final

QUIET: Final = 40.0
"""For so many times as long as a transaction takes. Nobody else sees it for about twice as long
(its way, and the watch's on both sides), so that in the end one in twenty at most has a rival."""
_WEIGHT: Final = 1 / 8


class Rivals:
    """What one edge has seen of the others, since it began to look: then one may just have come."""

    def __init__(self, began_s: float) -> None:
        self._came_s = began_s
        self._takes_s = 0.0

    def came(self, now_s: float) -> None:
        """Take in that a caller has come to another edge."""
        self._came_s = now_s

    def took(self, seconds: float) -> None:
        """Take in how long a ticket of ours took to be written."""
        if not self._takes_s:
            self._takes_s = seconds
        self._takes_s += _WEIGHT * (seconds - self._takes_s)

    def are_few(self, now_s: float) -> bool:
        """Tell whether to reserve before anybody has seen the ticket."""
        return now_s - self._came_s >= QUIET * self._takes_s
