"""The database: SQLite in one file, or PostgreSQL, behind two words: `read` and `write`.

Owns connections, transactions and what a dead server looks like. Knows no table.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from control_plane.db.one_hop import Connection
from control_plane.errors import DatabaseUnavailableError

CONNECT_S: Final = 2
"""For each host of the URL: one that is gone costs so much, once a connection."""
POOL: Final = 10
JOIN_S: Final = 1.0
"""For all threads of SQLite together, when a database is closed."""
STATEMENT_MS: Final = 10_000
IDLE_S: Final = 1.0
"""Who has been idle for so long is asked whether it is still there. Who has just answered is not:
each question costs a request a way to the server and back."""


class Database:
    """Connections to one database."""

    def __init__(
        self,
        engine: AsyncEngine,
        readers: AsyncEngine | None = None,
        threads: Iterable[Thread] = (),
    ) -> None:
        """`threads`: those of SQLite's connections."""
        self.engine = engine
        self._threads = threads
        self.readers = readers or engine
        """They have no transaction, and cannot write."""
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writer = asyncio.Lock()
        self._committed: asyncio.Future[None] | None = None

    @classmethod
    def open(cls, url: str) -> Database:
        """Return a database that connects when it is first asked."""
        made = make_url(url)
        if made.get_backend_name() == "sqlite":
            threads: WeakSet[Thread] = WeakSet()
            return cls(_sqlite(made, threads), _sqlite(made, threads, can_write=False), threads)
        return cls(_postgresql(made), _postgresql(made, can_write=False))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection by which nothing can be written: that is an error.

        It has no transaction. Each statement would see what is committed by then anyway, and to
        begin and end one takes two ways to the server.
        """
        with _outages():
            async with self.readers.connect() as connection:
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
            else:
                async with self._writer, self.engine.begin() as connection:
                    # Else it begins as a reader, and may find the file taken when it writes.
                    await connection.execute(text("BEGIN IMMEDIATE"))
                    yield connection
        if self._committed is not None and not self._committed.done():
            self._committed.set_result(None)

    def next_commit(self) -> asyncio.Future[None]:
        """Return what is done when a transaction of this process has been committed from now on."""
        if self._committed is None or self._committed.done():
            self._committed = asyncio.get_running_loop().create_future()
        return self._committed

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
        if self.readers is not self.engine:
            await self.readers.dispose()
        await asyncio.to_thread(_join, list(self._threads))


def _join(threads: Iterable[Thread]) -> None:
    """Wait until those have ended who were told to stop.

    Who is cancelled as they connect tells it so and does not wait, and the thread's last word
    would come to a loop that is closed. One that was never told is left to the process's end.
    """
    ends_s = time.monotonic() + JOIN_S
    for thread in threads:
        thread.join(max(0.0, ends_s - time.monotonic()))


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


def _sqlite(url: URL, threads: WeakSet[Thread], *, can_write: bool = True) -> AsyncEngine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        url,
        pool_size=POOL,
        # Each has a thread and pages of its own, some 3 MB once it has read much: in turn they all
        # would come to that.
        pool_use_lifo=True,
        async_creator=_opener(url.database or ":memory:", threads),
        # Who reads has no transaction: there is nothing to take back.
        skip_autocommit_rollback=not can_write,
    )

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
            *(() if can_write else ("query_only=ON",)),
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _opener(path: str, threads: WeakSet[Thread]) -> Callable[[], Connection]:
    def open_() -> Connection:
        made = Connection(lambda: sqlite3.connect(path, check_same_thread=False))
        threads.add(made.thread)
        return made

    return open_


def _postgresql(url: URL, *, can_write: bool = True) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=POOL,
        max_overflow=0 if can_write else POOL,
        # The one that was used last knows the statement, and need not be asked whether it is there.
        pool_use_lifo=True,
        skip_autocommit_rollback=not can_write,
        pool_timeout=5,
        pool_recycle=300,
        isolation_level="READ COMMITTED" if can_write else "AUTOCOMMIT",
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
    _ask_the_idle(engine)
    if not can_write:
        _keep_from_writing(engine)
    return engine


def _keep_from_writing(engine: AsyncEngine) -> None:
    """Let sessions be read-only: once they are there, for libpq takes none that begin so."""

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - a driver's
        cursor = connection.cursor()
        cursor.execute("SET default_transaction_read_only = on")
        cursor.close()
        connection.commit()


def _ask_the_idle(engine: AsyncEngine) -> None:
    """Let a connection be tried before it is given out, if it has lain idle: it may be dead."""

    @event.listens_for(engine.sync_engine, "checkin")
    def _note(_connection: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - a driver's
        entry.info["idle_since_s"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _try(connection: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:  # noqa: ANN401
        since_s = entry.info.pop("idle_since_s", None)
        if since_s is None or time.monotonic() - since_s < IDLE_S:
            return
        try:
            engine.sync_engine.dialect.do_ping(connection)
        except engine.sync_engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error  # all others are as old
