"""Looks how the shared state's own store stands: how much room it has, and who keeps it.

Owns the figures of it, so that somebody is told before there is no room, or no majority. What a
center does without room, its edges know (`edge.alone`).
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from msgspec.structs import replace

from control_plane.api.metrics import Metrics
from control_plane.configuration.standing import Room
from state.clock import Clock
from state.errors import StoreError
from state.members import EtcdMember, Membered, silent
from state.space import REMEDY, Roomy, Space

log = structlog.get_logger()

EVERY_S: Final = 5.0


class RoomWatch:
    """One control plane's look at the member that it asks first, its own site's, and at all."""

    def __init__(self, store: Roomy, metrics: Metrics, quota_bytes: int, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self.room = Room(quota_bytes=quota_bytes)
        """The newest."""

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Look once; where nobody answers the figures stay as they were, and no member is known."""
        space, members = await asyncio.gather(self._space(), self._members())
        self._take_members(members)
        if space is not None:
            self._take(space)

    async def _space(self) -> Space | None:
        try:
            return await self._store.space()
        except StoreError:
            return None

    async def _members(self) -> tuple[EtcdMember, ...]:
        if not isinstance(self._store, Membered):
            return ()
        try:
            return await self._store.members()
        except StoreError:
            return ()

    def _take_members(self, members: tuple[EtcdMember, ...]) -> None:
        before, now = silent(self.room.members), silent(members)
        self._metrics.etcd_members.set(len(members))
        self._metrics.etcd_members_silent.set(len(now))
        if members and self.room.members and before != now:
            log.warning("etcd_members_alarm", is_on=bool(now), silent=now)
        self.room = replace(self.room, members=members)

    def _take(self, space: Space) -> None:
        quota_bytes, since_ms = self.room.quota_bytes, self.room.no_room_since_ms
        is_nearly_full = space.is_nearly_full(quota_bytes)
        self._metrics.etcd_file_bytes.set(space.size_bytes)
        self._metrics.etcd_used_bytes.set(space.used_bytes)
        self._metrics.etcd_quota_bytes.set(space.quota_bytes or quota_bytes)
        self._metrics.etcd_has_room.set(not is_nearly_full)
        if is_nearly_full is (since_ms is None):
            log.warning(
                "etcd_room_alarm",
                is_on=is_nearly_full,
                is_full=space.is_full,
                taken=round(space.share(quota_bytes), 3),
                remedy=REMEDY if is_nearly_full else "",
            )
        if not is_nearly_full:
            since_ms = None
        elif since_ms is None:
            since_ms = self._clock.now().wall_ms
        self.room = replace(self.room, space=space, no_room_since_ms=since_ms)
