"""Finds out whether the store has room, also for an edge that has nothing to write.

While there is room a member is asked for its alarms, which costs no consensus. Once there was none,
a write that is never done has to pass as well: an alarm that was ended without room being made is
raised again by the next write.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from state.clock import Clock
from state.errors import StoreError
from state.space import REMEDY, Roomy

log = structlog.get_logger()

EVERY_S: Final = 1.0
FULL_EVERY_S: Final = 0.5


class SpaceWatch:
    """What one edge knows of the store's room."""

    def __init__(self, store: Roomy, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._full_since_s: float | None = None

    @property
    def full_s(self) -> float | None:
        """For how long there has been no room; None: there is."""
        since_s = self._full_since_s
        return None if since_s is None else self._clock.now().mono_s - since_s

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(EVERY_S if self._full_since_s is None else FULL_EVERY_S)

    async def _look(self) -> None:
        try:
            is_full = await self._is_full()
        except StoreError:
            return  # nobody says anything: whether there is a quorum is not asked here
        if is_full and self._full_since_s is None:
            self._full_since_s = self._clock.now().mono_s
            log.warning("store_full", remedy=REMEDY)
        elif not is_full and self._full_since_s is not None:
            log.warning("store_has_room", full_s=round(self.full_s or 0.0, 1))
            self._full_since_s = None

    async def _is_full(self) -> bool:
        if (await self._store.space()).is_full:
            return True
        return self._full_since_s is not None and not await self._store.takes_writes()
