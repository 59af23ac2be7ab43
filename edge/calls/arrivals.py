"""Which calls wait for their answer, and how long those waited that have got it. PURE.

A call waits from when its INVITE has come to the socket until the edge has answered it, or it is
over. What is decided on it: `edge.steering.headroom`.
"""

from __future__ import annotations

from msgspec import Struct

from state.model import CallId


class Waits(Struct, frozen=True, kw_only=True):
    """How many have waited since the beginning, and how long all together."""

    count: int = 0
    sum_s: float = 0.0


class Arrivals:
    """Those of one edge."""

    def __init__(self) -> None:
        self._since_s: dict[CallId, float] = {}
        """The oldest first, as near as need be."""
        self._count, self._sum_s = 0, 0.0

    def __len__(self) -> int:
        return len(self._since_s)

    def begin(self, call: CallId, came_s: float) -> None:
        """Note a call that came then."""
        self._since_s[call] = came_s

    def over(self, call: CallId, now_s: float) -> None:
        """Note that it waits no more; nothing if it did not."""
        came_s = self._since_s.pop(call, None)
        if came_s is not None:
            self._count += 1
            self._sum_s += now_s - came_s

    def answers(self) -> Waits:
        """Return how long calls waited that do no more; those that ended unanswered too."""
        return Waits(count=self._count, sum_s=self._sum_s)

    def oldest_s(self, now_s: float) -> float:
        """Return how long the oldest has been waiting; 0: there is none."""
        return now_s - next(iter(self._since_s.values()), now_s)
