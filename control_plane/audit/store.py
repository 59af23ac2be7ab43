"""Adds to the audit log, in the transaction of the change itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.audit.tables import AuditRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the log."""

    tenant: str
    at_ms: int
    actor: str
    action: str
    """A permission, or a word such as `session:start`."""
    kind: str
    thing: str
    policy_version: str
    request_id: str
    site: str
    detail: Mapping[str, object] = field(default_factory=dict)


async def add(connection: AsyncConnection, entry: Entry) -> None:
    """Add `entry`: it stands if and only if the transaction does."""
    values = {each.name: getattr(entry, each.name) for each in fields(entry)} | {
        "detail": msgspec.json.encode(dict(entry.detail)).decode()
    }
    await connection.execute(insert(AuditRow).values(**values))


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """What stands of an entry for those who follow the log."""

    number: int
    tenant: str
    action: str
    thing: str


async def newest(connection: AsyncConnection) -> int:
    """Return the number of the last entry; 0: there is none."""
    return (await connection.execute(select(func.max(AuditRow.number)))).scalar() or 0


async def changed_since(
    connection: AsyncConnection, kind: str, number: int, most: int = 1000
) -> tuple[Noted, ...]:
    """Return the entries about things of a kind after `number`, in their order, of all tenants."""
    columns = [getattr(AuditRow, name) for name in Noted.__struct_fields__]
    statement = (
        select(*columns)
        .where(AuditRow.number > number, AuditRow.kind == kind)
        .order_by(AuditRow.number)
        .limit(most)
    )
    rows = await connection.execute(statement)
    return tuple(Noted(**row._mapping) for row in rows)  # noqa: SLF001 - documented
