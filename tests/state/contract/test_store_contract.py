"""What every Store does; run against memory and against real etcd."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from state.clock import ManualClock
from state.errors import (
    CompactedError,
    FutureRevisionError,
    LeaseGoneError,
    RejectedError,
)
from state.memory import MemoryStore
from state.raw import Change
from state.store import (
    Absent,
    Compare,
    CreatedAt,
    Delete,
    Deleted,
    Exists,
    Get,
    Got,
    ModIs,
    Nested,
    Put,
    PutDone,
    Store,
    TxnResult,
    ValueIs,
    WatchBatch,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.state.cluster import Cluster

PATIENCE_S = 8.0


@dataclass(slots=True)
class World:
    """A store with a corner of its own, and how time passes and history is forgotten there."""

    store: Store
    root: str
    compact: Callable[[int], Awaitable[None]]
    pass_time: Callable[[], None]
    """Called again and again while waiting for a lease to end."""

    def key(self, name: str) -> str:
        """Return a key in this test's corner."""
        return f"{self.root}{name}"

    async def put(self, name: str, value: bytes = b"x") -> int:
        """Write a key and return the revision."""
        return (await self.store.txn([], [Put(key=self.key(name), value=value)])).revision

    async def delete(self, name: str) -> int:
        """Delete a key and return the revision."""
        return (await self.store.txn([], [Delete(key=self.key(name))])).revision

    async def names(self) -> list[str]:
        """Return the names of the keys in this corner."""
        found = await self.store.range(self.root, prefix=True)
        return [record.key.removeprefix(self.root) for record in found.records]

    async def watch(self, from_revision: int, count: int) -> list[Change]:
        """Return the next `count` changes in this corner."""
        changes: list[Change] = []
        async with (
            asyncio.timeout(PATIENCE_S),
            aclosing(self.store.watch(self.root, from_revision)) as batches,
        ):
            async for batch in batches:
                changes.extend(batch.changes)
                if len(changes) >= count:
                    return changes
        raise AssertionError("the watch ended")


@pytest.fixture(params=["memory", pytest.param("etcd", marks=pytest.mark.parts)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    root = f"/contract/{uuid4().hex}/"
    if request.param == "memory":
        clock = ManualClock()
        store = MemoryStore(clock, heartbeat_s=0.05)

        async def compact(revision: int) -> None:
            store.compact(revision)

        def pass_time() -> None:
            clock.advance(0.5)
            store.tick()

        yield World(store, root, compact, pass_time)
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    etcd = cluster.store()
    yield World(etcd, root, etcd.compact, lambda: None)
    await etcd.close()


# ---- transactions --------------------------------------------------------------------------------


async def test_all_of_a_transaction_stands_at_one_revision(world: World) -> None:
    a, b = world.key("a"), world.key("b")
    done = await world.store.txn([], [Put(key=a, value=b"1"), Put(key=b, value=b"2")])
    assert done.succeeded
    assert done.responses == (PutDone(), PutDone())
    found = await world.store.range(world.root, prefix=True)
    assert [(r.key, r.value, r.create_revision, r.mod_revision) for r in found.records] == [
        (a, b"1", done.revision, done.revision),
        (b, b"2", done.revision, done.revision),
    ]


async def test_a_rewrite_keeps_the_creation_and_counts_versions(world: World) -> None:
    created = await world.put("a", b"1")
    changed = await world.put("a", b"2")
    (record,) = (await world.store.range(world.key("a"))).records
    assert (record.create_revision, record.mod_revision, record.version) == (created, changed, 2)
    await world.delete("a")
    again = await world.put("a", b"3")
    (record,) = (await world.store.range(world.key("a"))).records
    assert (record.create_revision, record.mod_revision, record.version) == (again, again, 1)


async def _conditions(world: World) -> list[tuple[Compare, bool]]:
    created = await world.put("there", b"old")
    changed = await world.put("there", b"new")
    there, missing = world.key("there"), world.key("missing")
    return [
        (ModIs(key=there, mod_revision=changed), True),
        (ModIs(key=there, mod_revision=created), False),
        (ModIs(key=missing, mod_revision=0), True),
        (ModIs(key=there, mod_revision=0), False),
        (CreatedAt(key=there, create_revision=created), True),
        (CreatedAt(key=there, create_revision=changed), False),
        (Absent(key=missing), True),
        (Absent(key=there), False),
        (Exists(key=there), True),
        (Exists(key=missing), False),
        (ValueIs(key=there, value=b"new"), True),
        (ValueIs(key=there, value=b"old"), False),
        (ValueIs(key=missing, value=b""), False),
    ]


async def test_each_condition_holds_when_it_says_so(world: World) -> None:
    for compare, expected in await _conditions(world):
        done = await world.store.txn([compare], [])
        assert done.succeeded is expected, compare


async def test_one_failed_condition_turns_to_the_other_operations(world: World) -> None:
    await world.put("a", b"1")
    done = await world.store.txn(
        [Exists(key=world.key("a")), Absent(key=world.key("a"))],
        [Put(key=world.key("b"), value=b"never")],
        [Get(key=world.key("a")), Get(key=world.key("b")), Delete(key=world.key("a"))],
    )
    assert not done.succeeded
    first, second, third = done.responses
    assert isinstance(first, Got)
    assert first.record is not None
    assert first.record.value == b"1"
    assert second == Got(record=None)
    assert third == Deleted(count=1)
    assert await world.names() == []


@pytest.mark.parametrize("stands", [False, True])
async def test_where_a_condition_fails_a_nested_transaction_may_be_tried(
    world: World, *, stands: bool
) -> None:
    wanted, key = world.key("agent"), world.key("place")
    await world.put("agent")
    if stands:
        await world.put("place", b"another's")
    other = Nested(
        compares=(Absent(key=key),),
        success=(Put(key=key, value=b"alone"),),
        failure=(Get(key=key),),
    )
    done = await world.store.txn(
        [Absent(key=wanted), Absent(key=key)],
        [Put(key=wanted, value=b"1"), Put(key=key, value=b"both")],
        [other],
    )
    (record,) = (await world.store.range(key)).records
    (nested,) = done.responses
    assert isinstance(nested, TxnResult)
    assert (done.succeeded, nested.succeeded) == (False, not stands)
    assert nested.revision == done.revision
    if stands:
        assert nested.responses == (Got(record=record),)
    else:
        assert (record.value, record.create_revision) == (b"alone", done.revision)


async def test_a_nested_transaction_is_left_alone_where_the_conditions_hold(world: World) -> None:
    key = world.key("place")
    other = Nested(compares=(), success=(Put(key=key, value=b"alone"),))
    done = await world.store.txn([Absent(key=key)], [Put(key=key, value=b"both")], [other])
    (record,) = (await world.store.range(key)).records
    assert done.succeeded
    assert record.value == b"both"


async def test_of_many_who_create_a_key_one_succeeds(world: World) -> None:
    key = world.key("offer")
    done = await asyncio.gather(
        *(
            world.store.txn([Absent(key=key)], [Put(key=key, value=b"%d" % n)], [Get(key=key)])
            for n in range(20)
        )
    )
    (winner,) = (n for n, result in enumerate(done) if result.succeeded)
    (record,) = (await world.store.range(key)).records
    assert record.value == b"%d" % winner
    assert record.mod_revision == done[winner].revision


async def test_a_transaction_that_writes_nothing_makes_no_revision(world: World) -> None:
    before = await world.put("a")
    done = await world.store.txn([], [Get(key=world.key("a")), Delete(key=world.key("b"))])
    assert done.responses[1] == Deleted(count=0)
    assert done.revision == before


async def test_a_key_written_twice_is_refused_and_nothing_is_done(world: World) -> None:
    key = world.key("a")
    with pytest.raises(RejectedError):
        await world.store.txn([], [Put(key=key, value=b"1"), Put(key=key, value=b"2")])
    with pytest.raises(RejectedError):
        await world.store.txn([], [Put(key=key, value=b"1"), Delete(key=key)])
    assert await world.names() == []


# ---- reading -------------------------------------------------------------------------------------


async def test_a_range_without_prefix_finds_that_key_alone(world: World) -> None:
    await world.put("a")
    await world.put("ab")
    assert [r.key for r in (await world.store.range(world.key("a"))).records] == [world.key("a")]
    assert not (await world.store.range(world.key("b"))).records


async def test_a_prefix_is_read_in_order_and_in_pages(world: World) -> None:
    for name in ("c", "a", "e", "b", "d"):
        await world.put(name)
    first = await world.store.range(world.root, prefix=True, limit=3)
    rest = await world.store.range(
        world.root, prefix=True, after=first.records[-1].key, revision=first.revision, limit=3
    )
    names = [record.key.removeprefix(world.root) for record in first.records + rest.records]
    assert names == ["a", "b", "c", "d", "e"]
    assert (first.more, rest.more) == (True, False)


async def test_keys_alone_come_with_their_revisions(world: World) -> None:
    revision = await world.put("a", b"value")
    (record,) = (await world.store.range(world.root, prefix=True, keys_only=True)).records
    assert (record.value, record.mod_revision) == (b"", revision)


async def test_the_past_can_be_read_until_it_is_compacted(world: World) -> None:
    first = await world.put("a", b"1")
    await world.put("b", b"1")
    last = await world.delete("a")
    then = await world.store.range(world.root, prefix=True, revision=first)
    assert [(r.key, r.value) for r in then.records] == [(world.key("a"), b"1")]
    assert then.revision >= last
    await world.compact(last)
    with pytest.raises(CompactedError, match=f"revision {first} has been compacted"):
        await world.store.range(world.root, prefix=True, revision=first)
    now = await world.store.range(world.root, prefix=True, revision=last)
    assert [record.key for record in now.records] == [world.key("b")]


async def test_the_future_cannot_be_read(world: World) -> None:
    revision = await world.put("a")
    with pytest.raises(FutureRevisionError):
        await world.store.range(world.root, prefix=True, revision=revision + 1000)


# ---- watching ------------------------------------------------------------------------------------


async def test_a_watch_tells_what_was_written_before_and_after_it_stood(world: World) -> None:
    first = await world.put("a", b"1")
    second = await world.put("a", b"2")
    third = await world.delete("a")
    watching = asyncio.create_task(world.watch(first, 4))
    await asyncio.sleep(0)
    fourth = await world.put("b", b"3")
    a, b = world.key("a"), world.key("b")
    assert await watching == [
        Change(key=a, value=b"1", create_revision=first, mod_revision=first),
        Change(key=a, value=b"2", create_revision=first, mod_revision=second),
        Change(key=a, value=None, create_revision=0, mod_revision=third),
        Change(key=b, value=b"3", create_revision=fourth, mod_revision=fourth),
    ]


async def test_a_watch_tells_nothing_of_other_prefixes(world: World) -> None:
    start = await world.put("in/a")
    await world.put("inner")
    await world.put("out")
    await world.put("in/b")
    inside = World(world.store, world.key("in/"), world.compact, world.pass_time)
    changes = await inside.watch(start, 2)
    assert [change.key for change in changes] == [world.key("in/a"), world.key("in/b")]


async def test_a_transaction_is_never_told_in_parts(world: World) -> None:
    puts = [Put(key=world.key(f"{n:03}"), value=b"v" * 100) for n in range(100)]
    done = await world.store.txn([], puts)
    async with (
        asyncio.timeout(PATIENCE_S),
        aclosing(world.store.watch(world.root, done.revision)) as batches,
    ):
        async for batch in batches:
            if batch.changes:
                assert len(batch.changes) == 100
                assert batch.revision == done.revision
                return


async def test_a_silent_watch_says_that_it_lives(world: World) -> None:
    revision = await world.put("a")
    async with (
        asyncio.timeout(PATIENCE_S),
        aclosing(world.store.watch(world.root, revision + 1)) as batches,
    ):
        signs = [await anext(batches), await anext(batches)]
    assert signs == [WatchBatch(revision=revision, changes=())] * 2


async def test_a_watch_from_a_forgotten_revision_says_so(world: World) -> None:
    first = await world.put("a", b"1")
    last = await world.put("a", b"2")
    await world.compact(last)
    with pytest.raises(CompactedError) as caught:
        await world.watch(first, 2)
    assert (caught.value.asked, caught.value.kept_from) == (first, last)


async def test_a_watch_from_the_oldest_revision_kept_is_whole(world: World) -> None:
    await world.put("a", b"1")
    last = await world.put("a", b"2")
    await world.compact(last)
    assert [change.mod_revision for change in await world.watch(last, 1)] == [last]


async def test_a_watch_begins_at_a_revision(world: World) -> None:
    with pytest.raises(RejectedError):
        await world.watch(0, 1)


# ---- leases --------------------------------------------------------------------------------------


async def test_a_key_goes_with_its_lease_and_the_watch_tells(world: World) -> None:
    lease = await world.store.lease_grant(5)
    put = Put(key=world.key("edge"), value=b"1", lease=lease)
    born = (await world.store.txn([], [put, Put(key=world.key("other"), value=b"")])).revision
    assert await world.store.lease_keepalive(lease) == 5
    await world.store.lease_revoke(lease)
    assert await world.names() == ["other"]
    changes = await world.watch(born + 1, 1)
    assert [(change.key, change.value) for change in changes] == [(world.key("edge"), None)]


async def test_a_lease_that_nobody_keeps_ends(world: World) -> None:
    lease = await world.store.lease_grant(1)
    await world.store.txn([], [Put(key=world.key("edge"), value=b"1", lease=lease)])
    async with asyncio.timeout(PATIENCE_S):
        while await world.names():
            world.pass_time()
            await asyncio.sleep(0.05)
    with pytest.raises(LeaseGoneError):
        await world.store.lease_keepalive(lease)


async def test_a_key_written_again_without_its_lease_outlives_it(world: World) -> None:
    lease = await world.store.lease_grant(5)
    await world.store.txn([], [Put(key=world.key("edge"), value=b"1", lease=lease)])
    await world.put("edge", b"2")
    await world.store.lease_revoke(lease)
    assert await world.names() == ["edge"]


async def test_a_write_under_an_ended_lease_does_nothing(world: World) -> None:
    lease = await world.store.lease_grant(5)
    await world.store.lease_revoke(lease)
    put = Put(key=world.key("edge"), value=b"1", lease=lease)
    with pytest.raises(LeaseGoneError):
        await world.store.txn([], [Put(key=world.key("a"), value=b""), put])
    assert await world.names() == []


async def test_an_ended_lease_may_be_ended_again(world: World) -> None:
    lease = await world.store.lease_grant(5)
    await world.store.lease_revoke(lease)
    await world.store.lease_revoke(lease)


async def test_two_leases_are_two(world: World) -> None:
    assert await world.store.lease_grant(5) != await world.store.lease_grant(5)


async def test_a_lease_without_length_is_refused(world: World) -> None:
    with pytest.raises(RejectedError):
        await world.store.lease_grant(0)
