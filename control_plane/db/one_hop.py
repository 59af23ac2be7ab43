"""SQLite's connection in its thread, to which a statement goes once.

aiosqlite goes there four times for each: to make a cursor, execute, fetch and close. Each time two
threads wait to be scheduled and for the interpreter's lock, which on a busy machine is most of what
a small read takes. Nothing here streams: rows are fetched whole where they are found.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from threading import Thread
from typing import Any, Final

import aiosqlite
from aiosqlite.context import contextmanager

_CHUNK: Final = 64
"""Asked for by aiosqlite; rows do not come in chunks here."""


class Connection(aiosqlite.Connection):
    """A connection whose statements each take one hop."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, _CHUNK)
        self._thread.daemon = True  # as SQLAlchemy has it for connections that it makes

    @property
    def thread(self) -> Thread:
        """Where its statements are carried out. It ends when it has been told to stop."""
        return self._thread

    @contextmanager
    async def cursor(self) -> aiosqlite.Cursor:
        """Return a cursor. It comes into being where it is used."""
        return Cursor(self)


class Cursor(aiosqlite.Cursor):
    """What is left of a statement once it has been carried out: rows, and what they are."""

    def __init__(self, connection: Connection) -> None:
        self._conn = connection
        self._rows: list[Any] = []
        self._description: Any = None
        self._rowcount = -1
        self._lastrowid: int | None = None

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> Cursor:
        """Carry out a statement, and keep its rows."""
        await self._execute(self._carry_out, "execute", sql, parameters or ())  # type: ignore[no-untyped-call]
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> Cursor:
        """Carry out a statement for each of `parameters`."""
        await self._execute(self._carry_out, "executemany", sql, parameters)  # type: ignore[no-untyped-call]
        return self

    def _carry_out(self, how: str, sql: str, parameters: Iterable[Any]) -> None:
        cursor = self._conn._conn.cursor()  # noqa: SLF001 - as aiosqlite's own
        try:
            getattr(cursor, how)(sql, parameters)
            self._description = cursor.description
            self._rows = cursor.fetchall() if cursor.description else []
            self._rowcount, self._lastrowid = cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()

    async def fetchall(self) -> list[Any]:
        """Return the rows, once."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Let go of rows that nobody has fetched."""
        self._rows = []

    @property
    def description(self) -> Any:  # noqa: ANN401 - a driver's
        """Return what the columns are called; None: there are no rows."""
        return self._description

    @property
    def rowcount(self) -> int:
        """Return how many rows were changed."""
        return self._rowcount

    @property
    def lastrowid(self) -> int | None:
        """Return the number of the row that was added last."""
        return self._lastrowid
