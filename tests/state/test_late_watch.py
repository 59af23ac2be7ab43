"""A mirror whose watch is slower than the store: it does not fall behind for ever."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from state import keys
from state.codec import encode
from state.memory import MemoryStore
from state.mirror import Mirror
from state.model import AgentId, Readiness, Wish
from state.store import Put, WatchBatch
from tests.edge.virtual_time import LoopClock, in_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

EVERY_S, SECONDS = 0.02, 20
AT_MOST_S = 3


class SlowStore(MemoryStore):
    """Of which a watch tells one change after the other, each so late after the one before."""

    late_s = 0.0
    lives = False
    """Whether it says that it lives before each change: it is asked, as it is silent so long."""

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Tell them as they were made, one by one."""
        told: asyncio.Queue[WatchBatch] = asyncio.Queue()

        async def fill() -> None:
            async with aclosing(MemoryStore.watch(self, prefix, from_revision)) as batches:
                async for batch in batches:
                    told.put_nowait(batch)

        filling = asyncio.create_task(fill())
        try:
            while True:
                batch = await told.get()
                if batch.changes:
                    await asyncio.sleep(self.late_s)
                    if self.lives:
                        yield WatchBatch(revision=from_revision, changes=())
                yield batch
        finally:
            filling.cancel()


async def follow(late_s: float, *, lives: bool = False) -> tuple[Mirror, list[int], list[int]]:
    """Return a mirror, and second by second what the store was at, and what it showed."""
    store = SlowStore(LoopClock())
    store.late_s, store.lives = late_s, lives
    mirror = Mirror(store, LoopClock())
    following = asyncio.create_task(mirror.run())
    written, shown = [], []
    for _ in range(SECONDS):
        for count in range(round(1.0 / EVERY_S)):
            wish = Wish(agent=AgentId("anna"), readiness=list(Readiness)[count % 2])
            put = Put(key=keys.wish(wish.agent), value=encode(wish))
            written.append((await store.txn((), (put,))).revision)
            await store.txn((), (Put(key=f"{keys.ENDED}x", value=b"{}"),))
            await asyncio.sleep(EVERY_S)
        shown.append(mirror.snapshot.revision)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    return mirror, written[:: round(1.0 / EVERY_S)], shown


@pytest.mark.parametrize("lives", [False, True])
@in_virtual_time
async def test_a_watch_that_tells_less_than_is_written_is_given_up_for_a_listing(
    *, lives: bool
) -> None:
    mirror, written, shown = await follow(late_s=0.1, lives=lives)
    assert mirror.counters.late > 1
    for now in range(AT_MOST_S, SECONDS):
        assert shown[now] >= written[now - AT_MOST_S]


@in_virtual_time
async def test_one_that_keeps_up_is_not() -> None:
    mirror, _, _ = await follow(late_s=0.01)
    assert mirror.counters.late == 0
    assert mirror.counters.lists == 1
