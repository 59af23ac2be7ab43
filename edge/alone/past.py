"""The records of calls that came and went while a site was alone, until the store has them.

They are written when there is a quorum, a few at a time, while the site serves: after a day alone
they are so many that no merge would come to its end. Kept on disk like all that is done alone
(`edge.alone.kept`), and without the steps that led to them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice

import structlog

from edge.alone.closed import only_over
from edge.alone.kept import Kept
from edge.alone.merging import merge
from state.errors import StoreError
from state.mirror import Mirror, MirrorState
from state.model import EdgeId
from state.raw import Change, KeyValue
from state.store import Store

log = structlog.get_logger()

AT_ONCE = 50
PAUSE_S = 0.25
"""After so many: calls come first, and nobody waits for these."""
RETRY_S = 2.0
LIMIT_S = 8.0


class Past:
    """One edge's."""

    def __init__(
        self,
        *,
        edge: EdgeId,
        store: Store,
        mirror: Mirror,
        kept: Kept | None = None,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        """`store`: that of all sites; `has_room`: whether it takes writes."""
        self._edge = edge
        self._store = store
        self._mirror = mirror
        self._kept = kept or Kept(None)
        self._has_room = has_room
        self._records: dict[str, KeyValue] = {}
        self._is_loaded = False

    def __len__(self) -> int:
        return len(self._records)

    def take(self, records: Sequence[KeyValue]) -> None:
        """Keep records until the store has them."""
        if not records:
            return
        self._load()
        if not self._records:
            self._kept.begin()
        self._kept.note(map(_change, records))
        self._records.update((each.key, each) for each in records)

    async def run(self) -> None:
        """Write them when that can be done, until cancelled; first those of a former life."""
        self._load()
        while True:
            await asyncio.sleep(PAUSE_S)
            if self._records and self._mirror.state is MirrorState.LIVE and self._has_room():
                await self._write_some()

    def _load(self) -> None:
        """Take up what a former life has left, once."""
        if self._is_loaded:
            return
        self._is_loaded = True
        former = [each for each in self._kept.load() if each.value is not None]
        if former:
            log.info("past_of_a_former_life", records=len(former))
            self._kept.begin(former)
            self._records = {each.key: _record(each) for each in former}

    async def _write_some(self) -> None:
        some = list(islice(self._records.values(), AT_ONCE))
        try:
            async with asyncio.timeout(LIMIT_S):
                await merge(self._store, only_over(some), self._mirror.snapshot, self._edge)
        except (StoreError, TimeoutError) as error:
            log.warning("past_waits", error=str(error) or "it took too long")
            await asyncio.sleep(RETRY_S)
            return
        for each in some:
            del self._records[each.key]
        if not self._records:
            self._kept.end()
            log.info("past_written")


def _change(record: KeyValue) -> Change:
    return Change(
        key=record.key,
        value=record.value,
        create_revision=record.create_revision,
        mod_revision=record.mod_revision,
    )


def _record(change: Change) -> KeyValue:
    return KeyValue(
        key=change.key,
        value=change.value or b"",
        create_revision=change.create_revision,
        mod_revision=change.mod_revision,
    )
