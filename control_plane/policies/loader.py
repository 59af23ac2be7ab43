"""Keeps the policy current with the tenants' own lines, at every control plane.

What cannot be loaded because the database is away stays as it was last known; what is there and
cannot be read allows nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import structlog
from aiohttp import web

from control_plane.authz import Authz
from control_plane.background import running
from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError, PolicyError
from control_plane.policies import bounds, store
from control_plane.policies.trying import TRIALS, Trials
from control_plane.services import SERVICES

log = structlog.get_logger()

LOOK_S: Final = 2.0


class Loader:
    """Loads what has changed."""

    def __init__(self, database: Database, authz: Authz) -> None:
        self._database = database
        self._authz = authz
        self._numbers: dict[str, int] = {}

    def number(self, tenant: str) -> int:
        """Return the version of a tenant's own lines that holds here; 0: none."""
        return self._numbers.get(tenant, 0)

    async def look(self) -> None:
        """Load what holds and is not known here yet."""
        async with self._database.read() as connection:
            numbers = await store.numbers(connection)
            news = [each for each, number in numbers.items() if number != self.number(each)]
            versions = await store.load(connection, news) if news else {}
        for tenant, version in versions.items():
            try:
                own = bounds.checked(version.text, self._authz.base, tenant)
            except PolicyError as error:
                log.critical("policy_unreadable", tenant=tenant, reason=str(error))
                own = bounds.nothing(tenant)
            self._authz.set_tenant(tenant, own)
            self._numbers[tenant] = version.number
            log.info("policy_loaded", tenant=tenant, number=version.number)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except DatabaseUnavailableError:
                continue  # as last known: see permissions.LIVE_CALL for what goes on


LOADER = web.AppKey("policy_loader", Loader)


async def context(app: web.Application) -> AsyncIterator[None]:
    """Load before anybody is served, and go on looking."""
    services = app[SERVICES]
    app[TRIALS] = Trials()
    loader = app[LOADER] = Loader(services.database, services.authz)
    await loader.look()
    async with running("policies", loader.run):
        yield
