"""The lease: kept while this process lives, whatever else it has to say, and given back."""

from __future__ import annotations

import asyncio

from edge.duties.life import LEASE_S, Life
from state.codec import decode
from state.memory import MemoryStore
from state.model import EdgeId, EdgeLife, EdgeState, Probe, SiteId
from state.store import RangeResult
from tests.edge.troubled import TroubledStore
from tests.edge.virtual_time import LoopClock, in_virtual_time, until

A1 = EdgeId("a1")
KEY, PROBE_KEY = "/everline/state/edge/a1", "/everline/state/probe/a1"


class Stage:
    """One edge's life on a store that can be in trouble."""

    def __init__(self) -> None:
        clock = LoopClock()
        self.store = TroubledStore(MemoryStore(clock))
        self.life = Life(
            store=self.store, clock=clock, edge=A1, site=SiteId("a"), sip="198.18.1.10:5081"
        )
        self.leases = 0
        self.task = asyncio.create_task(self.life.run(self._leased))

    def _leased(self) -> None:
        self.leases += 1

    async def there(self, key: str = KEY) -> RangeResult:
        """Return what stands at a key of this edge."""
        return await self.store.inner.range(key)

    async def is_there(self) -> bool:
        """Tell whether the edge is seen to live."""
        return bool((await self.there()).records)

    async def end(self) -> None:
        """Die."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@in_virtual_time
async def test_an_edge_that_lives_is_seen_to_live() -> None:
    stage = Stage()
    for _ in range(10 * LEASE_S):
        await asyncio.sleep(1.0)
        assert await stage.is_there()
    assert stage.leases == 1
    await stage.end()
    await asyncio.sleep(LEASE_S + 1)
    assert not await stage.is_there()


@in_virtual_time
async def test_an_edge_that_has_much_to_say_keeps_its_lease_all_the_same() -> None:
    stage = Stage()
    for number in range(100):
        stage.life.set_probe(Probe(edge=A1, up=(SiteId(f"s{number}"),), down=()))
        await asyncio.sleep(0.4)
        assert await stage.is_there(), number
    assert stage.leases == 1
    await stage.end()


@in_virtual_time
async def test_a_lease_that_ran_out_is_replaced_at_once_with_all_that_stood_under_it() -> None:
    stage = Stage()
    stage.life.set_probe(Probe(edge=A1, up=(), down=(SiteId("b"),)))
    stage.life.set_state(EdgeState.DRAINING)
    await asyncio.sleep(1)
    stage.store.is_away = True
    await asyncio.sleep(LEASE_S + 2)
    assert not await stage.is_there()
    stage.store.is_away = False
    await asyncio.sleep(0.7)
    found = (await stage.there()).records
    assert decode(EdgeLife, found[0].value, KEY).state is EdgeState.DRAINING
    assert (await stage.there(PROBE_KEY)).records
    assert stage.leases == 2
    await stage.end()


@in_virtual_time
async def test_a_store_that_is_away_at_the_start_is_waited_for() -> None:
    stage = Stage()
    stage.store.is_away = True
    await asyncio.sleep(30)
    stage.store.is_away = False
    await asyncio.sleep(0.5)
    assert await stage.is_there()
    assert stage.leases == 1
    await stage.end()


@in_virtual_time
async def test_a_lease_whose_record_could_not_be_written_at_first_is_told_when_it_stands() -> None:
    stage = Stage()
    stage.store.loses_requests = 2
    await asyncio.sleep(2)
    assert await stage.is_there()
    assert stage.leases == 1
    await stage.end()


@in_virtual_time
async def test_an_edge_that_leaves_is_gone_and_does_not_come_back() -> None:
    stage = Stage()
    await asyncio.sleep(1)
    await stage.life.end()
    assert not await stage.is_there()
    for _ in range(20):
        await asyncio.sleep(0.5)
        assert not await stage.is_there()
    await stage.end()


@in_virtual_time
async def test_leaving_while_the_store_is_away_does_not_take_for_ever() -> None:
    stage = Stage()
    await asyncio.sleep(1)
    stage.store.is_away = True
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await stage.life.end()
    assert loop.time() - began_s < 1.5
    await stage.end()


@in_virtual_time
async def test_draining_is_said_at_once() -> None:
    stage = Stage()
    await asyncio.sleep(1)
    stage.life.set_state(EdgeState.DRAINING)
    await until(lambda: stage.life.state is EdgeState.DRAINING)
    await asyncio.sleep(0.01)
    found = (await stage.there()).records
    assert decode(EdgeLife, found[0].value, KEY).state is EdgeState.DRAINING
    await stage.end()


@in_virtual_time
async def test_which_version_it_goes_by_is_told_at_once_and_only_when_it_changes() -> None:
    stage = Stage()
    await asyncio.sleep(0.01)
    for version in (7, 7, 8, 7):
        stage.life.set_applied(version)
        stage.life.set_state(stage.life.state)
        await asyncio.sleep(0.01)
        (record,) = (await stage.there()).records
        assert decode(EdgeLife, record.value, KEY).applied == version
    await stage.end()


@in_virtual_time
async def test_an_edge_that_could_not_be_heard_of_for_a_while_says_that_it_lives() -> None:
    """Others may have taken it for silent; that a lease is kept, nobody sees."""
    stage = Stage()
    await asyncio.sleep(5)
    before = (await stage.there()).records[0].mod_revision
    await asyncio.sleep(5)
    assert (await stage.there()).records[0].mod_revision == before
    stage.store.is_away = True
    await asyncio.sleep(3)
    stage.store.is_away = False
    await asyncio.sleep(0.5)
    assert (await stage.there()).records[0].mod_revision > before
    assert stage.leases == 1
    await stage.end()


@in_virtual_time
async def test_who_of_the_site_has_not_merged_is_told_with_the_lease_and_taken_back() -> None:
    stage = Stage()
    stage.store.is_away = True
    stage.life.set_alone({EdgeId("a2"), A1})
    await asyncio.sleep(LEASE_S + 2)
    assert not await stage.is_there()
    stage.store.is_away = False
    await until(lambda: stage.leases == 1, "a lease stands")
    (found,) = (await stage.there()).records
    assert decode(EdgeLife, found.value, KEY).alone == (A1, EdgeId("a2"))
    stage.life.set_alone(())
    await asyncio.sleep(1.0)
    (found,) = (await stage.there()).records
    assert decode(EdgeLife, found.value, KEY).alone == ()
    await stage.end()
