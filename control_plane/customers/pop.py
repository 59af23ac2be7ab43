"""Who may be calling, by one statement: each more is a way to the database while a caller waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import Integer, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.customers.store import COLUMNS, Customer, read
from control_plane.customers.tables import CustomerRow, NumberRow, SealedRow

MOST: Final = 10
_BETWEEN: Final = ","
"""No field's name has one."""


class Calling(NamedTuple):
    """Who has a number, and which of their sensitive fields are filled."""

    customers: tuple[Customer, ...]
    filled: Mapping[str, tuple[str, ...]]


_FILLED: Final = (
    select(func.aggregate_strings(SealedRow.field, _BETWEEN))
    .where(SealedRow.customer == CustomerRow.id, SealedRow.tenant == CustomerRow.tenant)
    .scalar_subquery()
    .label("filled")
)
_CALLING: Final = (
    select(*COLUMNS, _FILLED)
    .join(NumberRow, NumberRow.customer == CustomerRow.id)
    .where(NumberRow.tenant == bindparam("tenant"), NumberRow.number == bindparam("number"))
    .where(CustomerRow.tenant == bindparam("tenant"))
    .order_by(NumberRow.customer)
    .limit(bindparam("most", type_=Integer))
)
"""By the primary keys of three tables, and made once, since making it costs more than asking it."""


async def calling(connection: AsyncConnection, tenant: str, number: str) -> Calling:
    """Return who has this number (E.164)."""
    asked = {"tenant": tenant, "number": number, "most": MOST}
    customers: list[Customer] = []
    filled: dict[str, tuple[str, ...]] = {}
    for row in await connection.execute(_CALLING, asked):
        customer = read(row)
        customers.append(customer)
        filled[customer.id] = tuple(sorted(row.filled.split(_BETWEEN))) if row.filled else ()
    return Calling(tuple(customers), filled)
