"""What the client keeps when members die, freeze, or are cut off."""

from __future__ import annotations

import asyncio
import signal
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from state.errors import CompactedError, OutcomeUnknownError, UnavailableError
from state.etcd import EtcdSettings, EtcdStore
from state.listing import read_all
from state.store import Absent, Get, Got, LeaseId, Put
from tests.state.cluster import Cluster, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from state.raw import Change
    from state.store import Store

pytestmark = pytest.mark.parts

PATIENCE_S = 20.0


async def answers(store: Store) -> bool:
    """Tell whether a member takes a request, waiting for one as long as the store does."""
    try:
        await store.range("anything")
    except UnavailableError:
        return False
    return True


async def test_an_expired_certificate_is_refused_and_a_new_one_taken_up_without_a_restart(
    cluster: Cluster,
) -> None:
    tls = cluster.authority.issue("rotated", is_expired=True)
    store = EtcdStore(cluster.addresses(), tls=tls, settings=EtcdSettings(total_s=1.0))
    try:
        assert not await answers(store)
        cluster.authority.issue("rotated")
        async with asyncio.timeout(PATIENCE_S):
            while not await answers(store):
                pass
    finally:
        await store.close()


@dataclass(slots=True)
class Writes:
    """What became of every write of one writer."""

    acked: dict[str, int] = field(default_factory=dict)
    """Key -> revision."""
    unknown: set[str] = field(default_factory=set)
    never_done: set[str] = field(default_factory=set)
    longest_gap_s: float = 0.0
    """Between two writes that succeeded."""


async def write_on(store: Store, root: str, writes: Writes) -> None:
    """Create keys one after the other, each only if absent, until cancelled."""
    loop = asyncio.get_running_loop()
    last_s = loop.time()
    number = 0
    while True:
        key = f"{root}{number:06}"
        number += 1
        try:
            done = await store.txn([Absent(key=key)], [Put(key=key, value=b"v" * 200)])
        except (OutcomeUnknownError, asyncio.CancelledError) as error:
            writes.unknown.add(key)
            if isinstance(error, asyncio.CancelledError):
                raise
            continue
        except UnavailableError:
            writes.never_done.add(key)
            continue
        assert done.succeeded, "a write was repeated"
        writes.acked[key] = done.revision
        writes.longest_gap_s = max(writes.longest_gap_s, loop.time() - last_s)
        last_s = loop.time()
        await asyncio.sleep(0.01)


async def read_on(store: Store, root: str, start: int, changes: list[Change]) -> None:
    """Take down what a watch tells, until cancelled."""
    async with aclosing(store.watch(root, start)) as batches:
        async for batch in batches:
            changes.extend(batch.changes)


@asynccontextmanager
async def open_store(
    cluster: Cluster, first: int = 0, settings: EtcdSettings | None = None
) -> AsyncIterator[EtcdStore]:
    store = cluster.store(first, settings)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def open_wire(cluster: Cluster) -> AsyncIterator[tuple[Wire, EtcdStore]]:
    """Give a store that reaches one member alone, over a wire that can be cut."""
    wire = Wire(cluster.servers[0])
    store = EtcdStore([await wire.start()], tls=cluster.tls)
    try:
        yield wire, store
    finally:
        await store.close()
        await wire.stop()


@asynccontextmanager
async def running(coroutine: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something beside the test; a fault in it is the test's."""
    task = asyncio.create_task(coroutine)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until `is_so()`; fail naming `what`."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():  # noqa: ASYNC110 - what it asks about has no event
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"waited {PATIENCE_S} s in vain for: {what}")


async def assert_nothing_lost(
    store: Store, root: str, writes: Writes, changes: list[Change]
) -> None:
    """Every key that is there was told once, in order; and every answer to a write was true.

    A write whose answer never came may still be done while this reads: what the watch tells of
    revisions after the listing's is not compared.
    """
    listing = await read_all(store, root)
    found = {record.key: record.mod_revision for record in listing.records}

    def told() -> list[Change]:
        return [change for change in changes if change.mod_revision <= listing.revision]

    await until(lambda: len(told()) >= len(found), "the last changes")
    revisions = [change.mod_revision for change in changes]
    assert revisions == sorted(set(revisions)), "told twice, or out of order"
    assert {change.key: change.mod_revision for change in told()} == found
    assert found.items() >= writes.acked.items(), "an acknowledged write is not there"
    assert not found.keys() & writes.never_done, "done, though it was said not to be"
    assert found.keys() <= writes.acked.keys() | writes.unknown


@pytest.mark.parametrize("fault", ["killed", "stopped"])
async def test_a_watch_loses_nothing_when_its_member_is(cluster: Cluster, fault: str) -> None:
    root = f"/faults/{uuid4().hex}/"
    changes: list[Change] = []
    writes = Writes()
    loop = asyncio.get_running_loop()
    async with open_store(cluster, first=0) as reader, open_store(cluster, first=1) as writer:
        start = (await reader.range(root)).revision + 1
        async with running(read_on(reader, root, start, changes)):
            async with running(write_on(writer, root, writes)):
                await until(lambda: len(changes) > 30, "the watch to work")
                if fault == "killed":
                    cluster.kill(0)
                else:
                    cluster.servers[0].signal(signal.SIGSTOP)
                broke_s = loop.time()
                await until(lambda: reader.watch_resumes == 1, "the fault to be noticed")
                noticed_s = loop.time() - broke_s
                seen = len(changes)
                await until(lambda: len(changes) > seen + 50, "the watch to go on")
            await assert_nothing_lost(writer, root, writes, changes)
    assert noticed_s < (1 if fault == "killed" else 4)


async def test_a_frozen_member_costs_one_deadline_and_no_more(cluster: Cluster) -> None:
    root = f"/faults/{uuid4().hex}/"
    loop = asyncio.get_running_loop()
    frozen = (cluster.wait_for_leader() + 1) % 3
    async with open_store(cluster, frozen) as reader, open_store(cluster, frozen) as writer:
        await reader.range(root)
        await writer.range(root)
        cluster.servers[frozen].signal(signal.SIGSTOP)
        start_s = loop.time()
        await reader.range(root)
        with pytest.raises(OutcomeUnknownError, match="read before asking again"):
            await writer.txn([], [Put(key=root, value=b"1")])
        assert loop.time() - start_s < 3.5, "more than one deadline each"
        start_s = loop.time()
        for _ in range(10):
            await reader.range(root)
            await writer.txn([], [Put(key=root, value=b"2")])
        assert loop.time() - start_s < 5, "more deadlines"
        cluster.servers[frozen].signal(signal.SIGCONT)
        await until(lambda: not reader.benched, "the thawed member to be used again")


async def test_writes_succeed_again_as_soon_as_there_is_a_new_leader(cluster: Cluster) -> None:
    root = f"/faults/{uuid4().hex}/"
    changes: list[Change] = []
    writes = Writes()
    async with open_store(cluster, cluster.wait_for_leader()) as store:
        start = (await store.range(root)).revision + 1
        async with running(read_on(store, root, start, changes)):
            async with running(write_on(store, root, writes)):
                await until(lambda: len(writes.acked) > 30, "the writes to work")
                leader = cluster.leader()
                assert leader is not None
                cluster.kill(leader)
                await until(lambda: cluster.leader() not in {None, leader}, "a new leader")
                seen = len(writes.acked)
                await until(lambda: len(writes.acked) > seen + 30, "the writes to go on")
            await assert_nothing_lost(store, root, writes, changes)
    # An election takes one to two seconds of it, and a request caught in it one deadline.
    assert writes.longest_gap_s < 5


async def test_without_a_quorum_nothing_is_done_and_all_is_said_so(cluster: Cluster) -> None:
    root = f"/faults/{uuid4().hex}/"
    changes: list[Change] = []
    writes = Writes()
    async with open_store(cluster, settings=EtcdSettings(total_s=1.0)) as store:
        start = (await store.range(root)).revision + 1
        watching = asyncio.create_task(read_on(store, root, start, changes))
        async with running(write_on(store, root, writes)):
            await until(lambda: len(changes) > 10, "the watch to work")
            cluster.kill(1, 2)
            with pytest.raises(UnavailableError, match="a majority of the members"):
                await asyncio.wait_for(watching, PATIENCE_S)
            await until(lambda: bool(writes.never_done), "a write to be refused")
            with pytest.raises(UnavailableError, match=cluster.servers[1].address):
                await store.range(root)
            cluster.start(1, 2)
            acked = len(writes.acked)
            await until(lambda: len(writes.acked) > acked + 10, "the writes to go on")
        async with running(read_on(store, root, changes[-1].mod_revision + 1, changes)):
            await assert_nothing_lost(store, root, writes, changes)


async def test_a_cut_in_the_middle_of_catching_up_loses_nothing(cluster: Cluster) -> None:
    root = f"/faults/{uuid4().hex}/"
    count, writers = 3000, 10
    changes: list[Change] = []
    async with open_wire(cluster) as (wire, reader):
        start = (await reader.range(root)).revision + 1

        async def write(numbers: range) -> None:
            # A store each: what one store is asked at once would share a revision.
            async with open_store(cluster) as writer:
                for number in numbers:
                    await writer.txn([], [Put(key=f"{root}{number:06}", value=b"v" * 200)])

        await asyncio.gather(*(write(range(each, count, writers)) for each in range(writers)))
        await reader.range(root)
        wire.cut_after = 400_000
        async with running(read_on(reader, root, start, changes)):
            await until(lambda: wire.cuts >= 1, "the cut")
            await until(lambda: len(changes) >= count, "all events")
        assert 1 <= wire.cuts == reader.watch_resumes
    assert [change.mod_revision for change in changes] == list(range(start, start + count))


async def test_transactions_asked_for_at_once_keep_each_its_own_conditions(
    cluster: Cluster,
) -> None:
    """They go to etcd in few requests; what each compares and does stays its own."""
    root = f"/faults/{uuid4().hex}/"
    async with open_store(cluster) as store:
        taken = [f"{root}{number}" for number in range(0, 60, 3)]
        await store.txn([], [Put(key=key, value=b"old") for key in taken[:10]])
        await store.txn([], [Put(key=key, value=b"old") for key in taken[10:]])

        async def create(number: int) -> bool:
            key = f"{root}{number}"
            put = Put(key=key, value=b"new")
            done = await store.txn([Absent(key=key)], [put], [Get(key=key)])
            if not done.succeeded:
                (found,) = done.responses
                assert isinstance(found, Got)
                assert found.record is not None
                assert found.record.value == b"old"
            return done.succeeded

        landed = await asyncio.gather(*(create(number) for number in range(60)))
        assert landed == [number % 3 != 0 for number in range(60)]
        twice = await asyncio.gather(
            *(store.txn([Absent(key=f"{root}x")], [Put(key=f"{root}x", value=b"")]) for _ in "123")
        )
        assert sorted(each.succeeded for each in twice) == [False, False, True]
        listing = await read_all(store, root)
        assert sum(record.value == b"new" for record in listing.records) == 40


async def test_a_watch_cut_off_past_a_compaction_says_so(cluster: Cluster) -> None:
    root = f"/faults/{uuid4().hex}/"
    changes: list[Change] = []
    async with open_store(cluster) as writer, open_wire(cluster) as (wire, reader):
        start = (await writer.txn([], [Put(key=root, value=b"1")])).revision
        watching = asyncio.create_task(read_on(reader, root, start, changes))
        await until(lambda: bool(changes), "the watch to work")
        wire.cut()
        await writer.txn([], [Put(key=root, value=b"2")])
        last = (await writer.txn([], [Put(key=root, value=b"3")])).revision
        await writer.compact(last)
        wire.mend()
        with pytest.raises(CompactedError) as caught:
            await asyncio.wait_for(watching, PATIENCE_S)
        assert (caught.value.asked, caught.value.kept_from) == (start + 1, last)


async def test_a_grant_whose_answer_was_lost_is_found_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("state.etcd.store.secrets.randbits", lambda _bits: 4711)
    async with open_store(cluster) as store:
        assert await store.lease_grant(5) == await store.lease_grant(5) == 4712
        await store.lease_revoke(LeaseId(4712))


async def test_a_stranger_is_refused_in_one_line(cluster: Cluster) -> None:
    store = EtcdStore(cluster.addresses(), settings=EtcdSettings(total_s=1.0))
    try:
        with pytest.raises(UnavailableError, match="no etcd member is usable") as caught:
            await store.range("a")
    finally:
        await store.close()
    assert "\n" not in str(caught.value)
