"""Takes out of the shared state what every control plane has carried over, when it is old enough.

The rule, which docs/keyspace.md tells: a record of the ledger, or what stands beside one, goes when

- it can be read: what cannot be read was not carried, and stays for whoever can;
- it is older than the ledger is kept, so that no edge and no report asks for it there any more;
- its revision is one up to which the database has everything, and up to which every control plane
  has carried that has carried anything within a week;
- it is still the one that was looked at: the transaction compares its revision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

import structlog

from control_plane.calls import store as calls
from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.services import Services
from state import keys
from state.codec import decode_at
from state.errors import StateError
from state.listing import read_all
from state.model import CallRecord, Coding, Rested
from state.raw import KeyValue
from state.store import Delete, Get, Got, ModIs, Store

log = structlog.get_logger()

TRIM_S: Final = 600.0
HOUR_MS: Final = 3_600_000
FORGOTTEN_MS: Final = 7 * 24 * HOUR_MS
"""A control plane that has carried nothing for so long is not waited for."""
AT_ONCE: Final = 50
"""Keys in one transaction; etcd takes 128 operations."""
PREFIXES: Final = (
    (calls.LEDGER, keys.ENDED),
    (calls.CODES, keys.CODED),
    (calls.RESTS, keys.RESTED),
)


async def trim_for_ever(store: Store, services: Services) -> None:
    """Trim until cancelled. What has failed is old the next time, too."""
    kept_ms = services.settings.ledger_kept_h * HOUR_MS
    while True:
        try:
            gone = await trim(store, services.database, kept_ms, services.clock.now().wall_ms)
            if gone:
                log.info("ledger_trimmed", count=gone)
        except (StateError, DatabaseUnavailableError) as error:
            log.warning("ledger_not_trimmed", because=type(error).__name__)
        await asyncio.sleep(TRIM_S)


async def trim(store: Store, database: Database, kept_ms: int, now_ms: int) -> int:
    """Delete what may go, and return how many keys that were."""
    gone, before_ms = 0, now_ms - kept_ms
    for name, prefix in PREFIXES:
        async with database.read() as connection:
            taken = await calls.taken_by_all(connection, name, now_ms - FORGOTTEN_MS)
            young = await calls.first_since(connection, before_ms)
        bound = taken if young is None else min(taken, young - 1)
        listing = await read_all(store, prefix, keys_only=True)
        old = [each.key for each in listing.records if each.mod_revision <= bound]
        for first in range(0, len(old), AT_ONCE):
            gone += await _delete(store, old[first : first + AT_ONCE], bound, before_ms)
    return gone


async def _delete(store: Store, some: Sequence[str], bound: int, before_ms: int) -> int:
    read = await store.txn((), tuple(Get(key=each) for each in some))
    found = (each.record for each in read.responses if isinstance(each, Got))
    doomed = tuple(
        each
        for each in found
        if each is not None and each.mod_revision <= bound and _is_old(each, before_ms)
    )
    if not doomed:
        return 0
    compares = tuple(ModIs(key=each.key, mod_revision=each.mod_revision) for each in doomed)
    done = await store.txn(compares, tuple(Delete(key=each.key) for each in doomed))
    return len(doomed) if done.succeeded else 0


def _is_old(record: KeyValue, before_ms: int) -> bool:
    """Return whether it can be read, and was written long ago."""
    return any(at_ms < before_ms for at_ms in _stamps(record))


def _stamps(record: KeyValue) -> Iterator[int]:
    try:
        value = decode_at(record.key, record.value)
    except StateError:
        return
    if isinstance(value, CallRecord):
        yield value.ended_ms
    elif isinstance(value, Coding | Rested):
        yield value.at_ms
