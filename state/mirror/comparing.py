"""Holds a snapshot against what the store lists, or others hold, a few records at a time."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

from state import keys
from state.listing import pages
from state.mirror.digest import Digest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from state.snapshot import Snapshot
    from state.store import Store

T = TypeVar("T")

PIECE = 250
"""Records that are looked at in one go: some milliseconds of work."""


async def differing(snapshot: Snapshot, listed: Mapping[str, int], revision: int) -> set[str]:
    """Return the keys of which the store said otherwise at `revision` than the snapshot does.

    What the snapshot has seen after `revision` is no difference.
    """
    held, found = snapshot.raw, set()
    async for some in in_pieces(tuple(listed.items())):
        for key, mod_revision in some:
            mine = held.get(key)
            if mine is None or revision >= mine.mod_revision != mod_revision:
                found.add(key)
    async for records in in_pieces(tuple(held.values())):
        found.update(
            mine.key for mine in records if mine.mod_revision <= revision and mine.key not in listed
        )
    return found


async def listed_keys(store: Store) -> tuple[dict[str, int], int]:
    """Return the mod_revision of each key of the store, and as of which revision."""
    listed: dict[str, int] = {}
    revision = 0
    async with aclosing(pages(store, keys.STATE, keys_only=True)) as found:
        async for page in found:
            revision = page.revision
            async for some in in_pieces(page.records):
                listed.update((record.key, record.mod_revision) for record in some)
    return listed, revision


async def digest_of(snapshot: Snapshot) -> tuple[int, str]:
    """Return the revision of the snapshot, and one number for all that it holds."""
    made = Digest()
    async for some in in_pieces(tuple(snapshot.raw.values())):
        made.add((record.key, record.mod_revision) for record in some)
    return snapshot.revision, str(made)


async def in_pieces(everything: Sequence[T]) -> AsyncGenerator[Sequence[T], None]:
    """Yield a few at a time, and let calls go on between: there may be hundreds of thousands."""
    for start in range(0, len(everything), PIECE):
        yield everything[start : start + PIECE]
        await asyncio.sleep(0)
