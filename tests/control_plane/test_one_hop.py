"""SQLite's statements go to its thread once each, and answer as its own driver's do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from control_plane.db.database import Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database.open(f"sqlite+aiosqlite:///{tmp_path}/small.db")
    async with made.write() as connection:
        await connection.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT UNIQUE)"))
        await connection.execute(
            text("INSERT INTO t (word) VALUES (:word)"), [{"word": "one"}, {"word": "two"}]
        )
    yield made
    await made.close()


async def test_a_read_goes_to_the_thread_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read() -> list[str]:
        async with database.read() as connection:
            return list((await connection.execute(text("SELECT word FROM t"))).scalars())

    await read()  # the connection is there from now on
    hops, real = 0, aiosqlite.Connection._execute  # noqa: SLF001 - the hop itself

    async def counted(self: aiosqlite.Connection, *args: object, **named: object) -> object:
        nonlocal hops
        hops += 1
        return await real(self, *args, **named)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
    assert sorted(await read()) == ["one", "two"]
    assert hops == 1


async def test_a_statement_tells_what_it_changed(database: Database) -> None:
    async with database.write() as connection:
        changed = await connection.execute(text("UPDATE t SET word = word || '!'"))
        assert changed.rowcount == 2
        added = await connection.execute(text("INSERT INTO t (word) VALUES ('three') RETURNING id"))
        assert added.scalar_one() == 3
        nothing = await connection.execute(text("SELECT word FROM t WHERE id = 9"))
        assert nothing.all() == []
        assert list(nothing.keys()) == ["word"]


async def test_a_statement_that_fails_leaves_the_connection_usable(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO t (word) VALUES ('one')"))
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO t (word) VALUES ('three')"))
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar() == 3
