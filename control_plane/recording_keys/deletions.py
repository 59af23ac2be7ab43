"""What is to be deleted, and every site's signed statement that it has been.

An order stands in the key store before anything is deleted. One of a recording waits until some
control plane has looked, in the tenant's turn, whether it is under legal hold meanwhile: if so it
is taken back, and else it begins, for all sites. An erasure does not wait, as its keys are gone
with the order. Each control plane carries out at its own site what has begun, and again whenever a
restored backup has brought something back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Row, Select, and_, delete, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.db.database import Database
from control_plane.db.inserting import inserting
from control_plane.recording_keys.tables import BEGUN, ORDERS, STATEMENTS, WAITING
from custody.statement import Gone, Rule

RECORDING: Final = "recording"
KEY: Final = "key"


class Order(Struct, frozen=True, kw_only=True):
    """Something that has to go."""

    tenant: str
    subject: str
    """`recording:ID` or `key:ID`."""
    rule: Rule
    detail: str
    ordered_ms: int

    @property
    def kind(self) -> str:
        """Return what it is: a recording, or a key."""
        return self.subject.partition(":")[0]

    @property
    def id(self) -> str:
        """Return which one."""
        return self.subject.partition(":")[2]

    @property
    def waits(self) -> bool:
        """Tell whether a legal hold that is set now may take it back."""
        return self.kind == RECORDING and self.rule is not Rule.ERASURE


class Told(Struct, frozen=True, kw_only=True):
    """A site's statement."""

    subject: str
    site: str
    signed: bytes
    done_ms: int


def recording(call: str) -> str:
    """Name a recording as an order does."""
    return f"{RECORDING}:{call}"


def key(key_id: str) -> str:
    """Name a key as an order does."""
    return f"{KEY}:{key_id}"


async def give(connection: AsyncConnection, orders: Iterable[Order]) -> None:
    """Let these be deleted everywhere; what was ordered before stays as it was ordered.

    In the tenant's turn. What an erasure orders waits no longer, if it was ordered before and did.
    """
    for order in orders:
        given = await connection.execute(
            inserting(connection, ORDERS)
            .values(
                tenant=order.tenant,
                subject=order.subject,
                rule=order.rule.value,
                detail=order.detail,
                ordered_ms=order.ordered_ms,
            )
            .on_conflict_do_nothing()
            .returning(ORDERS.c.subject)
        )
        is_new = given.first() is not None
        if not order.waits:
            await begin(connection, order.tenant, [order.subject])
        elif is_new:
            row = {"tenant": order.tenant, "subject": order.subject}
            await connection.execute(inserting(connection, WAITING).values(**row))


async def waiting(database: Database, most: int = 200) -> tuple[Order, ...]:
    """Return orders that wait, of each tenant the oldest first.

    By their own small table, which is mostly empty: of orders there are more with every day.
    """
    async with database.read() as connection:
        rows = list(await connection.execute(select(WAITING).limit(most)))
    found: list[Order] = []
    for tenant in sorted({row.tenant for row in rows}):
        subjects = [row.subject for row in rows if row.tenant == tenant]
        mine = (ORDERS.c.tenant == tenant, ORDERS.c.subject.in_(subjects))
        found += await _orders(database, select(ORDERS).where(*mine))
    return tuple(found)


async def begin(connection: AsyncConnection, tenant: str, subjects: Sequence[str]) -> None:
    """Let these be carried out: from now on nothing takes them back. In the tenant's turn."""
    mine = (WAITING.c.tenant == tenant, WAITING.c.subject.in_(tuple(subjects)))
    await connection.execute(delete(WAITING).where(*mine))


async def take_back(
    connection: AsyncConnection, tenant: str, subjects: Sequence[str]
) -> tuple[Order, ...]:
    """Take back those of these orders that wait, and return them. In the tenant's turn."""
    named = (ORDERS.c.tenant == tenant, ORDERS.c.subject.in_(tuple(subjects)))
    rows = await connection.execute(select(ORDERS).where(*named, _waits()))
    found = tuple(_order(row) for row in rows)
    taken = tuple(order.subject for order in found)
    await begin(connection, tenant, taken)
    mine = (ORDERS.c.tenant == tenant, ORDERS.c.subject.in_(taken))
    await connection.execute(delete(ORDERS).where(*mine))
    return found


async def undone(
    database: Database,
    site: str,
    since_ms: int = 0,
    after: tuple[int, str] | None = None,
    most: int = 200,
) -> tuple[Order, ...]:
    """Return orders given since then of which this site has said nothing yet, the oldest first.

    Only those behind `after` (when, subject). Of those that wait nothing is done.
    """
    given = ORDERS.c.ordered_ms >= since_ms
    statement = select(ORDERS).where(given, ~_is_stated(site), ~_waits())
    if after is not None:
        same = and_(ORDERS.c.ordered_ms == after[0], ORDERS.c.subject > after[1])
        statement = statement.where(or_(ORDERS.c.ordered_ms > after[0], same))
    return await _orders(database, statement.limit(most))


async def done_among(
    database: Database, site: str, tenant: str, subjects: Sequence[str]
) -> tuple[Order, ...]:
    """Return the orders for these subjects that this site has carried out, as it has stated."""
    statement = select(ORDERS).where(
        ORDERS.c.tenant == tenant, ORDERS.c.subject.in_(tuple(subjects)), _is_stated(site)
    )
    return await _orders(database, statement)


def _waits() -> ColumnElement[bool]:
    return exists().where(
        WAITING.c.tenant == ORDERS.c.tenant, WAITING.c.subject == ORDERS.c.subject
    )


def _is_stated(site: str) -> ColumnElement[bool]:
    return exists().where(
        STATEMENTS.c.tenant == ORDERS.c.tenant,
        STATEMENTS.c.subject == ORDERS.c.subject,
        STATEMENTS.c.site == site,
    )


async def among(database: Database, tenant: str, subjects: Sequence[str]) -> frozenset[str]:
    """Return which of these subjects have to go, or are gone."""
    statement = select(ORDERS.c.subject).where(
        ORDERS.c.tenant == tenant, ORDERS.c.subject.in_(tuple(subjects))
    )
    async with database.read() as connection:
        return frozenset((await connection.execute(statement)).scalars())


async def erased(database: Database, tenant: str, subjects: Sequence[str]) -> frozenset[str]:
    """Return which of these subjects go, or have gone, by somebody's erasure."""
    statement = select(ORDERS.c.subject).where(
        ORDERS.c.tenant == tenant,
        ORDERS.c.subject.in_(tuple(subjects)),
        ORDERS.c.rule == Rule.ERASURE.value,
    )
    async with database.read() as connection:
        return frozenset((await connection.execute(statement)).scalars())


async def page(
    database: Database, tenant: str, after: tuple[int, str] | None, most: int
) -> tuple[tuple[Order, ...], tuple[Told, ...]]:
    """Return the latest orders of a tenant, before `after` (when, subject), and what was told."""
    statement = select(ORDERS).where(ORDERS.c.tenant == tenant)
    if after is not None:
        same = and_(ORDERS.c.ordered_ms == after[0], ORDERS.c.subject < after[1])
        statement = statement.where(or_(ORDERS.c.ordered_ms < after[0], same))
    orders = await _orders(database, statement.limit(most), is_latest=True)
    told = select(STATEMENTS).where(
        STATEMENTS.c.tenant == tenant,
        STATEMENTS.c.subject.in_([each.subject for each in orders]),
    )
    async with database.read() as connection:
        rows = list(await connection.execute(told.order_by(STATEMENTS.c.site)))
    return orders, tuple(
        Told(subject=r.subject, site=r.site, signed=bytes(r.signed), done_ms=r.done_ms)
        for r in rows
    )


async def begun(database: Database, order: Order, site: str) -> tuple[Gone, ...]:
    """Return what this site has begun to delete by an order, and not stated."""
    async with database.read() as connection:
        found = await connection.execute(select(BEGUN.c.objects).where(*_at(order, site)))
        raw = found.scalar()
    return () if raw is None else msgspec.json.decode(raw, type=tuple[Gone, ...])


async def note(database: Database, order: Order, site: str, objects: Sequence[Gone]) -> None:
    """Keep what this site begins to delete until it has stated it."""
    told = msgspec.json.encode(objects)
    async with database.write() as connection:
        await connection.execute(
            inserting(connection, BEGUN)
            .values(tenant=order.tenant, subject=order.subject, site=site, objects=told)
            .on_conflict_do_update(
                index_elements=["tenant", "subject", "site"], set_={"objects": told}
            )
        )


def _at(order: Order, site: str) -> tuple[ColumnElement[bool], ...]:
    mine = (BEGUN.c.tenant == order.tenant, BEGUN.c.subject == order.subject)
    return (*mine, BEGUN.c.site == site)


async def tell(database: Database, order: Order, site: str, signed: bytes, done_ms: int) -> None:
    """Keep this site's statement; its first one stands."""
    async with database.write() as connection:
        await connection.execute(delete(BEGUN).where(*_at(order, site)))
        await connection.execute(
            inserting(connection, STATEMENTS)
            .values(
                tenant=order.tenant,
                subject=order.subject,
                site=site,
                signed=signed,
                done_ms=done_ms,
            )
            .on_conflict_do_nothing()
        )


async def _orders(
    database: Database, statement: Select[tuple[object, ...]], *, is_latest: bool = False
) -> tuple[Order, ...]:
    columns = (ORDERS.c.ordered_ms, ORDERS.c.subject)
    order = [each.desc() for each in columns] if is_latest else [each.asc() for each in columns]
    async with database.read() as connection:
        rows = list(await connection.execute(statement.order_by(*order)))
    return tuple(_order(row) for row in rows)


def _order(row: Row[Any]) -> Order:
    return Order(
        tenant=row.tenant,
        subject=row.subject,
        rule=Rule(row.rule),
        detail=row.detail,
        ordered_ms=row.ordered_ms,
    )
