"""The services of this feature, and their life in the application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from control_plane.configuration.desk import DESK
from control_plane.customers.talking import TALKING
from control_plane.errors import UNAVAILABLE, ApiError
from control_plane.live.carrier import Carrier
from control_plane.live.follower import Follower
from control_plane.services import SERVICES
from state.snapshot import Snapshot

log = structlog.get_logger()
LIVE = web.AppKey("live", Follower)


async def context(app: web.Application) -> AsyncIterator[None]:
    """Follow the shared state, where one is named, and carry calls that are over."""
    desk, services = app[DESK], app[SERVICES]
    if desk.mirror is None or desk.store is None:
        yield
        return
    follower = app[LIVE] = Follower(desk.mirror, desk.store, services.clock)
    app[TALKING].follow(follower.to)
    carrier = Carrier(follower, services.database)
    task = asyncio.create_task(carrier.run())
    task.add_done_callback(_ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("live_part_died", error=type(error).__name__)


def follower_of(app: web.Application) -> Follower:
    """Return what follows the shared state. Raise `unavailable` where nothing has been seen."""
    found = app.get(LIVE)
    if found is None or found.mirror.snapshot.revision == 0:
        raise ApiError(UNAVAILABLE, "The shared state cannot be seen from here.")
    return found


def snapshot_of(app: web.Application) -> Snapshot:
    """Return the newest snapshot. Raise `unavailable` where nothing has been seen."""
    return follower_of(app).mirror.snapshot
