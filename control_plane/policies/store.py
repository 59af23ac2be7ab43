"""Tenants' own lines in the database. Every statement names the tenant, but for the loading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.policies.tables import PolicyVersionRow


class PolicyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A row."""

    tenant: str
    number: int
    text: str
    by: str
    why: str
    at_ms: int
    applied_by: str = ""
    applied_ms: int | None = None


_COLUMNS = [getattr(PolicyVersionRow, name) for name in PolicyVersion.__struct_fields__]


async def newest(connection: AsyncConnection, tenant: str) -> int:
    """Return the number of the last proposal; 0: there is none."""
    statement = select(func.max(PolicyVersionRow.number)).where(PolicyVersionRow.tenant == tenant)
    return (await connection.execute(statement)).scalar() or 0


async def standing(connection: AsyncConnection, tenant: str) -> PolicyVersion | None:
    """Return the version that holds; None: the tenant has no lines of its own."""
    return (await load(connection, (tenant,))).get(tenant)


async def find(connection: AsyncConnection, tenant: str, number: int) -> PolicyVersion | None:
    """Return one, or None."""
    statement = select(*_COLUMNS).where(
        PolicyVersionRow.tenant == tenant, PolicyVersionRow.number == number
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _read(row)


async def before(
    connection: AsyncConnection, tenant: str, number: int | None, most: int
) -> list[PolicyVersion]:
    """Return the versions before that one, the newest first."""
    statement = select(*_COLUMNS).where(PolicyVersionRow.tenant == tenant)
    if number is not None:
        statement = statement.where(PolicyVersionRow.number < number)
    rows = await connection.execute(statement.order_by(PolicyVersionRow.number.desc()).limit(most))
    return [_read(row) for row in rows]


async def propose(connection: AsyncConnection, version: PolicyVersion) -> bool:
    """Add one; False if somebody has taken its number meanwhile."""
    try:
        async with connection.begin_nested():
            values = msgspec.structs.asdict(version)
            await connection.execute(insert(PolicyVersionRow).values(**values))
    except IntegrityError:
        return False
    return True


async def apply(
    connection: AsyncConnection, version: PolicyVersion, *, by: str, now_ms: int
) -> bool:
    """Let one hold; False if it does or did already."""
    done = await connection.execute(
        update(PolicyVersionRow)
        .where(
            PolicyVersionRow.tenant == version.tenant,
            PolicyVersionRow.number == version.number,
            PolicyVersionRow.applied_ms.is_(None),
        )
        .values(applied_by=by, applied_ms=now_ms)
    )
    return done.rowcount == 1


# ---- loading -------------------------------------------------------------------------------------


async def numbers(connection: AsyncConnection) -> dict[str, int]:
    """Return which version holds, by tenant."""
    statement = (
        select(PolicyVersionRow.tenant, func.max(PolicyVersionRow.number).label("number"))
        .where(PolicyVersionRow.applied_ms.is_not(None))
        .group_by(PolicyVersionRow.tenant)
    )
    return {row.tenant: row.number for row in await connection.execute(statement)}


async def load(connection: AsyncConnection, tenants: Iterable[str]) -> dict[str, PolicyVersion]:
    """Return what holds, of each of these tenants that has lines of its own."""
    statement = (
        select(*_COLUMNS)
        .where(
            PolicyVersionRow.tenant.in_(tuple(tenants)), PolicyVersionRow.applied_ms.is_not(None)
        )
        .order_by(PolicyVersionRow.number)
    )
    # Only a newer one than the one that holds can be applied: the last is the one that does.
    return {row.tenant: _read(row) for row in await connection.execute(statement)}


def _read(row: Any) -> PolicyVersion:  # noqa: ANN401 - a row of the columns above
    return PolicyVersion(**row._mapping)  # noqa: SLF001 - its documented way
