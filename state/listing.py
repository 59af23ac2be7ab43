"""Reads everything under a prefix at one revision, in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from state.raw import KeyValue
    from state.store import Store

PAGE = 1000
"""Keys in one answer: few enough that decoding one does not hold up a call."""


class Listing(Struct, frozen=True, kw_only=True):
    """All records under a prefix, in order of key, as they stood at `revision`."""

    records: tuple[KeyValue, ...]
    revision: int


async def read_all(
    store: Store, prefix: str, *, keys_only: bool = False, page: int = PAGE
) -> Listing:
    """Return all records under `prefix`; raise as `Store.range` does.

    Raises CompactedError if the revision of its first page is compacted before the last is read.
    """
    found = await store.range(prefix, prefix=True, limit=page, keys_only=keys_only)
    records, revision = list(found.records), found.revision
    while found.more:
        found = await store.range(
            prefix,
            prefix=True,
            after=records[-1].key,
            revision=revision,
            limit=page,
            keys_only=keys_only,
        )
        records.extend(found.records)
    return Listing(records=tuple(records), revision=revision)
