"""Deletes calls that their tenant keeps no longer; not those under legal hold.

And answers kept for requests that might have come again (Idempotency-Key), after their day; and
refresh tokens and sessions, some time after the session.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from control_plane.api import idempotency
from control_plane.background import running
from control_plane.calls import store as calls
from control_plane.customers import turn
from control_plane.errors import DatabaseUnavailableError
from control_plane.holds.store import has_hold
from control_plane.services import SERVICES, Services
from control_plane.sessions import store as sessions
from control_plane.tenants import store as tenants

log = structlog.get_logger()

SWEEP_S: Final = 600.0


async def sweep(services: Services) -> int:
    """Delete what is too old, and return how many calls that was."""
    now_ms, count = services.clock.now().wall_ms, 0
    async with services.database.write() as connection:
        await idempotency.drop_over(connection, now_ms)
    async with services.database.read() as connection:
        kept = await tenants.retentions(connection)
    for tenant, days in kept.items():
        async with services.database.write() as connection:
            await turn.take(connection, tenant)
            count += await calls.drop_older(
                connection, tenant, tenants.kept_since(now_ms, days), spare=has_hold()
            )
    async with services.database.write() as connection:
        await sessions.drop_tokens(connection, now_ms)
        await sessions.drop_sessions(connection, now_ms)
    if count:
        log.info("calls_deleted", count=count)
    return count


async def context(app: web.Application) -> AsyncIterator[None]:
    """Sweep while the application runs."""
    async with running("tenancy", partial(_sweep_for_ever, app[SERVICES])):
        yield


async def _sweep_for_ever(services: Services) -> None:
    while True:
        with contextlib.suppress(DatabaseUnavailableError):  # what is too old stays so
            await sweep(services)
        await asyncio.sleep(SWEEP_S)
