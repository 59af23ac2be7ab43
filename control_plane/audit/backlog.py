"""Entries of the audit log that could not be written at once: live calls go on without a database.

Each is in the process's log from the first moment, and in the database as soon as that is back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Final

import structlog
from aiohttp import web

from control_plane.audit import store
from control_plane.audit.store import Entry
from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.services import SERVICES

log = structlog.get_logger()

AGAIN_S: Final = 1.0
MOST: Final = 10_000


class Backlog:
    """Writes entries, now or later."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[Entry] = deque(maxlen=MOST)

    async def write(self, entry: Entry) -> None:
        """Write an entry, or keep it until the database is back."""
        if not self._waiting:
            try:
                async with self._database.write() as connection:
                    await store.add(connection, entry)
            except DatabaseUnavailableError:
                pass
            else:
                return
        log.warning("audit_waits", **asdict(entry))
        self._waiting.append(entry)

    @property
    def count(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    async def flush(self) -> None:
        """Write what waits, in its order."""
        while self._waiting:
            async with self._database.write() as connection:
                await store.add(connection, self._waiting[0])
            self._waiting.popleft()

    async def run(self) -> None:
        """Flush again and again, until cancelled; then once more."""
        try:
            while True:
                await asyncio.sleep(AGAIN_S)
                await self._try()
        finally:
            await self._try()

    async def _try(self) -> None:
        try:
            await self.flush()
        except DatabaseUnavailableError:
            return


BACKLOG = web.AppKey("audit_backlog", Backlog)


async def context(app: web.Application) -> AsyncIterator[None]:
    """Keep what waits while the application runs."""
    backlog = app[BACKLOG] = Backlog(app[SERVICES].database)
    task = asyncio.create_task(backlog.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
