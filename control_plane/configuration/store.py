"""The configuration in the database: a row for each state of each table, and for each version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from immutables import Map
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api import paging
from control_plane.configuration.document import Change, Document, Item
from control_plane.configuration.tables import STANDING, ItemRow, VersionRow

_LOCK: Final = 0x45564552
"""PostgreSQL's advisory lock of whoever makes a version; SQLite has one writer anyway."""
CHUNK: Final = 500


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the versions."""

    number: int
    id: str
    tenant: str
    at_ms: int
    by: str
    why: str
    what: str


_COLUMNS = [getattr(VersionRow, name) for name in Version.__struct_fields__]
_ITEM = [getattr(ItemRow, name) for name in ("section", "id", "tenant", "since", "body")]


async def lock(connection: AsyncConnection) -> None:
    """Wait until nobody else makes a version; held until the transaction ends."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


async def head(connection: AsyncConnection) -> Version | None:
    """Return the newest version; None: there is none yet."""
    newest = select(*_COLUMNS).order_by(VersionRow.number.desc()).limit(1)
    row = (await connection.execute(newest)).one_or_none()
    return None if row is None else Version(**row._mapping)  # noqa: SLF001 - documented


async def version(connection: AsyncConnection, number: int) -> Version | None:
    """Return one version."""
    found = await connection.execute(select(*_COLUMNS).where(VersionRow.number == number))
    row = found.one_or_none()
    return None if row is None else Version(**row._mapping)  # noqa: SLF001 - documented


async def load(connection: AsyncConnection, number: int) -> Document:
    """Return everything as it stood at a version."""
    found = await connection.execute(
        select(*_ITEM).where(ItemRow.since <= number, ItemRow.until > number)
    )
    return Map({(row.section, row.id): _item(row) for row in found})


async def add(connection: AsyncConnection, made: Version, changes: Iterable[Change]) -> None:
    """Add a version. The caller holds the lock, and has read the head under it."""
    values = {name: getattr(made, name) for name in Version.__struct_fields__}
    await connection.execute(insert(VersionRow).values(**values))
    rows = []
    for change in changes:
        if change.before is not None:
            await connection.execute(
                update(ItemRow)
                .where(
                    ItemRow.section == change.section,
                    ItemRow.id == change.id,
                    ItemRow.until == STANDING,
                )
                .values(until=made.number)
            )
        if change.after is not None:
            rows.append(
                {
                    "section": change.section,
                    "id": change.id,
                    "since": made.number,
                    "until": STANDING,
                    "tenant": change.tenant,
                    "body": msgspec.json.encode(change.after).decode(),
                }
            )
    for start in range(0, len(rows), CHUNK):
        await connection.execute(insert(ItemRow), rows[start : start + CHUNK])


async def page(
    connection: AsyncConnection, tenant: str | None, section: str, listing: paging.Listing
) -> tuple[list[Item], str | None]:
    """Return a page of the tables that stand; `tenant` None: of a section that is nobody's."""
    statement = select(*_ITEM).where(ItemRow.section == section, ItemRow.until == STANDING)
    if tenant is not None:
        statement = statement.where(ItemRow.tenant == tenant)
    rows, after = await paging.fetch(
        connection,
        statement,
        listing,
        columns={"id": ItemRow.id.expression, "version": ItemRow.since.expression},
        id_column=ItemRow.id.expression,
        default="id",
    )
    return [_item(row) for row in rows], after


async def find(connection: AsyncConnection, section: str, identifier: str) -> Item | None:
    """Return a table that stands."""
    found = await connection.execute(
        select(*_ITEM).where(
            ItemRow.section == section, ItemRow.id == identifier, ItemRow.until == STANDING
        )
    )
    row = found.one_or_none()
    return None if row is None else _item(row)


async def versions(
    connection: AsyncConnection, tenant: str, listing: paging.Listing
) -> tuple[list[Version], str | None]:
    """Return a page of the versions that were made in a tenant."""
    rows, after = await paging.fetch(
        connection,
        select(*_COLUMNS).where(VersionRow.tenant == tenant),
        listing,
        columns={"number": VersionRow.number.expression},
        id_column=VersionRow.id.expression,
        default="-number",
    )
    return [Version(**row._mapping) for row in rows], after  # noqa: SLF001 - documented


def _item(row: Any) -> Item:  # noqa: ANN401 - a row of `_ITEM`
    return Item(
        section=row.section,
        id=row.id,
        tenant=row.tenant,
        since=row.since,
        body=msgspec.json.decode(row.body),
    )
