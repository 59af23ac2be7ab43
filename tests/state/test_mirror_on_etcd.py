"""The mirror against real members that die, are cut off, and forget."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from state import keys
from state.clock import SystemClock
from state.codec import encode
from state.etcd import EtcdStore
from state.listing import read_all
from state.mirror import Mirror, MirrorSettings, MirrorState
from state.model import AgentId, Readiness, Wish
from state.store import Delete, Put
from tests.state.cluster import Cluster, Wire
from tests.state.revisions import revisions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from state.store import Store

pytestmark = pytest.mark.parts

PATIENCE_S = 30.0
SETTINGS = MirrorSettings(check_every_s=1.0, grace_s=0.5)


def put(name: str, reason: str = "") -> Put:
    agent = AgentId(name)
    wish = Wish(agent=agent, readiness=Readiness.READY, reason=reason)
    return Put(key=keys.wish(agent), value=encode(wish))


async def clean(store: Store) -> None:
    """Delete everything that a test before this one left."""
    listing = await read_all(store, keys.STATE, keys_only=True)
    for record in listing.records:
        await store.txn([], [Delete(key=record.key)])


@asynccontextmanager
async def mirrored(store: Store) -> AsyncIterator[Mirror]:
    """Run a mirror on a store; it must live to the end."""
    mirror = Mirror(store, SystemClock(), settings=SETTINGS)
    task = asyncio.create_task(mirror.run())
    try:
        await until(lambda: mirror.state is MirrorState.LIVE)
        yield mirror
        assert not task.done(), "the mirror died"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - counters have no event
            await asyncio.sleep(0.02)


async def assert_same(mirror: Mirror, store: Store) -> None:
    """Wait until the mirror holds what the store does."""
    listing = await read_all(store, keys.STATE, keys_only=True)
    wanted = revisions(listing.records)
    await mirror.wait_until(lambda snapshot: revisions(snapshot) == wanted, PATIENCE_S)


async def test_a_mirror_loses_nothing_when_its_member_is_killed_under_writes(
    cluster: Cluster,
) -> None:
    own, other = cluster.store(0), cluster.store(1)
    await clean(other)
    async with mirrored(own) as mirror:
        for number in range(400):
            if number == 100:
                cluster.kill(0)
            name = f"agent{number % 50}"
            operation = Delete(key=keys.wish(AgentId(name))) if number % 7 == 0 else put(name)
            # Killing the leader leaves an outcome open: the mirror follows, whatever it was.
            await asyncio.gather(other.txn([], [operation]), return_exceptions=True)
        await assert_same(mirror, other)
        assert (mirror.counters.lists, mirror.counters.healed) == (1, 0)
        assert own.watch_resumes == 1
    await own.close()
    await other.close()


async def test_without_a_quorum_a_mirror_goes_stale_and_comes_back(cluster: Cluster) -> None:
    store = cluster.store(0)
    await clean(store)
    await store.txn([], [put("anna")])
    async with mirrored(store) as mirror:
        await mirror.wait_until(lambda s: "anna" in s.wishes, PATIENCE_S)
        cluster.kill(1, 2)
        await until(lambda: mirror.state is MirrorState.STALE)
        assert list(mirror.snapshot.wishes) == ["anna"]
        cluster.start(1, 2)
        await until(lambda: mirror.state is MirrorState.LIVE)
        await store.txn([], [put("bert")])
        await mirror.wait_until(lambda s: "bert" in s.wishes, PATIENCE_S)
        await assert_same(mirror, store)
        assert mirror.counters.healed == 0
    await store.close()


async def test_cut_off_past_a_compaction_a_mirror_lists_again(cluster: Cluster) -> None:
    writer = cluster.store(1)
    wire = Wire(cluster.servers[0])
    reader = EtcdStore([await wire.start()], tls=cluster.tls)
    await clean(writer)
    await writer.txn([], [put("anna"), put("bert")])
    async with mirrored(reader) as mirror:
        await mirror.wait_until(lambda s: len(s.wishes) == 2, PATIENCE_S)
        wire.cut()
        await writer.txn([], [Delete(key=keys.wish(AgentId("anna")))])
        await writer.txn([], [put("bert", "back")])
        last = (await writer.txn([], [put("cleo")])).revision
        await writer.compact(last)
        wire.mend()
        await mirror.wait_until(lambda s: set(s.wishes) == {"bert", "cleo"}, PATIENCE_S)
        assert mirror.snapshot.wishes[AgentId("bert")].value.reason == "back"
        await assert_same(mirror, writer)
        assert mirror.counters.compactions == 1
    await reader.close()
    await wire.stop()
    await writer.close()
