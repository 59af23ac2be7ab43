"""Real members whose quota of space is used up: what they say, what they do, how room is made."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from state.errors import OutcomeUnknownError, StoreFullError, UnavailableError
from state.etcd import EtcdStore
from state.etcd.upkeep import Upkeep
from state.listing import read_all
from state.store import Absent, Delete, Exists, Get, Put
from tests.state.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = [pytest.mark.parts, pytest.mark.longer(30)]

QUOTA_BYTES = 16 << 20
BIG = b"v" * 200_000
FILL = "/everline/fill/"
PATIENCE_S = 20.0


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster.make(tmp_path_factory.mktemp("small"), quota_bytes=QUOTA_BYTES)
    try:
        made.start()
        made.wait_for_leader()
        yield made
    finally:
        made.stop()


@pytest.fixture
async def store(small: Cluster) -> AsyncIterator[EtcdStore]:
    made = small.store()
    yield made
    await made.close()


@pytest.fixture
async def upkeep(small: Cluster) -> AsyncIterator[Upkeep]:
    made = Upkeep(small.addresses(), tls=small.tls)
    yield made
    await made.close()


async def fill(cluster: Cluster) -> None:
    """Write until that is refused, each writer by a connection of its own, so that none joins."""
    is_full = False

    async def write_on(writer: int) -> None:
        nonlocal is_full
        number, store = 0, cluster.store(writer % 3)
        try:
            while not is_full:
                key = f"{FILL}{writer}-{number:04}"
                number += 1
                try:
                    await store.txn([Absent(key=key)], [Put(key=key, value=BIG)])
                except StoreFullError:
                    is_full = True
                except (UnavailableError, OutcomeUnknownError):
                    continue  # a slow machine
        finally:
            await store.close()

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*map(write_on, range(4)))


async def test_a_full_store_reads_deletes_and_keeps_leases_and_takes_no_write(
    small: Cluster, store: EtcdStore
) -> None:
    lease = await store.lease_grant(8)
    await store.txn((), (Put(key="life", value=b"", lease=lease),))
    await store.txn((), (Put(key="a", value=b""),))
    await fill(small)
    # The alarm is raised beside the answer to the write that came to the quota.
    while not (await store.space()).is_full:
        await store.takes_writes()
    assert not await store.takes_writes()
    for compares, success, failure in (
        ((), [Put(key="b", value=b"")], ()),
        ([Exists(key="b")], [Put(key="b", value=b"")], ()),
        ([Exists(key="b")], [], [Put(key="b", value=b"")]),
    ):
        with pytest.raises(StoreFullError):
            await store.txn(compares, success, failure)
    with pytest.raises(StoreFullError):
        await store.lease_grant(8)
    assert await store.lease_keepalive(lease) == 8
    assert (await store.txn((), [Get(key="life")])).succeeded
    revision = (await store.txn((), [Delete(key="a")])).revision
    async with asyncio.timeout(PATIENCE_S), aclosing(store.watch("a", revision)) as batches:
        batch = await anext(batches)
    assert [each.key for each in batch.changes] == ["a"]


async def test_room_is_made_by_compacting_defragmenting_and_disarming(
    small: Cluster, store: EtcdStore, upkeep: Upkeep
) -> None:
    await fill(small)
    for record in (await read_all(store, FILL, keys_only=True)).records:
        await store.txn((), [Delete(key=record.key)])
    await upkeep.compact(await upkeep.revision(upkeep.addresses[0]))
    await upkeep.disarm()
    assert not await store.takes_writes(), "compacted, but the files are as large as before"
    for address in upkeep.addresses:
        await upkeep.defragment(address)
    await upkeep.disarm()
    async with asyncio.timeout(PATIENCE_S):
        while not await _is_written(store):  # noqa: ASYNC110 - real members
            await asyncio.sleep(0.1)
    spaces = [await upkeep.space(address) for address in upkeep.addresses]
    assert all(each.size_bytes < QUOTA_BYTES / 4 and not each.is_full for each in spaces)
    assert sum([await upkeep.leads(address) for address in upkeep.addresses]) == 1


async def _is_written(store: EtcdStore) -> bool:
    try:
        return await store.takes_writes()
    except UnavailableError:
        return False


async def test_who_leads_hands_that_over_before_it_is_busy_with_itself(
    small: Cluster, upkeep: Upkeep
) -> None:
    number = small.wait_for_leader()
    leader, other = small.addresses(number)[:2]
    await upkeep.hand_over(leader, other)
    async with asyncio.timeout(PATIENCE_S):
        while not await upkeep.leads(other):  # noqa: ASYNC110 - real members
            await asyncio.sleep(0.1)
    assert not await upkeep.leads(leader)


async def test_a_drill_can_have_a_store_that_has_room_refuse_as_a_full_one_does(
    store: EtcdStore, upkeep: Upkeep
) -> None:
    assert await store.takes_writes()
    await upkeep.arm()
    assert (await store.space()).is_full
    assert not await store.takes_writes()
    assert await upkeep.disarm() == 1
    assert await store.takes_writes()
    assert not (await store.space()).is_full
