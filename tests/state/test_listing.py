"""Reading all there is: in few pages, which hold nobody up."""

from __future__ import annotations

import asyncio

from state import keys
from state.clock import ManualClock
from state.codec import encode
from state.listing import MOST, PAGE, pages, read_all
from state.memory import MemoryStore
from state.mirror import Mirror
from state.model import AgentId, Readiness, Wish
from state.store import Put, RangeResult
from tests.edge.virtual_time import in_virtual_time, until

AT_ONCE = 500


async def filled(count: int) -> MemoryStore:
    store = MemoryStore(ManualClock())
    wishes = [Wish(agent=AgentId(f"a{n:06d}"), readiness=Readiness.READY) for n in range(count)]
    puts = [Put(key=keys.wish(wish.agent), value=encode(wish)) for wish in wishes]
    for start in range(0, count, AT_ONCE):
        await store.txn((), puts[start : start + AT_ONCE])
    return store


async def test_pages_grow_so_that_a_large_center_is_read_in_few() -> None:
    store = await filled(5 * PAGE + 1)
    sizes = [len(page.records) async for page in pages(store, keys.STATE)]
    assert sizes == [PAGE, PAGE, 2 * PAGE, PAGE + 1]
    assert max(sizes) <= MOST


async def test_all_pages_are_of_one_moment() -> None:
    store = await filled(2 * PAGE + 1)
    found: list[RangeResult] = []
    async for page in pages(store, keys.STATE):
        found.append(page)
        late = Wish(agent=AgentId("z"), readiness=Readiness.READY)
        await store.txn((), (Put(key=keys.wish(late.agent), value=encode(late)),))
    assert {page.revision for page in found} == {found[0].revision}
    assert keys.wish(AgentId("z")) not in {record.key for page in found for record in page.records}
    assert len((await read_all(store, keys.STATE)).records) == 2 * PAGE + 2


@in_virtual_time
async def test_while_a_large_center_is_read_the_edge_goes_on() -> None:
    store = await filled(3 * PAGE)
    turns = 0
    mirror = Mirror(store, ManualClock())
    following = asyncio.create_task(mirror.run())

    while not mirror.snapshot.revision:
        turns += 1
        await asyncio.sleep(0)
    assert turns > 3 * PAGE / 250, "a turn for each few records"
    assert len(mirror.snapshot.wishes) == 3 * PAGE
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


class Counting(MemoryStore):
    """Counts what is read of it."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.listings = 0

    async def range(  # noqa: PLR0913 - the Store's own
        self,
        key: str,
        *,
        prefix: bool = False,
        after: str = "",
        revision: int = 0,
        limit: int = 0,
        keys_only: bool = False,
    ) -> RangeResult:
        """Read."""
        self.listings += prefix and keys_only and not after
        found = await super().range(
            key, prefix=prefix, after=after, revision=revision, limit=limit, keys_only=keys_only
        )
        if keys_only:
            # Something is written while the answer is on its way, as at every check under load.
            wish = Wish(agent=AgentId("busy"), readiness=Readiness.READY)
            await self.txn((), (Put(key=keys.wish(wish.agent), value=encode(wish)),))
            await asyncio.sleep(0.01)
        return found


@in_virtual_time
async def test_what_changes_during_a_check_is_no_reason_to_read_all_again() -> None:
    store = Counting()
    mirror = Mirror(store, ManualClock())
    following = asyncio.create_task(mirror.run())
    await until(lambda: mirror.counters.checks == 2, "two checks", within_s=60.0)
    assert store.listings == 2
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
