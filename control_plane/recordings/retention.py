"""Orders the deletion of recordings that their tenant keeps no longer, and of erased customers'.

Also takes off the tags that an erasure has left, which was cut off or a backup has undone.

What is under legal hold stays, however long that is.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from obstore.exceptions import BaseError
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.calls import store as calls
from control_plane.customers import turn
from control_plane.customers.held import Leaving
from control_plane.db.database import Database
from control_plane.holds import store as holds
from control_plane.recording_keys import deletions
from control_plane.recording_keys.deletions import Order
from control_plane.recording_keys.store import RecordingKeys
from control_plane.recordings import holding, tags
from control_plane.recordings.archive import Archive, recordings
from control_plane.tenants import store as tenants
from custody.errors import CustodyError
from custody.library import Library
from custody.statement import Rule

AT_ONCE: Final = 200


async def sweep(database: Database, archive: Archive, library: Library, now_ms: int) -> int:
    """Order what is too old of this site's store; return how many orders that was.

    Also what has no account: a recorder that was lost with its spool has written none.
    """
    async with database.read() as connection:
        kept = await tenants.recording_retentions(connection)
    count = 0
    for tenant, days in kept.items():
        some: set[str] = set()
        async for recording in archive.store.recordings(tenant):
            some.add(recording)
            if len(some) == AT_ONCE:
                count += await _order(database, archive, library, (tenant, days, now_ms), some)
                some = set()
        count += await _order(database, archive, library, (tenant, days, now_ms), some)
    return count


async def _order(
    database: Database,
    archive: Archive,
    library: Library,
    rule: tuple[str, int, int],
    some: AbstractSet[str],
) -> int:
    tenant, days, now_ms = rule
    before_ms = tenants.kept_since(now_ms, days)
    async with database.read() as connection:
        old, known = await calls.ended_before(connection, tenant, sorted(some), before_ms)
    strays = sorted(some - known)
    # Its call's row is gone: when it was, the recording says itself.
    old |= {each for each in strays if await _is_before(archive, library, tenant, each, before_ms)}
    if not old:
        return 0
    async with database.write() as connection:
        await turn.take(connection, tenant)  # whoever sets a hold waits until it is ordered
        held = await holding.held(connection, archive, tenant, sorted(old))
        orders = [
            Order(
                tenant=tenant,
                subject=deletions.recording(each),
                rule=Rule.RETENTION,
                detail=f"{days} days",
                ordered_ms=now_ms,
            )
            for each in sorted(old - held)
        ]
        if orders:
            async with archive.database.write() as store:
                await deletions.give(store, orders)
    return len(orders)


async def _is_before(
    archive: Archive, library: Library, tenant: str, recording: str, before_ms: int
) -> bool:
    try:
        return (await library.manifest(tenant, recording)).started_ms < before_ms
    except (CustodyError, OSError, BaseError):
        # It has no account, or none that can be read: then by what there is of it.
        written_ms = await archive.store.written_ms(tenant, recording)
    return written_ms is not None and written_ms < before_ms


async def untag_erased(database: Database, archive: Archive) -> int:
    """Take all tags off what was recorded of those who were erased; return of how many that was.

    An erasure takes them in its own transaction. Behind one that was cut off when the keys were
    gone, or in a restored backup, they are there still, and its calls say nobody's number.
    """
    count, after = 0, ""
    while True:
        async with database.read() as connection:
            found = await tags.borne(connection, after, AT_ONCE)
        if not found:
            return count
        after = found[-1][1]
        gone: dict[str, set[str]] = {tenant: set() for tenant, _, _ in found}
        for tenant, mine in gone.items():
            mine |= {call for its, call, is_erased in found if its == tenant and is_erased}
            subjects = [deletions.recording(call) for its, call, _ in found if its == tenant]
            ordered = await deletions.erased(archive.database, tenant, subjects)
            mine |= {subject.partition(":")[2] for subject in ordered}
        if any(gone.values()):
            async with database.write() as connection:
                for tenant, mine in gone.items():
                    await tags.forget(connection, tenant, mine)
            count += sum(map(len, gone.values()))


class RecordingsOfCustomer:
    """The part of recordings in a customer's erasure."""

    def __init__(self, keys: RecordingKeys) -> None:
        self._keys = keys

    async def is_held(self, connection: AsyncConnection, leaving: Leaving) -> bool:
        """Tell whether one of their calls is under legal hold."""
        sealed = await self._keys.calls_of(leaving.tenant, leaving.customer)
        if await holds.held(connection, leaving.tenant, sealed):
            return True
        return await holds.is_any_held(connection, leaving.tenant, leaving.numbers)

    async def clear(
        self, connection: AsyncConnection, store: AsyncConnection, leaving: Leaving
    ) -> None:
        """Destroy their keys, and order what was recorded of them to be deleted at every site."""
        mine = {
            # A call that was lost with its edge has been recorded until then, too.
            *await calls.all_from(connection, leaving.tenant, leaving.numbers),
            *await self._keys.calls_of(leaving.tenant, leaving.customer),
        }
        await tags.forget(connection, leaving.tenant, mine)
        gone = await self._keys.destroy(store, leaving.tenant, leaving.customer, leaving.now_ms)
        subjects = [*(deletions.key(each) for each in gone), *recordings(sorted(mine))]
        await deletions.give(
            store,
            [
                Order(
                    tenant=leaving.tenant,
                    subject=subject,
                    rule=Rule.ERASURE,
                    detail=leaving.detail,
                    ordered_ms=leaving.now_ms,
                )
                for subject in subjects
            ],
        )
