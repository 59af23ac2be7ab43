"""The numbers of whom a dry run of an import would have added, however many those are.

A file's later lines are compared with its earlier ones, and nothing of a dry run may be in the
database. So they are kept in a file that has no name (SQLite's temporary database: in memory up to
some 2 MB, else on the disk, gone with its connection), and there as digests under a key that is
thrown away.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterable
from hashlib import blake2b
from typing import Final

MOST_PAGES: Final = 262_144
"""Of 4 KiB, so that no file fills the disk: room for some 30 million numbers."""
_IN_ONE: Final = 500
_DIGEST_BYTES: Final = 16


class NoRoomError(Exception):
    """They are too many, or the disk is full."""


class Imagined:
    """A set of numbers, to be closed."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(_DIGEST_BYTES)
        self._file: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        """Whoever is cancelled closes it while a thread may be at it still."""
        self._is_over = False

    def close(self) -> None:
        """Forget them, and whatever is added from now on."""
        with self._lock:
            self._is_over = True
            if self._file is not None:
                self._file.close()

    async def among(self, numbers: Collection[str]) -> set[str]:
        """Return which of `numbers` are here. Raise `NoRoomError`."""
        if self._file is None:
            return set()
        return await asyncio.to_thread(self._among, numbers)

    async def add(self, numbers: Iterable[str]) -> None:
        """Add these. Raise `NoRoomError`."""
        await asyncio.to_thread(self._add, numbers)

    def _among(self, numbers: Collection[str]) -> set[str]:
        asked = {self._digest(each): each for each in numbers}
        wanted = sorted(asked)
        found: set[str] = set()
        for first in range(0, len(wanted), _IN_ONE):
            some = wanted[first : first + _IN_ONE]
            marks = ",".join("?" * len(some))
            statement = f"SELECT digest FROM numbers WHERE digest IN ({marks})"  # noqa: S608 - marks
            found.update(asked[digest] for (digest,) in self._do(statement, some))
        return found

    def _add(self, numbers: Iterable[str]) -> None:
        made = sorted({self._digest(each) for each in numbers})
        for first in range(0, len(made), _IN_ONE):
            some = made[first : first + _IN_ONE]
            marks = ",".join(["(?)"] * len(some))
            self._do(f"INSERT OR IGNORE INTO numbers VALUES {marks}", some)  # noqa: S608 - marks

    def _do(self, statement: str, values: list[bytes]) -> list[tuple[bytes]]:
        with self._lock:
            if self._is_over:
                return []
            try:
                if self._file is None:
                    self._file = _opened()
                return self._file.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise NoRoomError from error

    def _digest(self, number: str) -> bytes:
        return blake2b(number.encode(), key=self._key, digest_size=_DIGEST_BYTES).digest()


def _opened() -> sqlite3.Connection:
    """Open a database that is in no folder, and that nobody goes back in: it keeps no journal."""
    made = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    made.execute("PRAGMA journal_mode=OFF")
    made.execute(f"PRAGMA max_page_count={MOST_PAGES}")
    made.execute("CREATE TABLE numbers (digest BLOB PRIMARY KEY) WITHOUT ROWID")
    return made
