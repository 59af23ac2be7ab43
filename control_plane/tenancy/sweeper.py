"""Deletes calls that their tenant keeps no longer; not those under legal hold.

And answers kept for requests that might have come again (Idempotency-Key), after their day; and
refresh tokens and sessions, some time after the session.
"""

from __future__ import annotations

import asyncio
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
AT_ONCE: Final = 5_000
"""Calls in one transaction. A tenant may have years of them when it first says for how long they
are kept: one statement for all would take longer than any may, and be taken back each time."""


async def sweep(services: Services) -> int:
    """Delete what is too old, and return how many calls that was."""
    now_ms, count = services.clock.now().wall_ms, 0
    async with services.database.write() as connection:
        await idempotency.drop_over(connection, now_ms)
    async with services.database.read() as connection:
        kept = await tenants.retentions(connection)
    for tenant, days in kept.items():
        count += await _drop_calls(services, tenant, tenants.kept_since(now_ms, days))
    async with services.database.write() as connection:
        await sessions.drop_tokens(connection, now_ms)
        await sessions.drop_sessions(connection, now_ms)
    if count:
        log.info("calls_deleted", count=count)
    return count


async def _drop_calls(services: Services, tenant: str, before_ms: int) -> int:
    count = 0
    while True:
        async with services.database.write() as connection:
            await turn.take(connection, tenant)
            gone = await calls.drop_older(connection, tenant, before_ms, AT_ONCE, spare=has_hold())
        count += gone
        if gone < AT_ONCE:
            return count


async def context(app: web.Application) -> AsyncIterator[None]:
    """Sweep while the application runs."""
    async with running("tenancy", partial(_sweep_for_ever, app[SERVICES])):
        yield


async def _sweep_for_ever(services: Services) -> None:
    while True:
        try:
            await sweep(services)
        except DatabaseUnavailableError as error:
            log.warning("not_swept", because=str(error))  # what is too old stays so
        await asyncio.sleep(SWEEP_S)
