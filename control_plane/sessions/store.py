"""Sessions in the database: who has which, and their end."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.sessions.tables import RefreshRow, SessionRow

MOST = 200
LONGEST_MS: Final = 7 * 24 * 3600 * 1000
"""After so long one signs in again, however often one refreshed."""
KEPT_MS: Final = 90 * 24 * 3600 * 1000
"""So long a session is kept after its time: by it an address is one that its user is known at."""
DROPPED: Final = 10_000
"""Rows that are deleted at once: no statement may take long, also with years of them."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A session that stands."""

    id: str
    created_ms: int
    used_ms: int | None
    until_ms: int
    address: str
    client: str


_COLUMNS = [getattr(SessionRow, name) for name in Standing.__struct_fields__]


async def of_user(connection: AsyncConnection, user: str, now_ms: int) -> tuple[Standing, ...]:
    """Return a user's sessions that stand, the newest first."""
    statement = (
        select(*_COLUMNS)
        .where(
            SessionRow.user_id == user,
            SessionRow.ended_ms.is_(None),
            SessionRow.until_ms > now_ms,
        )
        .order_by(SessionRow.created_ms.desc(), SessionRow.id.desc())
        .limit(MOST)
    )
    found = await connection.execute(statement)
    return tuple(Standing(**row._mapping) for row in found)  # noqa: SLF001 - its documented way


async def end(connection: AsyncConnection, session: str, because: str, now_ms: int) -> None:
    """End a session, with all tokens of it."""
    await connection.execute(
        update(SessionRow)
        .where(SessionRow.id == session, SessionRow.ended_ms.is_(None))
        .values(ended_ms=now_ms, ended_because=because)
    )


async def end_of_user(
    connection: AsyncConnection, user: str, because: str, now_ms: int, *, but: str = ""
) -> int:
    """End all sessions of a user, but one; return how many that were."""
    done = await connection.execute(
        update(SessionRow)
        .where(SessionRow.user_id == user, SessionRow.ended_ms.is_(None), SessionRow.id != but)
        .values(ended_ms=now_ms, ended_because=because)
    )
    return int(done.rowcount)


async def drop_tokens(connection: AsyncConnection, now_ms: int) -> int:
    """Delete some refresh tokens of sessions whose time is over; return how many that were.

    Not those that are over themselves, or used: when one comes again, its session has to end.
    """
    over = select(RefreshRow.digest).where(RefreshRow.until_ms <= now_ms - LONGEST_MS)
    some = over.order_by(RefreshRow.until_ms).limit(DROPPED)
    done = await connection.execute(delete(RefreshRow).where(RefreshRow.digest.in_(some)))
    return int(done.rowcount)


async def drop_sessions(connection: AsyncConnection, now_ms: int) -> int:
    """Delete some sessions that were over `KEPT_MS` ago; return how many that were."""
    over = select(SessionRow.id).where(SessionRow.until_ms <= now_ms - KEPT_MS)
    some = over.order_by(SessionRow.until_ms).limit(DROPPED)
    done = await connection.execute(delete(SessionRow).where(SessionRow.id.in_(some)))
    return int(done.rowcount)
