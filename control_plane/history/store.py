"""Adds to customers' histories and reads them. Knows ids, not what they stand for."""

from __future__ import annotations

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.history.tables import InteractionRow
from control_plane.ids import fresh


class Interaction(msgspec.Struct, frozen=True, kw_only=True):
    """One entry."""

    tenant: str
    customer: str
    at_ms: int
    kind: str
    reference: str
    what: str
    by: str


async def add(connection: AsyncConnection, entry: Interaction) -> None:
    """Add one; it stands if and only if the transaction does."""
    values = msgspec.structs.asdict(entry) | {"id": fresh("int", entry.at_ms)}
    await connection.execute(insert(InteractionRow).values(**values))


async def correct(connection: AsyncConnection, entry: Interaction) -> None:
    """Let the customer's entry of this kind and reference be this one, if there is one."""
    same = ("tenant", "customer", "kind", "reference")
    statement = update(InteractionRow).where(
        *(getattr(InteractionRow, name) == getattr(entry, name) for name in same)
    )
    values = {name: getattr(entry, name) for name in ("at_ms", "what", "by")}
    await connection.execute(statement.values(**values))


async def latest(
    connection: AsyncConnection, tenant: str, customer: str, limit: int
) -> tuple[Interaction, ...]:
    """Return the newest first."""
    columns = [getattr(InteractionRow, name) for name in Interaction.__struct_fields__]
    statement = (
        select(*columns)
        .where(InteractionRow.tenant == tenant, InteractionRow.customer == customer)
        .order_by(InteractionRow.at_ms.desc(), InteractionRow.id.desc())
        .limit(limit)
    )
    rows = await connection.execute(statement)
    return tuple(Interaction(**row._mapping) for row in rows)  # noqa: SLF001 - documented


async def forget(connection: AsyncConnection, tenant: str, customer: str) -> None:
    """Delete a customer's history."""
    await connection.execute(
        delete(InteractionRow).where(
            InteractionRow.tenant == tenant, InteractionRow.customer == customer
        )
    )
