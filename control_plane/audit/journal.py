"""Entries that nobody waits for: reads of customers' data, denials, and what is said of live calls.

They are written together, a moment later, so that a screen pop costs no write. When the database is
away each is in the process's log at once, and in the database as soon as that is back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import asdict
from typing import Final

import msgspec
import structlog
from sqlalchemy.exc import DataError, SQLAlchemyError

from control_plane.audit import store
from control_plane.audit.entry import Entry
from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError
from state.discreet import fault

log = structlog.get_logger()

GATHER_S: Final = 0.05
"""So long is gathered what is written together: no more than this is lost in a crash."""
AGAIN_S: Final = 1.0
TOGETHER: Final = 500
MOST: Final = 10_000
UNWRITABLE: Final = (DataError, ValueError, TypeError, OverflowError, msgspec.MsgspecError)
"""What is raised when it is an entry that no database takes, and not the database that is away."""


class Journal:
    """Writes entries, a little later or when it can."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[Entry] = deque()
        self._told = 0
        """How many of those that wait are in the process's log."""
        self._is_something = asyncio.Event()
        self._flushing = asyncio.Lock()

    def note(self, entry: Entry) -> None:
        """Take an entry. Never waits, never fails."""
        if len(self._waiting) >= MOST:
            log.error("audit_lost", **asdict(entry))  # the last place where it can still stand
            return
        self._waiting.append(entry)
        self._is_something.set()

    @property
    def count(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    async def flush(self) -> None:
        """Write what waits, in its order. Raise `DatabaseUnavailableError`."""
        async with self._flushing:
            while self._waiting:
                batch = tuple(self._waiting)[:TOGETHER]
                await self._write(batch)
                for _ in batch:
                    self._waiting.popleft()
                self._told = max(0, self._told - len(batch))

    async def _write(self, batch: tuple[Entry, ...]) -> None:
        """Write all of them; but of one that cannot be written, the line in the process's log.

        Else it would keep all that come after it out of the audit log.
        """
        try:
            async with self._database.write() as connection:
                await store.add(connection, *batch)
        except UNWRITABLE as error:
            if len(batch) == 1:
                log.error("audit_lost", **asdict(batch[0]), **fault(error))  # noqa: TRY400
                return
            for entry in batch:
                await self._write((entry,))

    async def run(self) -> None:
        """Flush again and again, until cancelled; then once more."""
        if self._waiting:
            self._is_something.set()
        try:
            while True:
                await self._is_something.wait()
                self._is_something.clear()
                await asyncio.sleep(GATHER_S)
                if not await self._try():
                    await asyncio.sleep(AGAIN_S)
                    self._is_something.set()
        finally:
            await self._try()

    async def _try(self) -> bool:
        try:
            await self.flush()
        except (DatabaseUnavailableError, SQLAlchemyError):
            self._tell()
            return False
        return True

    def _tell(self) -> None:
        for entry in tuple(self._waiting)[self._told :]:
            log.warning("audit_waits", **asdict(entry))
        self._told = len(self._waiting)
