"""The key store: customers' wrapped keys, blind indexes and tombstones, in a database of its own.

It is apart from the customers' database because erasing somebody means to destroy the key, and a
restore of the customers' database must not bring the key back. A tombstone is for ever: no key is
made again for who was erased. See docs/decisions/0014-customer-keys.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.db.database import Database
from control_plane.db.inserting import inserting
from control_plane.db.tables import NAMES
from control_plane.errors import ControlPlaneError
from control_plane.keys.envelope import blind, fresh_key
from control_plane.keys.provider import KeyProvider

_META = MetaData(naming_convention=NAMES)
KEYS = Table(
    "customer_keys",
    _META,
    Column("tenant", String, primary_key=True),
    Column("customer", String, primary_key=True),
    Column("wrapped", LargeBinary, nullable=True),
    Column("destroyed_ms", BigInteger, nullable=True),
)
BLIND = Table(
    "blind_index",
    _META,
    Column("tenant", String, primary_key=True),
    Column("customer", String, primary_key=True),
    Column("field", String, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Index("ix_blind_index_tenant_field_digest", "tenant", "field", "digest"),
)


class KeyDestroyedError(ControlPlaneError):
    """The customer was erased: there is no key, and there never will be one."""


class KeyStore:
    """Keys by tenant and customer."""

    def __init__(self, database: Database, provider: KeyProvider) -> None:
        self._database = database
        self._provider = provider

    async def start(self) -> None:
        """Make the tables that are missing."""
        async with self._database.write() as connection:
            await connection.run_sync(_META.create_all)

    async def close(self) -> None:
        """Let go of the database."""
        await self._database.close()

    async def key(self, tenant: str, customer: str) -> bytes:
        """Return the customer's key; made if there was none. Raise `KeyDestroyedError`."""
        async with self._database.read() as connection:
            wrapped = await _wrapped(connection, tenant, customer)
        if wrapped is None:
            made = await self._provider.wrap(tenant, customer, fresh_key())
            async with self._database.write() as connection:
                await connection.execute(
                    inserting(connection, KEYS)
                    .values(tenant=tenant, customer=customer, wrapped=made)
                    .on_conflict_do_nothing()
                )
                wrapped = await _wrapped(connection, tenant, customer)
        if wrapped is None:
            raise KeyDestroyedError
        return await self._provider.unwrap(tenant, customer, wrapped)

    async def keys(self, tenant: str, customers: Iterable[str]) -> dict[str, bytes]:
        """Return the keys of those who have one."""
        statement = select(KEYS.c.customer, KEYS.c.wrapped).where(
            KEYS.c.tenant == tenant,
            KEYS.c.customer.in_(tuple(customers)),
            KEYS.c.destroyed_ms.is_(None),
        )
        async with self._database.read() as connection:
            found = (await connection.execute(statement)).all()
        return {
            row.customer: await self._provider.unwrap(tenant, row.customer, bytes(row.wrapped))
            for row in found
        }

    async def index(self, tenant: str, customer: str, field: str, value: str | None) -> None:
        """Make `customer` findable by exactly `value` of `field`; None: no longer."""
        await self.index_many(tenant, field, {customer: value})

    async def index_many(self, tenant: str, field: str, values: Mapping[str, str | None]) -> None:
        """Make customers findable by exactly these values of `field`; None: no longer."""
        key = await self._provider.index_key(tenant)
        rows = [
            {"tenant": tenant, "customer": each, "field": field,
             "digest": blind(key, value, tenant, field)}
            for each, value in values.items()
            if value is not None
        ]  # fmt: skip
        theirs = BLIND.c.customer.in_(tuple(values))
        async with self._database.write() as connection:
            await connection.execute(
                delete(BLIND).where(BLIND.c.tenant == tenant, BLIND.c.field == field, theirs)
            )
            if rows:
                await connection.execute(BLIND.insert(), rows)

    async def forget_field(self, tenant: str, field: str) -> None:
        """Let nobody be found by `field` any more."""
        async with self._database.write() as connection:
            await connection.execute(
                delete(BLIND).where(BLIND.c.tenant == tenant, BLIND.c.field == field)
            )

    async def find(self, tenant: str, field: str, value: str, limit: int) -> tuple[str, ...]:
        """Return customers that may have exactly this value; whoever asks opens it and compares."""
        digest = blind(await self._provider.index_key(tenant), value, tenant, field)
        statement = (
            select(BLIND.c.customer)
            .where(BLIND.c.tenant == tenant, BLIND.c.field == field, BLIND.c.digest == digest)
            .order_by(BLIND.c.customer)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return tuple((await connection.execute(statement)).scalars())

    @asynccontextmanager
    async def destroying(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction of the key store to destroy in: all of an erasure goes, or nothing."""
        async with self._database.write() as connection:
            if self._database.is_sqlite:
                # What is freed in the file is overwritten, not only unlinked.
                await connection.execute(text("PRAGMA secure_delete=ON"))
            yield connection
        await self._forget_old_pages()

    async def destroy(
        self, connection: AsyncConnection, tenant: str, customer: str, now_ms: int
    ) -> None:
        """Overwrite the key with a tombstone, and forget what was indexed; while `destroying`."""
        values = {"tenant": tenant, "customer": customer, "wrapped": None, "destroyed_ms": now_ms}
        await connection.execute(
            delete(BLIND).where(BLIND.c.tenant == tenant, BLIND.c.customer == customer)
        )
        # Emptied first: a row that shrinks in place is not always overwritten as a whole.
        await connection.execute(
            update(KEYS)
            .where(KEYS.c.tenant == tenant, KEYS.c.customer == customer)
            .values(wrapped=None)
        )
        await connection.execute(
            inserting(connection, KEYS)
            .values(values)
            .on_conflict_do_update(
                index_elements=["tenant", "customer"],
                set_={"wrapped": None, "destroyed_ms": now_ms},
            )
        )

    async def tombstones(self) -> frozenset[tuple[str, str]]:
        """Return whose keys were destroyed: tenant and customer."""
        statement = select(KEYS.c.tenant, KEYS.c.customer).where(KEYS.c.destroyed_ms.is_not(None))
        async with self._database.read() as connection:
            found = await connection.execute(statement)
            return frozenset((row.tenant, row.customer) for row in found)

    async def _forget_old_pages(self) -> None:
        """Take the key out of the write-ahead log too; PostgreSQL's own log needs its retention."""
        if self._database.is_sqlite:
            async with self._database.engine.connect() as connection:
                await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))


async def _wrapped(connection: AsyncConnection, tenant: str, customer: str) -> bytes | None:
    """Return the wrapped key, or None if there is none. Raise `KeyDestroyedError`."""
    statement = select(KEYS.c.wrapped, KEYS.c.destroyed_ms).where(
        KEYS.c.tenant == tenant, KEYS.c.customer == customer
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    if row.destroyed_ms is not None:
        raise KeyDestroyedError
    return bytes(row.wrapped)
