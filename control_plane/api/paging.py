"""Listings: a page at a time, by a cursor that holds where the last page ended.

A feature declares a `Listing` with its filters and names the columns to sort by. The id breaks
ties, so that no row is skipped or shown twice when others come and go between two pages.

A page may end with a row that whoever asks may not see (`sight.py`). So a cursor is sealed: it
tells nothing to whoever holds it, nobody makes one, and one of another listing or tenant is none.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Field
from sqlalchemy import ColumnElement, Row, Select, and_, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api.model import ApiModel
from control_plane.errors import BAD_CURSOR, ApiError, invalid

ItemT = TypeVar("ItemT", bound=ApiModel)
RowT = TypeVar("RowT")
MAX_PAGE = 200


class Listing(ApiModel):
    """What every listing takes; a feature adds its filters."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    """So many on a page."""
    cursor: Annotated[str, Field(max_length=2000)] | None = None
    """`next` of the page before."""
    sort: Annotated[str, Field(max_length=64, pattern=r"^-?[a-z_]+$")] = ""
    """A field; with `-` before it, downwards."""


class Page(ApiModel, Generic[ItemT]):
    """A page, and where the next one begins."""

    items: tuple[ItemT, ...]
    next: str | None = None


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last row of a page."""

    sort: str
    value: str | int | float | bool | None
    id: str


class Seal:
    """Seals the cursors of one listing in one tenant."""

    def __init__(self, key: bytes, about: str) -> None:
        self._key = AESGCM(key)
        self._about = about.encode()

    def close(self, plain: bytes) -> bytes:
        """Return it sealed."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._key.encrypt(nonce, plain, self._about)

    def open(self, sealed: bytes) -> bytes:
        """Return what was sealed. Raise `ValueError` or `InvalidTag`."""
        return self._key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._about)


NONCE_BYTES: Final = 12
SEAL: Final[ContextVar[Seal]] = ContextVar("seal")
"""Of the request that is being answered."""


def check_order(query: Listing, only: str) -> None:
    """Raise `invalid` if a listing that has one order is asked for in another."""
    if query.sort not in ("", only):
        raise invalid("query.sort", f"should be {only}")


async def fetch(  # noqa: PLR0913 - each is one thing a listing is made of
    connection: AsyncConnection,
    statement: Select[Any],
    listing: Listing,
    *,
    columns: Mapping[str, ColumnElement[Any]],
    id_column: ColumnElement[str],
    default: str,
) -> tuple[Sequence[Row[Any]], str | None]:
    """Return a page's rows and the next cursor.

    `columns`: what may be sorted by, none of them nullable, and only what everybody who may list
    may see: an order tells values too. `statement` has to select the sort columns and `id`.
    """
    sort = listing.sort or default
    field = sort.removeprefix("-")
    if field not in columns:
        raise invalid("query.sort", f"should be one of {', '.join(sorted(columns))}")
    column, down = columns[field], sort.startswith("-")
    if listing.cursor is not None:
        after = decode(listing.cursor, sort)
        statement = statement.where(_after(column, id_column, after, down=down))
    order = (column.desc(), id_column.desc()) if down else (column.asc(), id_column.asc())
    found = await connection.execute(statement.order_by(*order).limit(listing.limit + 1))

    def cursor(last: Row[Any]) -> Cursor:
        values = last._mapping  # noqa: SLF001 - SQLAlchemy's documented way to a row's columns
        return Cursor(sort, values[column], values[id_column])

    return cut(found.all(), listing, cursor)


def number_after(listing: Listing, sort: str) -> tuple[int, str] | None:
    """Return the number and the id at which the page before ended; None: this is the first.

    Of a listing whose rows are in the order of a number. Raise `bad-cursor`.
    """
    if listing.cursor is None:
        return None
    cursor = decode(listing.cursor, sort)
    if not isinstance(cursor.value, int):
        raise ApiError(BAD_CURSOR)
    return cursor.value, cursor.id


def cut(
    rows: Sequence[RowT], listing: Listing, cursor: Callable[[RowT], Cursor]
) -> tuple[Sequence[RowT], str | None]:
    """Return a page of `rows`, and the next cursor if they are more than a page."""
    page = rows[: listing.limit]
    return page, encode(cursor(page[-1])) if len(rows) > listing.limit else None


def _after(
    column: ColumnElement[Any], id_column: ColumnElement[str], cursor: Cursor, *, down: bool
) -> ColumnElement[bool]:
    if down:
        beyond, tie = column < cursor.value, id_column < cursor.id
    else:
        beyond, tie = column > cursor.value, id_column > cursor.id
    return or_(beyond, and_(column == cursor.value, tie))


def encode(cursor: Cursor) -> str:
    """Return where a page ended, as `next` tells it."""
    sealed = SEAL.get().close(msgspec.json.encode(cursor))
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def decode(text: str, sort: str) -> Cursor:
    """Return where the page before ended. Raise `bad-cursor`."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(SEAL.get().open(raw), type=Cursor)
    except (binascii.Error, ValueError, InvalidTag, msgspec.MsgspecError) as error:
        raise ApiError(BAD_CURSOR) from error
    if cursor.sort != sort:
        raise ApiError(BAD_CURSOR, "It belongs to another order.")
    return cursor
