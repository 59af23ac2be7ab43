"""Brings what is sealed onto the disk a few times a second, beside the clock that seals.

A second of audio is sealed at most 1.3 s after its first packet came, and is on the disk a period
and one flush later: a machine that loses its power loses no more than the last two seconds, as long
as its disk takes a flush in `GOAL_S`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from custody.disk import settle
from state.discreet import fault

PERIOD_S: Final = 0.3
GOAL_S: Final = 0.4

log = structlog.get_logger()


class Settler:
    """One spool's way to its disk."""

    def __init__(
        self,
        spool: Path,
        *,
        period_s: float = PERIOD_S,
        settle: Callable[[Path], None] = settle,
    ) -> None:
        self._spool = spool
        self._period_s = period_s
        self._settle = settle
        self._is_dirty = False
        self._is_slow = False
        self.slowest_s = 0.0
        """The longest flush since this process began."""

    def mark(self) -> None:
        """Say that something was written."""
        self._is_dirty = True

    async def run(self) -> None:
        """Flush what was written, until cancelled. A disk that fails is said once, not fatal."""
        while True:
            await asyncio.sleep(self._period_s)
            if not self._is_dirty:
                continue
            self._is_dirty = False
            began_s = time.monotonic()
            try:
                await asyncio.to_thread(self._settle, self._spool)
            except OSError as error:
                log.error("spool_not_settled", **fault(error))  # noqa: TRY400 - one line
            took_s = time.monotonic() - began_s
            self.slowest_s = max(self.slowest_s, took_s)
            if (took_s > GOAL_S) is not self._is_slow:
                self._is_slow = not self._is_slow
                log.warning("spool_disk", is_slow=self._is_slow, flush_s=round(took_s, 3))
