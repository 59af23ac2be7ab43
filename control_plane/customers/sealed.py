"""Sensitive fields in the database: which there are, and what is sealed in them; never a key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.customers.tables import FieldRow, SealedRow

FIELDS: Final = {"bank_account": False, "national_id": True, "payment_card": False}
"""Sensitive everywhere; a tenant marks others."""


async def read(connection: AsyncConnection, tenant: str, customer: str) -> dict[str, bytes]:
    """Return the sealed fields by name."""
    statement = select(SealedRow.field, SealedRow.sealed).where(
        SealedRow.tenant == tenant, SealedRow.customer == customer
    )
    return {row.field: bytes(row.sealed) for row in await connection.execute(statement)}


async def names(
    connection: AsyncConnection, tenant: str, customers: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Return which sensitive fields are filled, by customer."""
    statement = (
        select(SealedRow.customer, SealedRow.field)
        .where(SealedRow.tenant == tenant, SealedRow.customer.in_(tuple(customers)))
        .order_by(SealedRow.field)
    )
    names: dict[str, tuple[str, ...]] = {}
    for row in await connection.execute(statement):
        names[row.customer] = (*names.get(row.customer, ()), row.field)
    return names


async def fields(connection: AsyncConnection, tenant: str) -> dict[str, bool]:
    """Return the tenant's sensitive fields: name -> whether it can be searched."""
    statement = select(FieldRow.name, FieldRow.is_searchable).where(FieldRow.tenant == tenant)
    found = {row.name: bool(row.is_searchable) for row in await connection.execute(statement)}
    return dict(FIELDS) | found


async def set_field(
    connection: AsyncConnection, tenant: str, name: str, *, is_searchable: bool
) -> None:
    """Mark a field as sensitive."""
    mine = FieldRow.tenant == tenant, FieldRow.name == name
    await connection.execute(delete(FieldRow).where(*mine))
    await connection.execute(
        insert(FieldRow).values(tenant=tenant, name=name, is_searchable=is_searchable)
    )


async def of_field(
    connection: AsyncConnection, tenant: str, field: str, after: str, most: int
) -> dict[str, bytes]:
    """Return the first sealed values of a field, by customer, of those after this id."""
    mine = SealedRow.tenant == tenant, SealedRow.field == field, SealedRow.customer > after
    statement = (
        select(SealedRow.customer, SealedRow.sealed)
        .where(*mine)
        .order_by(SealedRow.customer)
        .limit(most)
    )
    return {row.customer: bytes(row.sealed) for row in await connection.execute(statement)}


async def clear(connection: AsyncConnection, customer: str, fields: Iterable[str]) -> None:
    """Delete what these fields held."""
    mine = SealedRow.customer == customer, SealedRow.field.in_(tuple(fields))
    await connection.execute(delete(SealedRow).where(*mine))


async def put(
    connection: AsyncConnection, tenant: str, customer: str, values: Mapping[str, bytes]
) -> None:
    """Fill fields that are empty."""
    rows = [
        {"tenant": tenant, "customer": customer, "field": field, "sealed": value}
        for field, value in values.items()
    ]
    if rows:
        await connection.execute(insert(SealedRow), rows)
