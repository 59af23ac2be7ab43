"""One at a time in a tenant: whoever says what is under legal hold, and whoever destroys the rest.

"It is not under hold" is true for as long as the turn is held, and no longer: whoever reads it and
then destroys has to hold the turn meanwhile, and whoever sets a hold, or moves what one is on,
waits. A hold that was confirmed is seen by all that is destroyed afterwards.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

LOCK: Final = 0x686F6C64
"""Of PostgreSQL's advisory locks with two keys: `hold` in ASCII; the tenant is the other one."""
_HALF: Final = 2**31


async def take(connection: AsyncConnection, tenant: str) -> None:
    """Wait for the tenant's turn, before anything is read; held until the transaction ends.

    SQLite: a transaction that writes is alone already (`Database.write`).
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(
            text("SELECT pg_advisory_xact_lock(:lock, :tenant)"),
            {"lock": LOCK, "tenant": crc32(tenant.encode()) - _HALF},
        )
