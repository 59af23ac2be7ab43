"""Tells this site's Kamailio how many calls the edge may have unanswered at once.

And other sites whether it has had too much to do for a while. `edge.steering.headroom` and
`edge.steering.crowding` decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from edge.calls.arrivals import Arrivals, Waits
from edge.steering.crowding import Crowding
from edge.steering.headroom import WINDOW_S, Headroom, Window
from state.clock import Clock

log = structlog.get_logger()


class HeadroomKeeper:
    """Looks four times a second, and says each time how many calls may be unanswered at once."""

    def __init__(
        self,
        *,
        clock: Clock,
        waits: Callable[[], Waits],
        arrivals: Arrivals,
        tell: Callable[[int], None],
        tell_others: Callable[[Crowding], None],
    ) -> None:
        """Datagrams have their `waits` in the socket; `tell` reaches Kamailio, or not.

        `tell_others` is told in every look how crowded the edge is.
        """
        self._clock = clock
        self._waits = waits
        self._arrivals = arrivals
        self._tell = tell
        self._tell_others = tell_others
        self.headroom = Headroom()
        self.crowding = Crowding()

    async def run(self) -> None:
        """Look and tell until cancelled."""
        at_s, waits, answers = self._clock.now().mono_s, self._waits(), self._arrivals.answers()
        while True:
            await asyncio.sleep(WINDOW_S)
            now_s, more = self._clock.now().mono_s, self._waits()
            total = self._arrivals.answers()
            count, answered = more.count - waits.count, total.count - answers.count
            answered_s = total.sum_s - answers.sum_s
            self._look(
                Window(
                    seconds=max(WINDOW_S / 2, now_s - at_s),
                    answered=answered,
                    answer_s=answered_s / answered if answered else self._arrivals.oldest_s(now_s),
                    unanswered=len(self._arrivals),
                    wait_s=(more.sum_s - waits.sum_s) / count if count else 0.0,
                )
            )
            at_s, waits, answers = now_s, more, total

    def _look(self, seen: Window) -> None:
        before, self.headroom = self.headroom, self.headroom.after(seen)
        if before.is_limiting != self.headroom.is_limiting:
            log.warning(
                "headroom",
                is_limiting=self.headroom.is_limiting,
                calls_at_once=self.headroom.calls,
                answer_s=round(seen.answer_s, 3),
                least_s=round(self.headroom.least_s, 3),
            )
        self._tell(self.headroom.calls)
        now_s, was_crowded = self._clock.now().mono_s, self.crowding.is_crowded
        self.crowding = self.crowding.after(now_s, is_limiting=self.headroom.is_limiting)
        if was_crowded != self.crowding.is_crowded:
            log.warning("crowded" if self.crowding.is_crowded else "at_ease")
        self._tell_others(self.crowding)
