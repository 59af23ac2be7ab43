"""The sensitive fields of customers: sealed on their way in, opened for whoever may read them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import groupby
from operator import itemgetter

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api import idempotency
from control_plane.audit import store as audit
from control_plane.audit.entry import Entry
from control_plane.calls.store import forget_callers
from control_plane.customers import sealed, store
from control_plane.customers.errors import ERASED, NO_KEYS, UNKNOWN_FIELD
from control_plane.customers.held import CLEARINGS, HELD
from control_plane.customers.talking import TALKING, Talking
from control_plane.db.database import Database
from control_plane.errors import ApiError
from control_plane.history.store import forget
from control_plane.keys.envelope import Place, folded, seal, unseal
from control_plane.keys.provider import LocalFile
from control_plane.keys.store import KeyDestroyedError, KeyStore
from control_plane.permissions import Permission
from control_plane.services import SERVICES, Services

MOST_FOUND = 100
IN_ONE = 500
"""Customers whose field is indexed with one statement."""
KEYS = web.AppKey("customer_keys", KeyStore)


async def context(app: web.Application) -> AsyncIterator[None]:
    """Open the key store, where one is configured, and erase again whom a backup brought back."""
    services = app[SERVICES]
    settings = services.settings
    app[TALKING] = Talking()
    app[HELD], app[CLEARINGS] = {}, []
    if settings.customer_keys is None or settings.keys_database is None:
        yield
        return
    keys = KeyStore(Database.open(settings.keys_database), LocalFile.load(settings.customer_keys))
    app[KEYS] = keys
    try:
        await keys.start()
        await erase_again(services, keys)
        yield
    finally:
        await keys.close()


async def erase_again(services: Services, keys: KeyStore) -> int:
    """Erase who has a tombstone, and is there. Return how many.

    They are in a restored backup, or their erasure was cut off when the keys were destroyed. Of the
    others there is nothing: all of it went with the row, in one transaction.
    """
    count = 0
    for tenant, customer in await _still_there(services.database, await keys.tombstones()):
        async with services.database.write() as connection:
            if await wipe(connection, tenant, customer):
                await _write_down(services, connection, tenant, customer)
                count += 1
    return count


async def _write_down(
    services: Services, connection: AsyncConnection, tenant: str, customer: str
) -> None:
    """Put it into the audit log; who has asked for it stands there already."""
    entry = Entry(
        tenant=tenant,
        at_ms=services.clock.now().wall_ms,
        actor="",
        action=Permission.CUSTOMER_SHRED.value,
        kind=Permission.CUSTOMER_SHRED.kind,
        thing=customer,
        policy_version="",
        request_id="",
        site=services.settings.site,
        detail={"is_done": True, "at_a_start": True},
    )
    await audit.add(connection, entry)


async def _still_there(
    database: Database, asked: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    async with database.read() as connection:
        for tenant, some in groupby(sorted(asked), key=itemgetter(0)):
            ids = [customer for _, customer in some]
            for first in range(0, len(ids), store.IN_ONE):
                these = ids[first : first + store.IN_ONE]
                rows = await store.find_all(connection, tenant, these)
                found += [(tenant, each.id) for each in rows]
    return found


async def wipe(connection: AsyncConnection, tenant: str, customer: str) -> bool:
    """Delete all rows that tell of a customer; False if there was none."""
    await forget(connection, tenant, customer)
    await forget_callers(connection, tenant, await store.own_numbers(connection, tenant, customer))
    await store.forget_merges(connection, tenant, customer)
    # Answers kept for Idempotency-Keys hold what was sent when the customer was made, and who was
    # merged into whom, and what was asked of a second person and why.
    await idempotency.forget(connection, customer)
    return await store.erase(connection, tenant, customer)


def keys_of(app: web.Application) -> KeyStore:
    """Return the key store. Raise `keys-missing`."""
    found = app.get(KEYS)
    if found is None:
        raise ApiError(NO_KEYS)
    return found


async def put(
    app: web.Application,
    connection: AsyncConnection,
    who: tuple[str, str],
    values: Mapping[str, str | None],
) -> None:
    """Seal `values` by field for `who` (tenant, customer), and index those that are searchable.

    None: the field is to be empty.
    """
    if not values:
        return
    keys, (tenant, customer) = keys_of(app), who
    known = await sealed.fields(connection, tenant)
    if set(values) - set(known):
        raise ApiError(UNKNOWN_FIELD, details={"known": sorted(known)})
    try:
        key = await keys.key(tenant, customer)
    except KeyDestroyedError as error:
        raise ApiError(ERASED) from error
    made = {
        field: seal(key, value, Place(tenant=tenant, customer=customer, field=field))
        for field, value in values.items()
        if value is not None
    }
    await sealed.clear(connection, customer, values)
    await sealed.put(connection, tenant, customer, made)
    for field, value in values.items():
        if known[field]:
            await keys.index(tenant, customer, field, value)


async def read(
    app: web.Application, connection: AsyncConnection, who: tuple[str, str]
) -> dict[str, str]:
    """Return the sensitive fields of `who` (tenant, customer), readable."""
    tenant, customer = who
    found = await sealed.read(connection, tenant, customer)
    if not found:
        return {}
    try:
        key = await keys_of(app).key(tenant, customer)
    except KeyDestroyedError as error:
        raise ApiError(ERASED) from error
    return {
        field: unseal(key, value, Place(tenant=tenant, customer=customer, field=field))
        for field, value in found.items()
    }


async def index_all(app: web.Application, tenant: str, field: str, *, is_searchable: bool) -> None:
    """Let whoever has something in `field` be found by it; or nobody any more."""
    keys, database = app.get(KEYS), app[SERVICES].database
    if keys is None:
        return  # nobody has anything there
    if not is_searchable:
        await keys.forget_field(tenant, field)
        return
    after = ""
    while True:
        async with database.read() as connection:
            rows = await sealed.of_field(connection, tenant, field, after, IN_ONE)
        if not rows:
            return
        after = max(rows)
        known = await keys.keys(tenant, rows)
        values = {
            each: unseal(key, rows[each], Place(tenant=tenant, customer=each, field=field))
            for each, key in known.items()
        }
        await keys.index_many(tenant, field, values)


async def find(
    app: web.Application, connection: AsyncConnection, tenant: str, wanted: tuple[str, str]
) -> tuple[str, ...]:
    """Return who has exactly this in that field (field, value).

    The index only says who may: it is written before the customer's own transaction stands.
    """
    field, value = wanted
    found = await keys_of(app).find(tenant, field, value, MOST_FOUND)
    return tuple(
        [
            each
            for each in found
            if folded((await read(app, connection, (tenant, each))).get(field, "")) == folded(value)
        ]
    )
