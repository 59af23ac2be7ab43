"""How late a watch is: what it tells, against what the store has said of itself meanwhile. PURE.

A watch that is late tells everything, in order, and as if it were new; a mirror that takes a record
in has no way to see how old it is. But the store says its revision in each answer. A change that is
taken in when the store had said, some seconds before, that it was at a later one, is so old at
least.

Whoever takes in less than is written falls behind by ever more: each change waits for all before
it. So a watch that stays late is to be given up for a listing, which leaves what waits behind.
"""

from __future__ import annotations

from collections import deque
from typing import Final

LATE_S: Final = 1.0
"""News as old as this are late: what was decided on them has mostly been overtaken."""
LASTS_S: Final = 0.5
"""For so long they are late in turn before that counts: a process that was frozen finds what has
waited meanwhile, and is through with it in a moment."""
_MOST: Final = 100
"""So many answers are kept. What the store says later tells less of how late it is."""


class Lateness:
    """Of one watch."""

    def __init__(self) -> None:
        self._said: deque[tuple[int, float]] = deque()
        """Which revisions the store was at, and when it said so: what was not taken in then."""
        self._since_s: float | None = None
        self.late_s = 0.0
        """How old the last change was when it was taken in, at least."""

    def hears(self, revision: int, now_s: float) -> None:
        """Note that the store has said which revision it is at."""
        if len(self._said) < _MOST and (not self._said or revision > self._said[-1][0]):
            self._said.append((revision, now_s))

    def takes(self, revision: int, now_s: float) -> None:
        """Note that the change of a revision is taken in."""
        said = self._said
        while said and said[0][0] <= revision:
            said.popleft()
        self.late_s = now_s - said[0][1] if said else 0.0
        if self.late_s < LATE_S:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s

    def stays(self, now_s: float) -> bool:
        """Tell whether it has been late for some time."""
        return self._since_s is not None and now_s - self._since_s >= LASTS_S

    def is_over(self) -> None:
        """Begin anew: a listing has left behind what waited."""
        self._said.clear()
        self._since_s, self.late_s = None, 0.0
