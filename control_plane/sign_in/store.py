"""Sessions and refresh tokens in the database."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.ids import fresh
from control_plane.sessions.store import LONGEST_MS, end
from control_plane.sessions.succession import AGAIN_MS, following, fresh_salt
from control_plane.sessions.tables import RefreshRow, SessionRow
from control_plane.subjects import Subject
from control_plane.tokens import digest_of
from control_plane.users import store as users
from control_plane.users.tables import UserRow

IDLE_MS: Final = 12 * 3600 * 1000
"""A refresh token that is not used for so long is over."""
_AT_ONCE: Final = 400


_SIGNED_IN: Final = users.SUBJECT.where(
    select(SessionRow.id)
    .where(
        SessionRow.id == bindparam("session"),
        SessionRow.user_id == UserRow.id,
        SessionRow.ended_ms.is_(None),
    )
    .exists()
)


class Refused(StrEnum):
    """Why a refresh token is not taken. The client is told none of it."""

    UNKNOWN = "unknown"
    OVER = "over"
    ENDED = "ended"
    REUSED = "reused"
    """It was good once before, and not for this client just now: one of two who used it is a
    thief, so the session ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Of whom a session is."""

    session: str = ""
    user: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session, and the refresh token that goes on with it."""

    session: str
    user: str
    tenant: str
    refresh_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a sign-in comes from, for its owner to recognise."""

    address: str = ""
    client: str = ""

    @property
    def digest(self) -> str:
        """What is kept of it, to know it again."""
        return digest_of(f"{self.address}\n{self.client}")


NOWHERE: Final = Origin()


async def begin(
    connection: AsyncConnection, user: str, tenant: str, now_ms: int, origin: Origin = NOWHERE
) -> Opened:
    """Begin a session."""
    session = fresh("ses", now_ms)
    until_ms = now_ms + LONGEST_MS
    await connection.execute(
        insert(SessionRow).values(
            id=session,
            user_id=user,
            created_ms=now_ms,
            until_ms=until_ms,
            used_ms=None,
            address=origin.address,
            client=origin.client,
            ended_ms=None,
            ended_because="",
            salt=None,
            renewed_by=None,
        )
    )
    token = secrets.token_urlsafe(32)
    await _keep(connection, token, session, min(now_ms + IDLE_MS, until_ms))
    return Opened(session=session, user=user, tenant=tenant, refresh_token=token)


async def refresh(
    connection: AsyncConnection, token: str, now_ms: int, origin: Origin = NOWHERE
) -> tuple[Opened | Refused, Whose]:
    """Take `token` and give the next one, or say why not; and whose it is, as far as is known.

    Of two who come with the same one at once, one is the first: the row's update decides. The same
    client that comes again at once, as its answer was lost, gets the same one (RFC 9700, 4.14.2,
    leaves how strictly that is seen to the server).
    """
    statement = (
        select(
            RefreshRow.until_ms,
            RefreshRow.session_id,
            SessionRow.until_ms.label("session_until_ms"),
            SessionRow.ended_ms,
            UserRow.id,
            UserRow.tenant,
            UserRow.is_active,
        )
        .join(SessionRow, SessionRow.id == RefreshRow.session_id)
        .join(UserRow, UserRow.id == SessionRow.user_id)
        .where(RefreshRow.digest == digest_of(token))
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return Refused.UNKNOWN, Whose()
    whose = Whose(session=row.session_id, user=row.id, tenant=row.tenant)
    if row.ended_ms is not None or not row.is_active:
        return Refused.ENDED, whose
    used = await connection.execute(
        update(RefreshRow)
        .where(RefreshRow.digest == digest_of(token), RefreshRow.used_ms.is_(None))
        .values(used_ms=now_ms)
    )
    if used.rowcount != 1:
        successor = await _given(connection, token, now_ms, origin)
        if successor is None:
            await end(connection, row.session_id, Refused.REUSED, now_ms)
            return Refused.REUSED, whose
    elif min(row.until_ms, row.session_until_ms) <= now_ms:
        return Refused.OVER, whose
    else:
        salt = fresh_salt()
        await connection.execute(
            update(SessionRow)
            .where(SessionRow.id == row.session_id)
            .values(used_ms=now_ms, salt=salt, renewed_by=origin.digest)
        )
        successor = following(token, salt)
        until_ms = min(now_ms + IDLE_MS, row.session_until_ms)
        await _keep(connection, successor, row.session_id, until_ms)
    opened = Opened(session=row.session_id, user=row.id, tenant=row.tenant, refresh_token=successor)
    return opened, whose


async def _given(
    connection: AsyncConnection, token: str, now_ms: int, origin: Origin
) -> str | None:
    """Return what was given for `token` just now to this very client, while nobody has used it.

    By the session's salt only the token before the present one leads to one that there is.
    """
    statement = (
        select(RefreshRow.used_ms, SessionRow.salt, SessionRow.renewed_by)
        .join(SessionRow, SessionRow.id == RefreshRow.session_id)
        .where(RefreshRow.digest == digest_of(token))
    )
    used_ms, salt, renewed_by = (await connection.execute(statement)).one()
    if (
        salt is None
        or used_ms is None
        or renewed_by != origin.digest
        or now_ms - used_ms > AGAIN_MS
    ):
        return None
    successor = following(token, salt)
    unused = select(RefreshRow.digest).where(
        RefreshRow.digest == digest_of(successor),
        RefreshRow.used_ms.is_(None),
        RefreshRow.until_ms > now_ms,
    )
    return successor if (await connection.execute(unused)).first() else None


async def is_as_it_was(connection: AsyncConnection, user: str, password_hash: str) -> bool:
    """Tell whether a user is still let in by this hash, and let nobody change that meanwhile.

    Whoever changes it ends all sessions, and would not see the one that is being begun.
    """
    statement = (
        select(UserRow.password_hash, UserRow.is_active).where(UserRow.id == user).with_for_update()
    )
    row = (await connection.execute(statement)).one()
    return bool(row.is_active) and row.password_hash == password_hash


async def was_here(connection: AsyncConnection, tenant: str, login: str, address: str) -> bool:
    """Tell whether that user has signed in from that address before."""
    statement = (
        select(SessionRow.id)
        .join(UserRow, UserRow.id == SessionRow.user_id)
        .where(UserRow.tenant == tenant, UserRow.login == login, SessionRow.address == address)
        .limit(1)
    )
    return bool(address) and (await connection.execute(statement)).first() is not None


async def load_subject(connection: AsyncConnection, user: str, session: str) -> Subject | None:
    """Return who has this id, or None: also when the session is not theirs, or has ended."""
    rows = await connection.execute(_SIGNED_IN, {"user": user, "session": session})
    found = users.subjects_of(rows).get(user)
    return replace(found, session=session) if found else None


async def load_subjects(
    connection: AsyncConnection, wanted: Iterable[tuple[str, str]], now_ms: int
) -> dict[tuple[str, str], Subject]:
    """Return who has these ids and sessions, as `load_subject` does, for many at once.

    Also none whose session is over by its time: what listens has no token that would end.
    """
    asked = sorted(wanted)
    found: dict[tuple[str, str], Subject] = {}
    for first in range(0, len(asked), _AT_ONCE):
        some = asked[first : first + _AT_ONCE]
        rows = await connection.execute(
            select(SessionRow.id, SessionRow.user_id).where(
                SessionRow.id.in_([session for _, session in some]),
                SessionRow.ended_ms.is_(None),
                SessionRow.until_ms > now_ms,
            )
        )
        standing = {(row.user_id, row.id) for row in rows}
        subjects = await users.load_subjects(connection, {user for user, _ in standing})
        for user, session in standing.intersection(some):
            if user in subjects:
                found[user, session] = replace(subjects[user], session=session)
    return found


async def _keep(connection: AsyncConnection, token: str, session: str, until_ms: int) -> None:
    await connection.execute(
        insert(RefreshRow).values(
            digest=digest_of(token), session_id=session, until_ms=until_ms, used_ms=None
        )
    )
