"""The database: SQLite in one file, or PostgreSQL, behind two words: `read` and `write`.

Owns connections, transactions and what a dead server looks like. Knows no table.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from control_plane.errors import DatabaseUnavailableError

CONNECT_S: Final = 2
"""For each host of the URL: one that is gone costs so much, once a connection."""
POOL: Final = 10
STATEMENT_MS: Final = 10_000


class Database:
    """Connections to one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writer = asyncio.Lock()

    @classmethod
    def open(cls, url: str) -> Database:
        """Return a database that connects when it is first asked."""
        made = make_url(url)
        return cls(_sqlite(made) if made.get_backend_name() == "sqlite" else _postgresql(made))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection whose transaction is rolled back at the end."""
        with _outages():
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction: committed at the end, or rolled back if an exception leaves it.

        SQLite has one writer at a time; they queue here, in order, instead of in its busy loop.
        """
        with _outages():
            if not self.is_sqlite:
                async with self.engine.begin() as connection:
                    yield connection
                return
            async with self._writer, self.engine.begin() as connection:
                # Else it begins as a reader, and may find the file taken when it comes to write.
                await connection.execute(text("BEGIN IMMEDIATE"))
                yield connection

    async def is_up(self) -> bool:
        """Return whether it answers."""
        try:
            async with self.read() as connection:
                await connection.execute(text("SELECT 1"))
        except DatabaseUnavailableError:
            return False
        return True

    async def close(self) -> None:
        """Let go of all connections."""
        await self.engine.dispose()


@contextmanager
def _outages() -> Iterator[None]:
    """Turn what a driver raises when the server is gone into `DatabaseUnavailableError`."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, ConnectionError) as error:
        raise DatabaseUnavailableError(type(error).__name__) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailableError(type(error).__name__) from error
        raise


def _sqlite(url: URL) -> AsyncEngine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, pool_size=POOL)

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - a driver's
        # Transactions begin where we say so, and not where the driver guesses.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=5000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _postgresql(url: URL) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=POOL,
        max_overflow=POOL,
        pool_timeout=5,
        pool_pre_ping=True,
        pool_recycle=300,
        connect_args={
            "connect_timeout": CONNECT_S,
            # Of several hosts, the one that takes writes: after a failover, the new primary.
            "target_session_attrs": "read-write",
            "application_name": "everline",
            # A server whose site has vanished says nothing, not even goodbye.
            "tcp_user_timeout": 5_000,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 2,
            "options": f"-c statement_timeout={STATEMENT_MS} -c lock_timeout=5000",
        },
    )
