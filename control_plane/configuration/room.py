"""Looks how much room the shared state has left, so that somebody is told before there is none.

Owns the figures of it. What a center does without room, its edges know (`edge.alone`).
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from control_plane.api.metrics import Metrics
from state.errors import StoreError
from state.space import REMEDY, Roomy, Space

log = structlog.get_logger()

EVERY_S: Final = 5.0


class RoomWatch:
    """One control plane's look at the member that it asks first, its own site's."""

    def __init__(self, store: Roomy, metrics: Metrics, quota_bytes: int) -> None:
        self._store = store
        self._metrics = metrics
        self._quota_bytes = quota_bytes
        self._is_nearly_full = False

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Look once; where nobody answers the figures stay as they were."""
        try:
            space = await self._store.space()
        except StoreError:
            return
        self._take(space)

    def _take(self, space: Space) -> None:
        is_nearly_full = space.is_nearly_full(self._quota_bytes)
        self._metrics.etcd_file_bytes.set(space.size_bytes)
        self._metrics.etcd_used_bytes.set(space.used_bytes)
        self._metrics.etcd_quota_bytes.set(space.quota_bytes or self._quota_bytes)
        self._metrics.etcd_has_room.set(not is_nearly_full)
        if is_nearly_full is not self._is_nearly_full:
            self._is_nearly_full = is_nearly_full
            log.warning(
                "etcd_room_alarm",
                is_on=is_nearly_full,
                is_full=space.is_full,
                taken=round(space.share(self._quota_bytes), 3),
                remedy=REMEDY if is_nearly_full else "",
            )
