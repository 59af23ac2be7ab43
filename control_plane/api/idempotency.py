"""Idempotency-Key: a request that comes again gets the first one's answer, and does nothing.

The answer is kept in the transaction that did the work: either both stand or neither does. Two that
come at once are put in order by the primary key. What is done in several transactions keeps instead
how far it has come (`begin`, `note`), and goes on from there when it comes again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web
from sqlalchemy import (
    ColumnElement,
    Text,
    cast,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api.tables import AnswerRow
from control_plane.db.inserting import inserting
from control_plane.errors import BAD_REQUEST, KEY_REUSED, ApiError

KEPT_MS: Final = 24 * 3600 * 1000
LONGEST_KEY: Final = 128
_PENDING: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """A key that a subject used, and for what."""

    subject: str
    key: str
    request: str


def read(request: web.Request, subject: str, tenant: str, body: bytes) -> Once | None:
    """Return what the header says, or None without one."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise ApiError(BAD_REQUEST, f"Idempotency-Key should be 1 to {LONGEST_KEY} characters.")
    digest = hashlib.sha256()
    for part in (tenant.encode(), request.method.encode(), request.path_qs.encode(), body):
        digest.update(len(part).to_bytes(8) + part)
    return Once(subject=subject, key=key, request=digest.hexdigest())


async def claim(connection: AsyncConnection, once: Once, now_ms: int) -> web.Response | None:
    """Take the key, or return the answer it has got. Raise `idempotency-key-reused`."""
    row = await _take(connection, once, now_ms)
    if row is None:
        return None
    headers = msgspec.json.decode(row.headers, type=dict[str, str])
    return web.Response(
        status=row.status, body=row.body or None, headers=headers | {"Idempotent-Replayed": "true"}
    )


async def begin(connection: AsyncConnection, once: Once, now_ms: int) -> bytes:
    """Take the key, and return how far the work has come; nothing: it begins.

    Raise `idempotency-key-reused`.
    """
    row = await _take(connection, once, now_ms)
    return b"" if row is None else bytes(row.body)


async def note(connection: AsyncConnection, once: Once, before: bytes, after: bytes) -> bool:
    """Let the work have come from `before` to `after`. False: somebody else does the same work."""
    done = await connection.execute(
        update(AnswerRow).where(_mine(once), AnswerRow.body == before).values(body=after)
    )
    return done.rowcount == 1


async def _take(connection: AsyncConnection, once: Once, now_ms: int) -> Any:  # noqa: ANN401 - a row
    """Take the key, and return None; or return what stands under it."""
    await connection.execute(delete(AnswerRow).where(_mine(once), AnswerRow.until_ms <= now_ms))
    values = {
        "subject": once.subject,
        "key": once.key,
        "request": once.request,
        "status": _PENDING,
        "headers": "{}",
        "body": b"",
        "until_ms": now_ms + KEPT_MS,
    }
    taken = await connection.execute(
        inserting(connection, AnswerRow)
        .values(values)
        .on_conflict_do_nothing()
        .returning(AnswerRow.key)
    )
    if taken.first() is not None:
        return None
    row = (await connection.execute(select(AnswerRow).where(_mine(once)))).one()
    if row.request != once.request:
        raise ApiError(KEY_REUSED)
    return row


def _mine(once: Once) -> ColumnElement[bool]:
    return (AnswerRow.subject == once.subject) & (AnswerRow.key == once.key)


async def keep(connection: AsyncConnection, once: Once, response: web.Response) -> None:
    """Keep the answer under the key that was taken."""
    headers = {name: value for name, value in response.headers.items() if name in _KEPT_HEADERS}
    body = response.body
    await connection.execute(
        update(AnswerRow)
        .where(_mine(once))
        .values(
            status=response.status,
            headers=msgspec.json.encode(headers).decode(),
            body=body if isinstance(body, bytes) else b"",
        )
    )


async def drop_over(connection: AsyncConnection, now_ms: int) -> None:
    """Delete the answers that are given to nobody any more."""
    await connection.execute(delete(AnswerRow).where(AnswerRow.until_ms <= now_ms))


async def forget(connection: AsyncConnection, thing: str) -> None:
    """Delete the answers that name a thing: by where it is to be found, or in their body."""
    body: ColumnElement[str] = cast(AnswerRow.body, Text)
    if connection.dialect.name == "postgresql":
        # Bytes that are no ASCII are spelt out; an id is.
        body = func.encode(AnswerRow.body, literal_column("'escape'"), type_=Text)
    is_named = AnswerRow.headers.contains(thing, autoescape=True)
    is_told = body.contains(thing, autoescape=True)
    await connection.execute(delete(AnswerRow).where(is_named | is_told))


_KEPT_HEADERS: Final = frozenset(
    {"Content-Type", "ETag", "Location", "Cache-Control", "X-Content-Type-Options"}
)
