"""What falls due at which instant of the monotonic clock. PURE.

Owns one heap. Whoever is in it may be put in again at another instant: the last one counts.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

NEVER_S: Final = float("inf")
_SLACK: Final = 64
"""Beyond so many entries more than are in force, those that are void are cleared away."""


class Dues(Generic[K]):
    """One instant for each key; adding and popping cost the logarithm of their number."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        self._of: dict[K, tuple[float, int, K]] = {}
        self._serial = 0
        self.soonest_s = NEVER_S
        """Nothing falls due before. NEVER_S: there is nothing. Early, if what was due is not any
        more."""

    def set(self, key: K, due_s: float | None) -> None:
        """Let `key` fall due at `due_s` and at no other time; None: not at all."""
        if due_s is None:
            self._of.pop(key, None)
            return
        # The serial keeps keys from being compared.
        self._serial += 1
        entry = self._of[key] = (due_s, self._serial, key)
        heappush(self._heap, entry)
        if due_s < self.soonest_s:  # noqa: PLR1730
            self.soonest_s = due_s
        if len(self._heap) > 2 * len(self._of) + _SLACK:
            self._heap = list(self._of.values())
            heapify(self._heap)

    def pop(self, now_s: float) -> list[K]:
        """Return, and forget, all that is due by now, the earliest first."""
        due: list[K] = []
        while self._heap and self._heap[0][0] <= now_s:
            entry = heappop(self._heap)
            if self._of.get(entry[2]) is entry:
                del self._of[entry[2]]
                due.append(entry[2])
        self.soonest_s = self._heap[0][0] if self._heap else NEVER_S
        return due

    def next_s(self) -> float | None:
        """Return the earliest instant; None: nothing will fall due."""
        while self._heap and self._of.get(self._heap[0][2]) is not self._heap[0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None
