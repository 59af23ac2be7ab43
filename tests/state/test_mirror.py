from __future__ import annotations

import asyncio
import math
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from state import keys
from state.clock import ManualClock, SystemClock
from state.codec import encode
from state.memory import MemoryStore
from state.mirror import DiskCopy, Mirror, MirrorSettings, MirrorState
from state.model import AgentId, Now, Readiness, Wish
from state.snapshot import Delta, Snapshot
from state.store import Delete, Put, RangeResult
from tests.state.flaky import FlakyStore
from tests.state.revisions import revisions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENCE_S = 5.0
QUICK = MirrorSettings(
    check_every_s=0.05, grace_s=0.05, retry_s=0.01, retry_max_s=0.02, save_every_s=0.02
)
CALM = replace(QUICK, check_every_s=3600.0)


def wish(name: str, readiness: Readiness = Readiness.READY) -> Wish:
    return Wish(agent=AgentId(name), readiness=readiness)


@dataclass(slots=True)
class World:
    """A mirror on a flaky store in memory."""

    clock: ManualClock
    memory: MemoryStore
    store: FlakyStore
    mirror: Mirror

    async def put(self, name: str, readiness: Readiness = Readiness.READY) -> int:
        """Write an agent's wish behind the flaky store's back."""
        put = Put(key=keys.wish(AgentId(name)), value=encode(wish(name, readiness)))
        return (await self.memory.txn([], [put])).revision

    async def put_raw(self, key: str, value: bytes) -> int:
        """Write any bytes."""
        return (await self.memory.txn([], [Put(key=key, value=value)])).revision

    async def delete(self, name: str) -> int:
        """Delete an agent's wish."""
        return (await self.memory.txn([], [Delete(key=keys.wish(AgentId(name)))])).revision

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something that the mirror does."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():  # noqa: ASYNC110 - counters have no event
                await asyncio.sleep(0.005)

    async def is_same(self) -> bool:
        """Whether the mirror holds what the store does."""
        found = await self.memory.range(keys.STATE, prefix=True)
        return revisions(self.mirror.snapshot) == revisions(found.records)

    def names(self) -> list[str]:
        """Return whose wishes the mirror holds."""
        return sorted(self.mirror.snapshot.wishes)


def make_world(settings: MirrorSettings = CALM, disk: DiskCopy | None = None) -> World:
    clock = ManualClock()
    memory = MemoryStore(clock, heartbeat_s=0.02)
    store = FlakyStore(memory)
    return World(clock, memory, store, Mirror(store, clock, disk=disk, settings=settings))


@asynccontextmanager
async def running(mirror: Mirror) -> AsyncIterator[None]:
    task = asyncio.create_task(mirror.run())
    try:
        yield
        assert not task.done(), "the mirror died"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# ---- following -----------------------------------------------------------------------------------


async def test_it_lists_then_follows() -> None:
    world = make_world()
    await world.put("anna")
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: "anna" in s.wishes, PATIENCE_S)
        assert world.mirror.state is MirrorState.LIVE
        revision = await world.put("bert")
        await world.delete("anna")
        snapshot = await world.mirror.wait_until(lambda s: "anna" not in s.wishes, PATIENCE_S)
        assert snapshot.revision == revision + 1
        assert world.names() == ["bert"]
        assert world.mirror.counters.lists == 1


async def test_who_waits_for_the_list_is_told_when_the_whole_state_has_been_read() -> None:
    world = make_world()
    await world.put("anna")
    waiting = asyncio.create_task(world.mirror.wait_for_list())
    await asyncio.sleep(0)
    assert not waiting.done()
    async with running(world.mirror), asyncio.timeout(PATIENCE_S):
        await waiting
        assert world.names() == ["anna"]
        await world.mirror.wait_for_list()


async def test_listeners_are_told_of_every_change_in_order() -> None:
    world = make_world()
    told: list[tuple[int, tuple[Delta, ...]]] = []
    await world.put("anna")
    unsubscribe = world.mirror.subscribe(lambda s, deltas: told.append((s.revision, deltas)))
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: bool(s.wishes), PATIENCE_S)
        await world.put("anna", Readiness.PAUSED)
        last = await world.delete("anna")
        await world.mirror.wait_until(lambda s: s.revision == last, PATIENCE_S)
        unsubscribe()
        await world.put("bert")
        await world.mirror.wait_until(lambda s: "bert" in s.wishes, PATIENCE_S)
    deltas = [delta for _, batch in told for delta in batch]
    values = [(d.before and d.before.value, d.after and d.after.value) for d in deltas]
    ready, paused = wish("anna"), wish("anna", Readiness.PAUSED)
    assert values == [(None, ready), (ready, paused), (paused, None)]
    revisions = [revision for revision, _ in told]
    assert revisions == sorted(revisions)


async def test_a_listener_that_fails_keeps_nothing_from_the_others() -> None:
    world = make_world()
    told: list[int] = []

    def fail(_snapshot: Snapshot, _deltas: tuple[Delta, ...]) -> None:
        raise RuntimeError("of a listener")

    world.mirror.subscribe(fail)
    world.mirror.subscribe(lambda snapshot, _: told.append(snapshot.revision))
    async with running(world.mirror):
        last = await world.put("anna")
        await world.mirror.wait_until(lambda s: s.revision == last, PATIENCE_S)
    assert told[-1] == last
    assert world.mirror.counters.listener_errors == len(told)


async def test_a_bad_record_is_one_log_line_and_stops_nothing() -> None:
    world = make_world()
    with capture_logs() as logs:
        async with running(world.mirror):
            await world.put_raw(keys.wish(AgentId("anna")), b"junk")
            last = await world.put("bert")
            await world.mirror.wait_until(lambda s: s.revision == last, PATIENCE_S)
    assert world.names() == ["bert"]
    assert list(world.mirror.snapshot.bad) == [keys.wish(AgentId("anna"))]
    (line,) = [each for each in logs if each["event"] == "record_unreadable"]
    assert line["reason"].startswith(keys.wish(AgentId("anna")))


async def test_whatever_the_store_raises_it_goes_on() -> None:
    world = make_world()
    world.store.breaks_with = RuntimeError("not of ours")
    async with running(world.mirror):
        await world.put("anna")
        await world.mirror.wait_until(lambda s: "anna" in s.wishes, PATIENCE_S)
    assert world.mirror.counters.errors == 1


async def test_waiting_for_what_does_not_come_times_out() -> None:
    world = make_world()
    with pytest.raises(TimeoutError):
        await world.mirror.wait_until(lambda s: bool(s.wishes), 0.01)


# ---- being cut off -------------------------------------------------------------------------------


async def test_before_the_first_answer_it_is_stale_and_of_no_age() -> None:
    world = make_world()
    world.store.cut()
    async with running(world.mirror):
        await world.until(lambda: world.mirror.counters.errors > 0)
        assert world.mirror.state is MirrorState.STALE
        assert world.mirror.age_s == math.inf
        assert world.mirror.snapshot == Snapshot()


async def test_it_goes_stale_when_proofs_stay_away_and_comes_back() -> None:
    world = make_world()
    await world.put("anna")
    async with running(world.mirror):
        await world.until(lambda: world.mirror.state is MirrorState.LIVE)
        world.store.cut()
        await world.until(lambda: world.mirror.counters.errors > 0)
        world.clock.advance(2.0)
        assert (world.mirror.state, world.mirror.age_s) == (MirrorState.LIVE, 2.0)
        world.clock.advance(2.0)
        assert (world.mirror.state, world.mirror.age_s) == (MirrorState.STALE, 4.0)
        assert world.names() == ["anna"], "the last snapshot serves on"
        await world.put("bert")
        world.store.mend()
        await world.mirror.wait_until(lambda s: "bert" in s.wishes, PATIENCE_S)
        assert world.mirror.state is MirrorState.LIVE


async def test_a_quiet_store_is_no_stale_store() -> None:
    world = make_world()
    async with running(world.mirror):
        await world.until(lambda: world.mirror.state is MirrorState.LIVE)
        world.clock.advance(100.0)
        await world.until(lambda: world.mirror.age_s == 0.0)


async def test_after_a_compaction_it_lists_again_and_tells_the_difference() -> None:
    world = make_world()
    await world.put("anna")
    await world.put("bert")
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: bool(s.wishes), PATIENCE_S)
        told: list[Delta] = []
        world.mirror.subscribe(lambda _, deltas: told.extend(deltas))
        world.store.cut()
        await world.until(lambda: world.mirror.counters.errors > 0)
        await world.delete("anna")
        last = await world.put("cleo")
        world.memory.compact(last)
        world.store.mend()
        await world.mirror.wait_until(lambda s: s.revision >= last, PATIENCE_S)
        assert await world.is_same()
    assert {(delta.id, delta.after is None) for delta in told} == {("anna", True), ("cleo", False)}
    assert world.mirror.counters.healed == 0


async def test_a_compaction_under_a_slow_watch_is_survived() -> None:
    world = make_world()
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: s.revision > 0, PATIENCE_S)
        world.store.delay_s = 0.1
        last = [await world.put(name) for name in ("anna", "bert", "cleo")][-1]
        world.memory.compact(last)
        await world.mirror.wait_until(lambda s: len(s.wishes) == 3, PATIENCE_S)
        assert await world.is_same()


# ---- healing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["a creation", "a change", "a deletion", "the last event"])
async def test_a_lost_event_is_found_healed_and_counted(lost: str) -> None:
    world = make_world(QUICK)
    await world.put("anna")
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: bool(s.wishes), PATIENCE_S)
        world.store.is_lost = lambda _: True
        match lost:
            case "a creation" | "the last event":
                await world.put("bert")
            case "a change":
                await world.put("anna", Readiness.PAUSED)
            case _:
                await world.delete("anna")
        await world.until(lambda: world.mirror.counters.checks > 0)
        world.store.is_lost = lambda _: False
        if lost != "the last event":
            await world.put("zoe")
        await world.until(lambda: world.mirror.counters.healed > 0)
        assert await world.is_same()
    assert world.mirror.counters.healed == 1


@pytest.mark.parametrize("key", ["/everline/state/novelty/x", keys.wish(AgentId("anna"))])
async def test_what_nobody_here_can_read_is_healed_too_though_all_else_stands_still(
    key: str,
) -> None:
    world = make_world(QUICK)
    await world.put_raw(key, b'{"v":8}')
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: bool(s.raw), PATIENCE_S)
        world.store.is_lost = lambda change: change.key == key
        await world.put_raw(key, b'{"v":9}')
        await world.put("zoe")
        await world.until(lambda: world.mirror.counters.healed > 0)
        assert await world.is_same()
        assert world.mirror.snapshot.raw[key].value == b'{"v":9}'
    assert "9" in world.mirror.snapshot.bad.get(keys.wish(AgentId("anna")), "9")
    assert world.mirror.counters.healed == 1


async def test_events_on_their_way_are_not_taken_for_lost() -> None:
    world = make_world(replace(QUICK, grace_s=0.3))
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: s.revision > 0, PATIENCE_S)
        world.store.delay_s = 0.02
        for number in range(30):
            await world.put(f"agent{number % 7}")
            await world.delete(f"agent{(number + 3) % 7}")
            # Not faster than they are told, or the last are told later than any grace.
            await asyncio.sleep(3 * world.store.delay_s)
        checks = world.mirror.counters.checks
        await world.until(lambda: world.mirror.counters.checks > checks + 1)
        assert await world.is_same()
    assert world.mirror.counters.healed == 0


async def test_a_list_that_is_asked_for_while_one_is_read_is_made_after_it() -> None:
    world = make_world()
    has_begun, may_end, found = asyncio.Event(), asyncio.Event(), world.memory.range

    async def slow(*asked: Any, **more: Any) -> RangeResult:  # noqa: ANN401 - the Store's own
        page = await found(*asked, **more)
        has_begun.set()
        await may_end.wait()
        return page

    world.memory.range = slow  # type: ignore[method-assign]
    async with running(world.mirror), asyncio.timeout(PATIENCE_S):
        await has_begun.wait()
        revision = await world.put("ann")
        asked = asyncio.create_task(world.mirror.list_anew(revision))
        await asyncio.sleep(0)
        may_end.set()
        await asked
        assert world.mirror.counters.lists == 2


async def test_a_store_that_went_back_in_time_is_believed() -> None:
    world = make_world(QUICK)
    for name in ("anna", "bert", "cleo"):
        await world.put(name)
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: len(s.wishes) == 3, PATIENCE_S)
        restored = MemoryStore(world.clock, heartbeat_s=0.02)
        key = keys.wish(AgentId("anna"))
        # Written at the very revision at which it was written before, and it says something else.
        await restored.txn([], [Put(key=key, value=encode(wish("anna", Readiness.PAUSED)))])
        world.memory = restored
        world.store.inner = restored
        await world.until(lambda: world.names() == ["anna"])
        assert await world.is_same()
        assert world.mirror.snapshot.wishes[AgentId("anna")].value.readiness is Readiness.PAUSED


async def test_a_store_that_went_back_in_time_is_believed_before_the_next_check() -> None:
    world = make_world(replace(CALM, gauge_every_s=0.05))
    for name in ("anna", "bert", "cleo"):
        await world.put(name)
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: len(s.wishes) == 3, PATIENCE_S)
        world.memory = world.store.inner = MemoryStore(world.clock, heartbeat_s=0.02)
        await world.put("dora")
        await world.until(lambda: world.names() == ["dora"])
        await world.put("emil")
        await world.until(lambda: world.names() == ["dora", "emil"])
        assert world.mirror.counters.checks == 0


async def test_a_check_that_fails_is_counted_and_tried_again() -> None:
    world = make_world(QUICK)
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: s.revision > 0, PATIENCE_S)
        world.store.breaks_with = RuntimeError("not of ours")
        await world.until(lambda: world.mirror.counters.errors > 0)
        checks = world.mirror.counters.checks
        await world.until(lambda: world.mirror.counters.checks > checks)


# ---- the copy on disk ----------------------------------------------------------------------------


async def saved_world(path: Path) -> Snapshot:
    """Let a mirror save a snapshot with three records, one of them bad; return it."""
    world = make_world(disk=DiskCopy(path))
    await world.put("anna")
    await world.put("bert")
    last = await world.put_raw(keys.wish(AgentId("cleo")), b"junk")
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: s.revision == last, PATIENCE_S)
        await world.until(path.exists)
    return world.mirror.snapshot


async def test_without_a_store_it_starts_from_disk_and_says_stale(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    before = await saved_world(path)
    world = make_world(disk=DiskCopy(path))
    world.clock.advance(60.0)
    world.store.cut()
    async with running(world.mirror):
        snapshot = await world.mirror.wait_until(lambda s: s.revision > 0, PATIENCE_S)
        assert set(snapshot.wishes) == set(before.wishes)
        assert revisions(snapshot) == revisions(before)
        assert set(snapshot.bad) == set(before.bad)
        assert {entry.seen_s for entry in snapshot.wishes.values()} == {world.clock.now().mono_s}
        assert world.mirror.state is MirrorState.STALE
        assert world.mirror.age_s == pytest.approx(60.0)


async def test_a_fresh_copy_is_stale_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    await saved_world(path)
    world = make_world(disk=DiskCopy(path))
    world.store.cut()
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: s.revision > 0, PATIENCE_S)
        assert world.mirror.state is MirrorState.STALE


async def test_from_disk_it_goes_on_to_what_the_store_says(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    await saved_world(path)
    world = make_world(disk=DiskCopy(path))
    await world.put("zoe")
    async with running(world.mirror):
        await world.mirror.wait_until(lambda s: list(s.wishes) == ["zoe"], PATIENCE_S)
        assert world.mirror.state is MirrorState.LIVE


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda data: data[:0], "truncated"),
        (lambda data: data[:-10], "checksum"),
        (lambda data: data.replace(b'"revision":', b'"revision":9'), None),
        (lambda data: data.replace(b'{"v":1', b'{"v":2', 1), "version 2"),
        (lambda data: b"\x00" * len(data), "malformed"),
    ],
    ids=["empty", "cut short", "other revision", "later version", "zeroes"],
)
async def test_a_spoilt_copy_is_one_log_line(
    tmp_path: Path, spoil: Callable[[bytes], bytes], reason: str | None
) -> None:
    path = tmp_path / "snapshot"
    await saved_world(path)
    path.write_bytes(spoil(path.read_bytes()))
    with capture_logs() as logs:
        copy = DiskCopy(path).load()
    if reason is None:
        assert copy is not None
        return
    assert copy is None
    (line,) = logs
    assert line["event"] == "snapshot_unusable"
    assert reason in line["reason"].lower()
    assert line["path"] == str(path)


def test_no_copy_is_no_news(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert DiskCopy(tmp_path / "snapshot").load() is None
    assert not logs


def test_a_copy_that_may_not_be_read_is_one_log_line(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert DiskCopy(tmp_path).load() is None
    assert [line["event"] for line in logs] == ["snapshot_not_read"]


async def test_a_full_disk_is_said_once_and_serving_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    part = tmp_path / "snapshot.part"
    before = await saved_world(path)
    copy = DiskCopy(path)
    now = SystemClock().now()
    with capture_logs() as logs:
        for _ in range(3):
            part.symlink_to("/dev/full")
            assert not copy.save(Snapshot(revision=99), now)
            assert not part.is_symlink()
        kept = copy.load()
        assert copy.save(Snapshot(revision=100), now)
    assert kept is not None
    assert kept.revision == before.revision
    assert [line["event"] for line in logs] == ["snapshot_not_saved", "snapshot_saved_again"]
    assert "No space left" in logs[0]["reason"]


async def test_a_mirror_that_cannot_save_follows_on(tmp_path: Path) -> None:
    world = make_world(disk=DiskCopy(tmp_path / "missing" / "snapshot"))
    async with running(world.mirror):
        await world.put("anna")
        await world.until(lambda: world.mirror.counters.save_errors > 0)
        await world.put("bert")
        await world.mirror.wait_until(lambda s: "bert" in s.wishes, PATIENCE_S)


async def test_a_fault_in_saving_is_counted_and_following_goes_on(tmp_path: Path) -> None:
    class FaultyCopy(DiskCopy):
        def save(self, snapshot: Snapshot, now: Now) -> bool:
            if snapshot.revision < 3:
                raise RuntimeError("not of ours")
            return super().save(snapshot, now)

    path = tmp_path / "snapshot"
    world = make_world(disk=FaultyCopy(path))
    async with running(world.mirror):
        await world.put("anna")
        await world.until(lambda: world.mirror.counters.errors > 0)
        await world.put("bert")
        await world.until(path.exists)


async def test_a_copy_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    await saved_world(path)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_saving_keeps_its_pace_and_the_last_state_is_saved_at_the_end(tmp_path: Path) -> None:
    saves: list[int] = []

    class CountingCopy(DiskCopy):
        def save(self, snapshot: Snapshot, now: Now) -> bool:
            saves.append(snapshot.revision)
            return super().save(snapshot, now)

    world = make_world(replace(CALM, save_every_s=60.0), CountingCopy(tmp_path / "snapshot"))
    async with running(world.mirror):
        last = [await world.put(f"agent{number}") for number in range(50)][-1]
        await world.mirror.wait_until(lambda s: s.revision == last, PATIENCE_S)
        await world.until(lambda: bool(saves))
    assert len(saves) == 2
    assert saves[-1] == last


async def test_a_save_under_way_at_the_end_is_waited_for(tmp_path: Path) -> None:
    saving = threading.Event()
    saves: list[int] = []

    class SlowCopy(DiskCopy):
        def save(self, snapshot: Snapshot, now: Now) -> bool:
            is_first = not saving.is_set()
            saving.set()
            if is_first:
                time.sleep(0.1)
            saves.append(snapshot.revision)
            return super().save(snapshot, now)

    copy = SlowCopy(tmp_path / "snapshot")
    world = make_world(disk=copy)
    async with running(world.mirror):
        await world.put("anna")
        await world.until(saving.is_set)
        last = await world.put("bert")
        await world.mirror.wait_until(lambda s: s.revision == last, PATIENCE_S)
    assert len(saves) == 2
    assert saves[-1] == last
    kept = copy.load()
    assert kept is not None
    assert kept.revision == last
