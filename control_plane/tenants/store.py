"""Tenants in the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api import paging
from control_plane.api.paging import Listing
from control_plane.tenants.tables import TenantRow

_DAY_MS: Final = 86_400_000
_CLOCKS_MS: Final = 1_800_000
"""So far apart the clocks of two machines may be before something goes too early."""


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A row."""

    id: str
    name: str
    call_retention_days: int
    recording_retention_days: int
    created_ms: int
    updated_ms: int
    version: int


_COLUMNS = [getattr(TenantRow, name) for name in Tenant.__struct_fields__]


async def page(connection: AsyncConnection, listing: Listing) -> tuple[list[Tenant], str | None]:
    """Return one page of all tenants."""
    rows, after = await paging.fetch(
        connection,
        select(*_COLUMNS),
        listing,
        columns={"id": TenantRow.id.expression, "created": TenantRow.created_ms.expression},
        id_column=TenantRow.id.expression,
        default="id",
    )
    return [_read(row) for row in rows], after


async def find(connection: AsyncConnection, tenant: str) -> Tenant | None:
    """Return one, or None."""
    row = (await connection.execute(select(*_COLUMNS).where(TenantRow.id == tenant))).one_or_none()
    return None if row is None else _read(row)


async def create(connection: AsyncConnection, tenant: Tenant) -> bool:
    """Add one; False if there is one of that id."""
    try:
        async with connection.begin_nested():
            await connection.execute(insert(TenantRow).values(**msgspec.structs.asdict(tenant)))
    except IntegrityError:
        return False
    return True


async def change(
    connection: AsyncConnection, tenant: Tenant, values: Mapping[str, object], now_ms: int
) -> bool:
    """Change one as it was read; False if somebody has changed it since."""
    done = await connection.execute(
        update(TenantRow)
        .where(TenantRow.id == tenant.id, TenantRow.version == tenant.version)
        .values(**values, version=tenant.version + 1, updated_ms=now_ms)
    )
    return done.rowcount == 1


def kept_since(now_ms: int, days: int) -> int:
    """Return since when what is kept for so many days is kept, on the wall clock.

    Half an hour more than asked for: the clock that says when a call ended and the one that says
    what time it is are of two machines, and either may be wrong by minutes.
    """
    return now_ms - days * _DAY_MS - _CLOCKS_MS


async def recording_retentions(connection: AsyncConnection) -> dict[str, int]:
    """Return for how many days recordings are kept, of each tenant that has them deleted at all.

    A recording goes with its call: without that nobody could tell whose it is.
    """
    statement = select(
        TenantRow.id, TenantRow.call_retention_days, TenantRow.recording_retention_days
    )
    given = {
        row.id: [days for days in (row.call_retention_days, row.recording_retention_days) if days]
        for row in await connection.execute(statement)
    }
    return {tenant: min(days) for tenant, days in given.items() if days}


async def ids(connection: AsyncConnection) -> tuple[str, ...]:
    """Return all of them."""
    return tuple((await connection.execute(select(TenantRow.id))).scalars())


async def retentions(connection: AsyncConnection) -> dict[str, int]:
    """Return for how many days calls are kept, of each tenant that does not keep them for good."""
    statement = select(TenantRow.id, TenantRow.call_retention_days).where(
        TenantRow.call_retention_days > 0
    )
    return {row.id: row.call_retention_days for row in await connection.execute(statement)}


def _read(row: Any) -> Tenant:  # noqa: ANN401 - a row of the columns above
    return Tenant(**row._mapping)  # noqa: SLF001 - its documented way
