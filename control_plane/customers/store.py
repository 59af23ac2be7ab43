"""Customers in the database. Every statement names the tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias, cast

import msgspec
from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from control_plane.api import paging
from control_plane.api.paging import Listing
from control_plane.customers.numbers import fold, words
from control_plane.customers.schemas import CustomerListing
from control_plane.customers.tables import (
    CustomerRow,
    MergeRow,
    NumberRow,
    TagRow,
    WordRow,
)

IN_ONE: Final = 1000
"""Values that one statement asks for: databases take so many and not many more."""
LAST: Final = "\U0010ffff"


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """A row, without what is sealed."""

    id: str
    tenant: str
    name: str
    language: str
    email: str
    address: str
    notes: str
    consent: dict[str, bool]
    numbers: tuple[str, ...]
    tags: tuple[str, ...]
    has_legal_hold: bool
    merged_into: str | None
    created_ms: int
    updated_ms: int
    version: int

    def __repr__(self) -> str:
        """Say nothing that the customer told us."""
        return f"Customer({self.id})"


_JSON: Final = {"consent": dict[str, bool], "numbers": tuple[str, ...], "tags": tuple[str, ...]}
_FIELDS: Final = frozenset(Customer.__struct_fields__)
COLUMNS: Final = [getattr(CustomerRow, name) for name in Customer.__struct_fields__]
_BY_NUMBER: Final = (
    select(*COLUMNS)
    .join(NumberRow, NumberRow.customer == CustomerRow.id)
    .where(NumberRow.tenant == bindparam("tenant"), NumberRow.number == bindparam("number"))
    .where(CustomerRow.tenant == bindparam("tenant"))
    .order_by(NumberRow.customer)
    .limit(10)
)
"""The screen pop: by the primary keys of two tables, and made once, since making it costs more."""


def columns_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` as the table holds them, with what is derived from them."""
    made = {
        name: msgspec.json.encode(value).decode() if name in _JSON else value
        for name, value in values.items()
    }
    if "name" in values:
        made["name_key"] = fold(values["name"])
    return made


def index_rows(customer: Customer) -> dict[type[Any], list[dict[str, str]]]:
    """Return the rows by which `customer` is found, by table; none once merged away."""
    if customer.merged_into is not None:
        return {NumberRow: [], WordRow: [], TagRow: []}
    mine = {"tenant": customer.tenant, "customer": customer.id}
    return {
        NumberRow: [mine | {"number": each} for each in dict.fromkeys(customer.numbers)],
        WordRow: [mine | {"word": each} for each in words(customer.name)],
        TagRow: [mine | {"tag": each} for each in dict.fromkeys(customer.tags)],
    }


async def create(connection: AsyncConnection, customer: Customer) -> None:
    """Add one."""
    values = columns_of(msgspec.structs.asdict(customer))
    await connection.execute(insert(CustomerRow).values(**values))
    await _index(connection, customer)


async def create_many(connection: AsyncConnection, customers: Sequence[Customer]) -> None:
    """Add several, a statement for each table."""
    rows = [columns_of(msgspec.structs.asdict(each)) for each in customers]
    await connection.execute(insert(CustomerRow), rows)
    for table in (NumberRow, WordRow, TagRow):
        found = [row for each in customers for row in index_rows(each)[table]]
        if found:
            await connection.execute(insert(table), found)


async def find(connection: AsyncConnection, tenant: str, customer: str) -> Customer | None:
    """Return one, or None."""
    statement = select(*COLUMNS).where(CustomerRow.tenant == tenant, CustomerRow.id == customer)
    rows = (await connection.execute(statement)).all()
    return read(rows[0]) if rows else None


async def find_all(
    connection: AsyncConnection, tenant: str, ids: Iterable[str]
) -> tuple[Customer, ...]:
    """Return those that there are, in the order of their ids."""
    statement = (
        select(*COLUMNS)
        .where(CustomerRow.tenant == tenant, CustomerRow.id.in_(tuple(ids)))
        .order_by(CustomerRow.id)
    )
    return tuple(read(row) for row in await connection.execute(statement))


async def by_number(connection: AsyncConnection, tenant: str, number: str) -> tuple[Customer, ...]:
    """Return who has this number (E.164), ten at most."""
    asked = {"tenant": tenant, "number": number}
    return tuple(read(row) for row in await connection.execute(_BY_NUMBER, asked))


async def consents(
    connection: AsyncConnection, tenant: str, number: str, to: str
) -> tuple[bool | None, ...]:
    """Return what each customer with this number (E.164) has said `to` a purpose; None: nothing.

    Of all of them: whoever asks may not overlook one.
    """
    statement = (
        select(CustomerRow.consent)
        .join(NumberRow, NumberRow.customer == CustomerRow.id)
        .where(NumberRow.tenant == tenant, NumberRow.number == number)
        .where(CustomerRow.tenant == tenant)
    )
    told = (row.consent for row in await connection.execute(statement))
    return tuple(msgspec.json.decode(each, type=dict[str, bool]).get(to) for each in told)


async def same_name(connection: AsyncConnection, tenant: str, name: str) -> tuple[Customer, ...]:
    """Return who is called so, whatever the case and the accents, 50 at most."""
    statement = (
        select(*COLUMNS)
        .where(
            CustomerRow.tenant == tenant,
            CustomerRow.name_key == fold(name),
            CustomerRow.merged_into.is_(None),
        )
        .order_by(CustomerRow.id)
        .limit(50)
    )
    return tuple(read(row) for row in await connection.execute(statement))


async def shared_numbers(
    connection: AsyncConnection, tenant: str, listing: Listing
) -> tuple[list[str], str | None]:
    """Return one page of the numbers that several customers have."""
    number = NumberRow.number.expression
    statement = (
        select(number)
        .where(NumberRow.tenant == tenant)
        .group_by(number)
        .having(func.count(NumberRow.customer) > 1)
    )
    by = {"number": number}
    rows, after = await paging.fetch(
        connection, statement, listing, columns=by, id_column=number, default="number"
    )
    return [row.number for row in rows], after


async def taken(connection: AsyncConnection, tenant: str, numbers: Iterable[str]) -> set[str]:
    """Return those of `numbers` (E.164) that somebody has."""
    wanted = sorted(numbers)
    found: set[str] = set()
    for place in range(0, len(wanted), IN_ONE):
        these = wanted[place : place + IN_ONE]
        statement = select(NumberRow.number).where(
            NumberRow.tenant == tenant, NumberRow.number.in_(these)
        )
        found.update((await connection.execute(statement)).scalars())
    return found


async def own_numbers(connection: AsyncConnection, tenant: str, customer: str) -> tuple[str, ...]:
    """Return the numbers that a customer shares with nobody else."""
    other = aliased(NumberRow)
    shared = exists().where(
        other.tenant == NumberRow.tenant,
        other.number == NumberRow.number,
        other.customer != customer,
    )
    statement = select(NumberRow.number).where(
        NumberRow.tenant == tenant, NumberRow.customer == customer, ~shared
    )
    return tuple((await connection.execute(statement)).scalars())


async def page(
    connection: AsyncConnection,
    tenant: str,
    listing: CustomerListing,
    among: tuple[str, ...] | None,
) -> tuple[list[Customer], str | None]:
    """Return one page of a tenant's customers; with `among`, of these only.

    A search reads no customer before the page is known: the indexes hold the ids, which begin with
    the time, and the names in order. A planner left to itself walks through everybody instead.
    """
    by: dict[str, ColumnElement[str]] = {
        "created": CustomerRow.id.expression,
        "name": CustomerRow.name_key.expression,
    }
    index = _first_index(listing)
    sort = listing.sort.removeprefix("-") or "created"
    id_column = by["created"]
    statement: Select[Any]
    if index is None:
        statement = select(*(*COLUMNS, CustomerRow.name_key)).where(
            CustomerRow.tenant == tenant, CustomerRow.merged_into.is_(None)
        )
        if among is not None:
            statement = statement.where(CustomerRow.id.in_(among))
    else:
        statement = _found(tenant, listing, among, index)
        by["created"] = id_column = index.customer.expression
        if sort != "created":
            named = _named(tenant, statement)
            statement = cast("Select[Any]", named.select())
            by["name"], id_column = named.c.name_key, named.c.customer
    rows, after = await paging.fetch(
        connection, statement, listing, columns=by, id_column=id_column, default="created"
    )
    if index is None:
        return [read(row) for row in rows], after
    ids = [row._mapping[id_column] for row in rows]  # noqa: SLF001 - its documented way
    by_id = {each.id: each for each in await find_all(connection, tenant, ids)}
    return [by_id[each] for each in ids if each in by_id], after


def _named(tenant: str, found: Select[Any]) -> CTE:
    """Return who was found, with their names to sort by: one look into an index for each.

    As a join, SQLite's planner may walk through the whole tenant instead; by `=`, it goes for the
    primary key and then reads the customer.
    """
    ids = found.cte("found").prefix_with("MATERIALIZED")
    name = (
        select(CustomerRow.name_key)
        .where(CustomerRow.tenant == tenant, CustomerRow.id.between(ids.c.customer, ids.c.customer))
        .scalar_subquery()
    )
    made = select(ids.c.customer, name.label("name_key")).cte("named")
    return made.prefix_with("MATERIALIZED")


Index: TypeAlias = type[WordRow] | type[NumberRow] | type[TagRow]


def _first_index(listing: CustomerListing) -> Index | None:
    """Return the table that knows best who is searched for; None: everybody is listed."""
    if listing.number is not None:
        return NumberRow
    if words(listing.name or ""):
        return WordRow
    return TagRow if listing.tag is not None else None


def _found(
    tenant: str, listing: CustomerListing, among: tuple[str, ...] | None, index: Index
) -> Select[Any]:
    """Return the ids of who fits, from the indexes alone; who was merged away is in none."""
    wanted = _wanted(tenant, listing)
    first = next(condition for table, condition in wanted if table is index)
    statement = select(index.customer).where(first(index)).distinct()
    for table, condition in wanted:
        if condition is not first:
            other = aliased(table)
            having = select(other.customer).where(
                condition(other), other.customer == index.customer
            )
            statement = statement.where(having.exists())
    return statement if among is None else statement.where(index.customer.in_(among))


def _wanted(
    tenant: str, listing: CustomerListing
) -> list[tuple[Index, Callable[[Any], ColumnElement[bool]]]]:
    """Return the tables and what has to be in them, the longest word first: fewest have it."""
    made: list[tuple[Index, Callable[[Any], ColumnElement[bool]]]] = []
    if listing.number is not None:
        made.append((NumberRow, lambda t: (t.tenant == tenant) & (t.number == listing.number)))
    longest_first = sorted(words(listing.name or ""), key=len, reverse=True)
    made += [(WordRow, partial(_begins, tenant, word)) for word in longest_first]
    if listing.tag is not None:
        made.append((TagRow, lambda t: (t.tenant == tenant) & (t.tag == listing.tag)))
    return made


def _begins(tenant: str, word: str, table: Any) -> ColumnElement[bool]:  # noqa: ANN401 - or its alias
    made: ColumnElement[bool] = and_(
        table.tenant == tenant, table.word >= word, table.word < word + LAST
    )
    return made


async def change(
    connection: AsyncConnection, customer: Customer, values: Mapping[str, Any], now_ms: int
) -> Customer | None:
    """Change one as it was read; None if somebody has changed it since."""
    changed = msgspec.structs.replace(
        customer, **values, version=customer.version + 1, updated_ms=now_ms
    )
    wanted = {**values, "version": changed.version, "updated_ms": now_ms}
    done = await connection.execute(
        update(CustomerRow)
        .where(
            CustomerRow.id == customer.id,
            CustomerRow.tenant == customer.tenant,
            CustomerRow.version == customer.version,
        )
        .values(**columns_of(wanted))
    )
    if done.rowcount != 1:
        return None
    if {"name", "numbers", "tags", "merged_into"} & set(values):
        await _index(connection, changed)
    return changed


async def erase(connection: AsyncConnection, tenant: str, customer: str) -> bool:
    """Delete one with all that hangs on it; False if there is none."""
    mine = CustomerRow.tenant == tenant, CustomerRow.id == customer
    done = await connection.execute(delete(CustomerRow).where(*mine))
    return done.rowcount == 1


async def forget_merges(connection: AsyncConnection, tenant: str, customer: str) -> None:
    """Delete what the customer's merges remember."""
    either = or_(MergeRow.kept == customer, MergeRow.gone == customer)
    await connection.execute(delete(MergeRow).where(MergeRow.tenant == tenant, either))


async def merged_away(connection: AsyncConnection, tenant: str, customer: str) -> tuple[str, ...]:
    """Return who turned out to be this customer, and who had turned out to be one of those."""
    ours = select(CustomerRow.id).where(CustomerRow.tenant == tenant)
    away = ours.where(CustomerRow.merged_into == customer).cte(recursive=True)
    further = ours.where(CustomerRow.merged_into == away.c.id)
    found = await connection.execute(select(away.union(further).c.id))
    return tuple(sorted(found.scalars()))


async def _index(connection: AsyncConnection, customer: Customer) -> None:
    for table, rows in index_rows(customer).items():
        await connection.execute(delete(table).where(table.customer == customer.id))
        if rows:
            await connection.execute(insert(table), rows)


def read(row: Any) -> Customer:  # noqa: ANN401 - a row of the columns above, and others
    """Return a row's customer."""
    values = {
        name: msgspec.json.decode(value, type=_JSON[name]) if name in _JSON else value
        for name, value in row._mapping.items()  # noqa: SLF001 - its documented way
        if name in _FIELDS
    }
    return Customer(**values)
