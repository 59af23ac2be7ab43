"""Brings the schema up to date when a control plane starts; several may start at once.

PostgreSQL: under an advisory lock. SQLite: under a lock on a file beside the database. Alembic is
asked only where something is missing: its import, and that of all steps, is much of a start.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.db.database import Database
from control_plane.errors import ControlPlaneError

if TYPE_CHECKING:
    from alembic.config import Config

HERE: Final = Path(__file__).parent / "migrations"
LOCK: Final = 0x65766572
"""Of PostgreSQL's advisory locks: `ever` in ASCII."""
WAITS: Final = "60s"
"""For whoever makes the steps now. Who waits longer dies, and its next life waits on."""
FOR_A_TABLE: Final = "3s"
VERSIONS: Final = "alembic_version"
"""Alembic's table, of one row."""


class SchemaTooNewError(ControlPlaneError):
    """A newer program has changed the tables: nobody knows what this one would do to them."""


async def migrate(database: Database) -> None:
    """Apply what is missing. Whoever comes second waits, and finds nothing to do."""
    async with _file_lock(database):
        async with database.read() as connection:
            found = await connection.run_sync(_version)
        if found is not None and found > newest():
            raise SchemaTooNewError(
                f"the database has version {found} of its tables and this program knows"
                f" {newest()}: start one that is as new as those that run"
            )
        if found != newest():
            await _apply(database)


def newest() -> str:
    """Return the version that this program knows: that of the last step, by the files' names."""
    return max(step.name.partition("_")[0] for step in (HERE / "versions").glob("[0-9]*.py"))


def _version(connection: Connection) -> str | None:
    """Return the version of the schema that is there; None: there is none yet."""
    if not inspect(connection).has_table(VERSIONS):
        return None
    found = connection.scalar(text(f"SELECT version_num FROM {VERSIONS}"))  # noqa: S608 - ours
    return None if found is None else str(found)


async def _apply(database: Database) -> None:
    async with database.engine.connect() as connection:
        if not database.is_sqlite:
            await _wait_for_turn(connection)
            await connection.run_sync(_upgrade)
            await connection.commit()
            return
        # Alembic alters a table by making it anew, and what refers to it would go with the old
        # one (https://www.sqlite.org/lang_altertable.html#otheralter).
        await connection.execute(text("PRAGMA foreign_keys = OFF"))
        await connection.execute(text("BEGIN IMMEDIATE"))
        try:
            await connection.run_sync(_upgrade)
            await connection.commit()
        finally:
            await connection.rollback()
            await connection.execute(text("PRAGMA foreign_keys = ON"))


async def _wait_for_turn(connection: AsyncConnection) -> None:
    """Hold PostgreSQL's lock until the transaction ends, in which all steps are made or none.

    A step may take as long as it takes: an index over the calls of years. But none waits longer for
    a table than all others do who would wait behind it.
    """
    await _set(connection, "statement_timeout", "0")
    await _set(connection, "lock_timeout", WAITS)
    await connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK})
    await _set(connection, "lock_timeout", FOR_A_TABLE)


async def _set(connection: AsyncConnection, setting: str, value: str) -> None:
    """Let a setting be so until the transaction ends."""
    words = {"setting": setting, "value": value}
    await connection.execute(text("SELECT set_config(:setting, :value, true)"), words)


def config(connection: Connection) -> Config:
    """Return Alembic's configuration for a connection that is open."""
    from alembic.config import Config  # noqa: PLC0415 - only where something is missing

    made = Config()
    made.set_main_option("script_location", str(HERE).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - as above

    command.upgrade(config(connection), "head")


@asynccontextmanager
async def _file_lock(database: Database) -> AsyncIterator[None]:
    path = database.engine.url.database
    if not (database.is_sqlite and path and path != ":memory:"):
        yield
        return
    with Path(path + ".lock").open("w") as file:  # noqa: ASYNC230 - once, at the start
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield
