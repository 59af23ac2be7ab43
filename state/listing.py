"""Reads everything under a prefix at one revision, in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from state.store import RangeResult

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from state.raw import KeyValue
    from state.store import Store

PAGE = 1000
"""Keys in the first answer: few enough that decoding one does not hold up a call."""
MOST = 8 * PAGE
"""Keys in one answer, where there are many. For each answer etcd (3.4) looks at all keys that are
left, however few it returns: a hundred thousand agents in pages of a thousand kept it busy for 12 s
"""


class Listing(Struct, frozen=True, kw_only=True):
    """All records under a prefix, in order of key, as they stood at `revision`."""

    records: tuple[KeyValue, ...]
    revision: int


async def pages(
    store: Store, prefix: str, *, keys_only: bool = False
) -> AsyncGenerator[RangeResult, None]:
    """Yield all records under `prefix` in order of key, all as of the first page's revision.

    Each page is as large as all before it, up to `MOST`. Raises as `Store.range` does, and
    CompactedError if that revision is compacted before the last is read.
    """
    found = await store.range(prefix, prefix=True, limit=PAGE, keys_only=keys_only)
    revision, count = found.revision, len(found.records)
    yield found
    while found.more:
        found = await store.range(
            prefix,
            prefix=True,
            after=found.records[-1].key,
            revision=revision,
            limit=min(count, MOST),
            keys_only=keys_only,
        )
        count += len(found.records)
        yield RangeResult(revision=revision, records=found.records, more=found.more)


async def read_all(store: Store, prefix: str, *, keys_only: bool = False) -> Listing:
    """Return all records under `prefix`; raise as `pages` does."""
    records: list[KeyValue] = []
    revision = 0
    async for found in pages(store, prefix, keys_only=keys_only):
        records.extend(found.records)
        revision = found.revision
    return Listing(records=tuple(records), revision=revision)
