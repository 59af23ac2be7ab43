"""Time in the SIP stack: the base intervals of RFC 3261 §17 and a queue of whose turn is next.

Laws of the queue: an owner is in the heap at most once under its current `queued` time; whatever
else of it is found there is stale and dropped when it comes up. Moving a deadline later costs
nothing (the entry is pushed on when it comes up); moving it earlier costs one push.
"""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace
from math import inf
from typing import Protocol

T1 = 0.5
"""Estimate of the round trip, in seconds."""
T2 = 4.0
"""Longest interval between retransmissions of a non-INVITE request or an INVITE response."""
T4 = 5.0
"""How long a message stays in the network."""
LINGER = 64 * T1
"""Timers B, D, F, H, J, L and M: how long to hope for, or expect, the other side."""


class Timed(Protocol):
    """Something with a deadline of its own."""

    due: float
    """When it wants its turn; `inf` for never."""
    queued: float
    """Under which time it stands in the heap; `inf` if it does not. Only the queue writes it."""


class TimerQueue:
    """Owners by deadline: O(log n) to add, O(1) amortised to look."""

    __slots__ = ("_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._serial = 0

    def schedule(self, owner: Timed) -> None:
        """Take note of `owner.due`, which may have changed in either direction."""
        if owner.due < owner.queued:
            self._serial += 1
            owner.queued = owner.due
            heappush(self._heap, (owner.due, self._serial, owner))

    def next_deadline(self) -> float | None:
        """Return when the next owner wants its turn, or None if none does."""
        heap = self._heap
        while heap:
            when, serial, owner = heap[0]
            if when != owner.queued:
                heappop(heap)
            elif owner.due == inf:
                heappop(heap)
                owner.queued = inf
            elif owner.due > when:
                owner.queued = owner.due
                heapreplace(heap, (owner.due, serial, owner))
            else:
                return when
        return None

    def pop_due(self, now: float) -> Timed | None:
        """Take out one owner whose time has come."""
        when = self.next_deadline()
        if when is None or when > now:
            return None
        owner = heappop(self._heap)[2]
        owner.queued = inf
        return owner
