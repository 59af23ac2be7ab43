"""Which calls have to be kept, with their recordings. Every statement names the tenant.

A recording bears its call's id, so that a hold on the one is a hold on the other. A customer's hold
is one on every call that came from a number of theirs, also once they are merged into another, who
has their numbers then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, exists, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.calls.tables import CallRow
from control_plane.customers.tables import CustomerRow, MergeRow, NumberRow
from control_plane.holds.tables import HoldRow


class Hold(Struct, frozen=True, kw_only=True):
    """How it stands with a call."""

    has_legal_hold: bool = False
    because: str = ""
    by: str = ""
    at_ms: int = 0
    version: int = 0
    """0: nobody has ever set one."""


_COLUMNS = [getattr(HoldRow, name) for name in Hold.__struct_fields__]


async def find(connection: AsyncConnection, tenant: str, call: str) -> Hold:
    """Return the hold that was set on this very call."""
    statement = select(*_COLUMNS).where(HoldRow.tenant == tenant, HoldRow.call == call)
    row = (await connection.execute(statement)).one_or_none()
    return Hold() if row is None else Hold(**row._mapping)  # noqa: SLF001 - its documented way


async def put(
    connection: AsyncConnection, tenant: str, call: str, hold: Hold, before: Hold
) -> bool:
    """Set one in the place of `before`; False if somebody has set another since."""
    values = {
        "has_legal_hold": hold.has_legal_hold,
        "because": hold.because,
        "by": hold.by,
        "at_ms": hold.at_ms,
        "version": before.version + 1,
    }
    mine = (HoldRow.tenant == tenant, HoldRow.call == call)
    if before.version:
        same = (*mine, HoldRow.version == before.version)
        done = await connection.execute(update(HoldRow).where(*same).values(**values))
        return done.rowcount == 1
    try:
        async with connection.begin_nested():
            await connection.execute(insert(HoldRow).values(tenant=tenant, call=call, **values))
    except IntegrityError:
        return False
    return True


def has_hold() -> ColumnElement[bool]:
    """Return the condition that a row of `calls` is under hold, by itself or by its customer."""
    own = exists().where(
        HoldRow.tenant == CallRow.tenant,
        HoldRow.call == CallRow.id,
        HoldRow.has_legal_hold.is_(True),
    )
    customers = exists().where(
        NumberRow.tenant == CallRow.tenant,
        NumberRow.number == CallRow.caller,
        CustomerRow.id == NumberRow.customer,
        _is_held(),
    )
    return or_(own, customers)


def _is_held() -> ColumnElement[bool]:
    """Return the condition that a row of `customers` is under hold, or stands for one that is."""
    return or_(CustomerRow.has_legal_hold.is_(True), CustomerRow.id.in_(_kept_for_another()))


def _kept_for_another() -> Select[str]:
    """Return those into whom somebody under hold was merged, through all merges."""
    kept = (
        select(MergeRow.kept.label("id"))
        .join(CustomerRow, CustomerRow.id == MergeRow.gone)
        .where(MergeRow.undone_ms.is_(None), CustomerRow.has_legal_hold.is_(True))
        .cte("kept_for_another", recursive=True, nesting=True)
    )
    further = (
        select(MergeRow.kept)
        .join(kept, MergeRow.gone == kept.c.id)
        .where(MergeRow.undone_ms.is_(None))
    )
    return select(kept.union(further).c.id)


async def held(connection: AsyncConnection, tenant: str, calls: Sequence[str]) -> frozenset[str]:
    """Return which of these calls are under hold, also of those whose rows are gone."""
    rows = select(CallRow.id).where(
        CallRow.tenant == tenant, CallRow.id.in_(tuple(calls)), has_hold()
    )
    own = select(HoldRow.call).where(
        HoldRow.tenant == tenant,
        HoldRow.call.in_(tuple(calls)),
        HoldRow.has_legal_hold.is_(True),
    )
    found = [
        *(await connection.execute(rows)).scalars(),
        *(await connection.execute(own)).scalars(),
    ]
    return frozenset(found)


async def held_customers(
    connection: AsyncConnection, tenant: str, customers: Collection[str]
) -> frozenset[str]:
    """Return which of these customers are under hold."""
    if not customers:
        return frozenset()
    statement = select(CustomerRow.id).where(
        CustomerRow.tenant == tenant, CustomerRow.id.in_(tuple(customers)), _is_held()
    )
    return frozenset((await connection.execute(statement)).scalars())


async def is_any_held(connection: AsyncConnection, tenant: str, numbers: Iterable[str]) -> bool:
    """Return whether a call from one of these numbers is under a hold of its own."""
    statement = (
        select(HoldRow.call)
        .join(CallRow, (CallRow.tenant == HoldRow.tenant) & (CallRow.id == HoldRow.call))
        .where(
            HoldRow.tenant == tenant,
            HoldRow.has_legal_hold.is_(True),
            CallRow.caller.in_(tuple(numbers)),
        )
        .limit(1)
    )
    return (await connection.execute(statement)).first() is not None
