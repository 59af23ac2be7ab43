"""Reads the whole history of the shared state into the run's history."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing

from drills.prove.history import History, Stored
from state import keys
from state.clock import Clock
from state.codec import RECORD_TYPES, Record, decode
from state.errors import StateError
from state.keys import parse
from state.listing import read_all
from state.store import Store

RETRY_S = 0.2
CATCH_UP_S = 20.0


class Watcher:
    """Follows every key from one revision on; nothing is left out, and nothing told twice."""

    def __init__(self, store: Store, clock: Clock, history: History) -> None:
        self._store = store
        self._clock = clock
        self._history = history
        self._told = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with what stands now."""
        listing = await read_all(self._store, keys.ROOT)
        for record in sorted(listing.records, key=lambda each: each.mod_revision):
            self._note(record.key, record.value, record.mod_revision)
        self._told = listing.revision
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """End, once everything that stands now has been told."""
        newest = (await self._store.range(keys.ROOT)).revision
        async with asyncio.timeout(CATCH_UP_S):
            while self._told < newest and not await self._is_told(newest):  # noqa: ASYNC110 - its
                await asyncio.sleep(RETRY_S)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _is_told(self, newest: int) -> bool:
        """Tell whether the revisions that are missing are none of ours: leases and the like."""
        listing = await read_all(self._store, keys.ROOT, keys_only=True)
        return all(record.mod_revision <= self._told for record in listing.records) and (
            listing.revision == newest
        )

    async def _follow(self) -> None:
        while True:
            try:
                async with aclosing(self._store.watch(keys.ROOT, self._told + 1)) as batches:
                    async for batch in batches:
                        for change in batch.changes:
                            self._note(change.key, change.value, change.mod_revision)
                        self._told = max(self._told, batch.revision)
            except StateError:
                await asyncio.sleep(RETRY_S)

    def _note(self, key: str, value: bytes | None, revision: int) -> None:
        parsed = parse(key)
        record: Record | None = None
        if value is not None:
            record = decode(RECORD_TYPES[parsed.kind], value, key)
        self._history.note(
            Stored(
                at_s=self._clock.now().mono_s,
                revision=revision,
                kind=parsed.kind,
                id=parsed.id,
                value=record,
            )
        )
