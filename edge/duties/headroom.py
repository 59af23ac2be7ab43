"""Tells this site's Kamailio how many calls the edge may have unanswered at once.

`edge.steering.headroom` decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from msgspec import Struct

from edge.steering.headroom import WINDOW_S, Headroom, Window
from state.clock import Clock

log = structlog.get_logger()


class Waits(Struct, frozen=True, kw_only=True):
    """How long datagrams have waited in the socket, since the beginning."""

    count: int = 0
    sum_s: float = 0.0


class HeadroomKeeper:
    """Looks four times a second, and says each time how many calls may be unanswered at once."""

    def __init__(
        self,
        *,
        clock: Clock,
        waits: Callable[[], Waits],
        taken: Callable[[], int],
        unanswered: Callable[[], int],
        tell: Callable[[int], None],
    ) -> None:
        """`taken`: how many calls this edge has taken so far; `tell` reaches Kamailio, or not."""
        self._clock = clock
        self._waits = waits
        self._taken = taken
        self._unanswered = unanswered
        self._tell = tell
        self.headroom = Headroom()

    async def run(self) -> None:
        """Look and tell until cancelled."""
        at_s, waits, taken = self._clock.now().mono_s, self._waits(), self._taken()
        while True:
            await asyncio.sleep(WINDOW_S)
            now_s, more, calls = self._clock.now().mono_s, self._waits(), self._taken()
            count = more.count - waits.count
            self._look(
                Window(
                    seconds=max(WINDOW_S / 2, now_s - at_s),
                    calls=calls - taken,
                    wait_s=(more.sum_s - waits.sum_s) / count if count else 0.0,
                    unanswered=self._unanswered(),
                )
            )
            at_s, waits, taken = now_s, more, calls

    def _look(self, seen: Window) -> None:
        before, self.headroom = self.headroom, self.headroom.after(seen)
        if before.is_limiting != self.headroom.is_limiting:
            log.warning(
                "headroom",
                is_limiting=self.headroom.is_limiting,
                calls_at_once=self.headroom.calls,
                wait_s=round(seen.wait_s, 3),
            )
        self._tell(self.headroom.calls)
