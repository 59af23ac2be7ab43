"""How often a duty is done that costs more the more there is. PURE."""

from __future__ import annotations

from typing import Final

MOST: Final = 0.1
"""Of the time, what one such duty may take."""


class Pace:
    """The pace of one duty.

    What counts is the lesser of the last two times: a process that was frozen, or a store that was
    away, in the middle of it has made it look dear once. A look that took 14 s so would come again
    after two minutes, and what hangs on it is promised within seconds.
    """

    def __init__(self, usual_s: float) -> None:
        self._usual_s = usual_s
        self._before_s = self._last_s = 0.0

    def took(self, seconds: float) -> None:
        """Note how long it took this time."""
        self._before_s, self._last_s = self._last_s, seconds

    @property
    def pause_s(self) -> float:
        """How long to wait until the next time.

        The usual pause while it costs little. In a center of a hundred thousand agents looking at
        them all takes a second, and doing that every other second would leave the calls half an
        edge.
        """
        cost_s = min(self._before_s, self._last_s)
        return max(self._usual_s, cost_s * (1.0 - MOST) / MOST)
