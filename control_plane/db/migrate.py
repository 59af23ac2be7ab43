"""Brings the schema up to date when a control plane starts; several may start at once.

PostgreSQL: under an advisory lock. SQLite: under a lock on a file beside the database.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from control_plane.db.database import Database

HERE: Final = Path(__file__).parent / "migrations"
LOCK: Final = 0x65766572
"""Of PostgreSQL's advisory locks: `ever` in ASCII."""


async def migrate(database: Database) -> None:
    """Apply what is missing. Whoever comes second waits, and finds nothing to do."""
    async with _file_lock(database), database.engine.connect() as connection:
        if not database.is_sqlite:
            await connection.execute(text("SELECT set_config('lock_timeout', '60s', false)"))
            await connection.execute(text("SELECT pg_advisory_lock(:id)"), {"id": LOCK})
            await connection.commit()
        else:
            await connection.execute(text("BEGIN IMMEDIATE"))
        try:
            await connection.run_sync(_upgrade)
            await connection.commit()
        finally:
            if not database.is_sqlite:
                await connection.execute(text("SELECT pg_advisory_unlock(:id)"), {"id": LOCK})
                await connection.commit()


def config(connection: Connection) -> Config:
    """Return Alembic's configuration for a connection that is open."""
    made = Config()
    made.set_main_option("script_location", str(HERE).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def _upgrade(connection: Connection) -> None:
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
