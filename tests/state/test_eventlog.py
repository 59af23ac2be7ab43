from __future__ import annotations

import asyncio
import gzip
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

from state import keys
from state.clock import ManualClock, SystemClock
from state.codec import encode
from state.eventlog import files, lines
from state.eventlog.lines import Begin, Changed, Decided
from state.eventlog.log import Bounds, EventLog
from state.eventlog.past import moment
from state.keys import Kind
from state.memory import MemoryStore
from state.mirror import Mirror
from state.model import AgentId, CallId, Now, Readiness, SiteId, Wish
from state.raw import Change
from state.snapshot import Snapshot, apply
from state.store import Put
from tests.acd.worlds import World, call_id, ticket
from tests.state.records import keyed_records, records, unhurried
from tests.state.revisions import revisions

PATIENCE_S = 5.0
NUMBER = "+4915100000"


def put(key: str, value: bytes, revision: int) -> Change:
    return Change(key=key, value=value, create_revision=revision, mod_revision=revision)


def at(revision: int) -> Now:
    return Now(mono_s=float(revision), wall_ms=revision * 1000)


def history(changes: list[Change], begins_at: int = 0) -> tuple[bytes, list[Snapshot]]:
    """Return a segment's bytes, and the snapshot at every revision."""
    snapshot = Snapshot()
    told, data = [snapshot], b""
    for change in changes:
        revision = change.mod_revision
        snapshot = apply(snapshot, (change,), revision, float(revision))
        told.append(snapshot)
        if revision == begins_at:
            data = lines.encode(lines.begin("a1", snapshot, at(revision)))
        elif data:
            data += lines.encode(lines.changed(revision, (change,), at(revision)))
    return data, told


FEW = settings(unhurried, max_examples=15)


@FEW
@given(st.lists(keyed_records(), min_size=2, max_size=4), st.data())
def test_every_snapshot_is_had_again_as_its_reader_had_it(
    written: list[tuple[str, object]], data: st.DataObject
) -> None:
    changes = [put(key, encode(value), n) for n, (key, value) in enumerate(written, 1)]  # type: ignore[arg-type]
    begins_at = data.draw(st.integers(1, len(changes)))
    log, told = history(changes, begins_at)
    for revision in range(begins_at, len(changes) + 1):
        found = moment(lines.read(log), revision)
        assert found is not None
        assert found.snapshot.revision == revision
        assert revisions(found.snapshot) == revisions(told[revision])
        assert found.snapshot.wishes == told[revision].wishes
        assert found.snapshot.presences == told[revision].presences
        assert found.snapshot.works == told[revision].works
        assert found.since == at(revision)
        assert found.until == (at(revision + 1) if revision < len(changes) else None)
    assert moment(lines.read(log), begins_at - 1) is None
    assert moment(lines.read(log), len(changes) + 1) is None


def test_a_batch_over_several_revisions_is_cut_where_it_is_asked() -> None:
    changes = tuple(
        put(
            keys.wish(AgentId(f"w{n}")),
            encode(Wish(agent=AgentId(f"w{n}"), readiness=Readiness.READY)),
            n,
        )
        for n in (2, 3, 4)
    )
    log = lines.encode(lines.begin("a1", Snapshot(revision=1), at(1)))
    log += lines.encode(lines.changed(4, changes, at(4)))
    found = moment(lines.read(log), 3)
    assert found is not None
    assert sorted(found.snapshot.wishes) == ["w2", "w3"]
    assert found.since == found.until == at(4)


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_a_torn_tail_costs_its_own_line_and_no_more(cut: int) -> None:
    changes = [
        put(
            keys.wish(AgentId("ann")),
            encode(Wish(agent=AgentId("ann"), readiness=Readiness.READY)),
            n,
        )
        for n in (1, 2, 3)
    ]
    log, _ = history(changes, 1)
    whole = list(lines.read(log))
    assert len(whole) == 3
    assert list(lines.read(log[:-cut])) == (whole if cut == 1 else whole[:2])
    flipped = log[: -cut - 1] + bytes([log[-cut - 1] ^ 1]) + log[len(log) - cut :]
    assert list(lines.read(flipped)) == whole[:2]


@FEW
@given(
    st.sampled_from([Kind.TICKET, Kind.PLACE, Kind.AGENT]).flatmap(
        lambda k: st.tuples(st.just(k), records(k))
    )
)
def test_no_number_and_no_secret_gets_into_a_log(found: tuple[Kind, object]) -> None:
    kind, record = found
    hidden = {"ha1": "5ec2e7"} if kind is Kind.AGENT else {"caller": 'a"\\,+4915100000'}
    record = replace(record, **hidden)  # type: ignore[type-var]
    told = lines.masked(kind, encode(record))  # type: ignore[arg-type]
    bare = replace(record, **dict.fromkeys(hidden, ""))  # type: ignore[type-var]
    assert told == encode(bare)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        b'{"v":1,"caller" : "+4915100000"}',
        b'{"v":1,\n"caller":"+4915100000"}',
        b'{"v":1,"caller":"+4915100000","caller":"+4915100000"}',
        b'{"v":1,"\\u0063aller":"+4915100000"}',
        b'{"caller":"+4915100000"',
        b"\xff+4915100000",
        b'["+4915100000"]',
    ],
)
def test_a_record_that_is_spelt_in_another_way_tells_no_number_either(value: bytes) -> None:
    told = lines.masked(Kind.TICKET, value)
    assert b"4915100000" not in told
    assert b"\n" not in told


def test_keys_that_are_none_of_ours_are_not_written() -> None:
    line = lines.changed(2, (put("/everline/state/odd/x", b"secret", 2),), at(2))
    assert line.changes == ()


# ---- on disk -------------------------------------------------------------------------------------


def decide(log: EventLog, revision: int, call: CallId) -> None:
    log.decided(
        revision=revision,
        now=at(revision),
        call=call,
        agent=AgentId("ann"),
        unreachable=frozenset({SiteId("c")}),
        asked={call_id(7): AgentId("bob")},
    )


def grown(world: World, log: EventLog, count: int) -> None:
    """Let things happen: wishes by the hundred."""
    for number in range(count):
        agent = AgentId(f"w{number % 10}")
        wish = Wish(agent=agent, readiness=Readiness.READY, reason="r" * 60)
        world.put(keys.wish(agent), wish)
        raw = world.snapshot.raw[keys.wish(agent)]
        change = put(raw.key, raw.value, raw.mod_revision)
        log.changed(world.snapshot, (change,), at(world.snapshot.revision))


async def test_what_is_logged_is_found_by_its_revision(tmp_path: Path) -> None:
    world = World()
    log = EventLog(tmp_path / "events", reader="a1", clock=ManualClock())
    log.listed(world.snapshot, at(world.snapshot.revision))
    grown(world, log, 50)
    wanted = world.snapshot
    call = call_id(1)
    decide(log, wanted.revision, call)
    grown(world, log, 50)
    await log.flush()
    (path,) = files.holding(tmp_path / "events", wanted.revision)
    found = moment(files.read_segment(path), wanted.revision, call)
    assert found is not None
    assert revisions(found.snapshot) == revisions(wanted)
    assert found.reader == "a1"
    assert found.decided is not None
    assert (found.decided.unreachable, found.decided.asked) == (("c",), {call_id(7): "bob"})
    assert path.stat().st_mode & 0o777 == 0o600


async def test_segments_are_bounded_and_every_kept_revision_can_still_be_read(
    tmp_path: Path,
) -> None:
    bounds = Bounds(segment_bytes=8_000, total_bytes=20_000)
    world = World()
    log = EventLog(tmp_path, reader="a1", clock=SystemClock(), bounds=bounds)
    log.listed(world.snapshot, at(world.snapshot.revision))
    for _ in range(150):
        grown(world, log, 20)
        await log.flush()
    kept = files.segments(tmp_path)
    assert len(kept) > 3
    assert sum(path.stat().st_size for path in kept) < 2 * bounds.total_bytes
    oldest = files.first_revision(kept[0])
    assert oldest > 10
    for revision in range(oldest, world.snapshot.revision + 1, 7):
        found = [
            moment(files.read_segment(path), revision) for path in files.holding(tmp_path, revision)
        ]
        assert any(found), revision
    assert [path.suffix for path in kept[:-1]] == [".gz"] * (len(kept) - 1)


async def test_segments_that_each_end_with_a_listing_are_bounded_too(tmp_path: Path) -> None:
    bounds = Bounds(total_bytes=20_000)
    world, clock = World(), ManualClock()
    log = EventLog(tmp_path, reader="a1", clock=clock, bounds=bounds)
    for _ in range(150):
        # As a mirror does that gives its watch up again and again since that stays late.
        log.listed(world.snapshot, clock.now())
        grown(world, log, 2)
        await log.flush()
    kept = files.segments(tmp_path)
    assert sum(path.stat().st_size for path in kept) < 2 * bounds.total_bytes
    assert len(kept) > 3


async def test_a_quiet_log_begins_anew_by_age_and_forgets_what_is_too_old(tmp_path: Path) -> None:
    clock = ManualClock()
    world = World()
    log = EventLog(tmp_path, reader="a1", clock=clock, bounds=Bounds(segment_s=60.0, age_s=3600.0))
    log.listed(world.snapshot, clock.now())
    grown(world, log, 1)
    await log.flush()
    assert len(files.segments(tmp_path)) == 1
    clock.advance(61.0)
    for _ in range(4):
        grown(world, log, 1)
        await log.flush()
    assert len(files.segments(tmp_path)) > 1
    first = files.segments(tmp_path)[0]
    for path in files.segments(tmp_path)[:-1]:
        os.utime(path, (0.0, 0.0))
    grown(world, log, 1)
    await log.flush()
    kept = files.segments(tmp_path)
    assert kept
    assert files.first_revision(kept[-1]) > files.first_revision(first)
    assert not [path for path in kept[:-1] if path.stat().st_mtime == 0.0]


async def test_a_new_life_begins_a_segment_and_leaves_the_old_ones(tmp_path: Path) -> None:
    world = World()
    for life in (1, 2):
        log = EventLog(tmp_path, reader="a1", clock=ManualClock())
        log.listed(world.snapshot, at(world.snapshot.revision))
        grown(world, log, 10)
        await log.flush()
        assert len(files.segments(tmp_path)) == life


async def test_a_disk_that_takes_nothing_is_told_once_and_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    world = World()
    log = EventLog(tmp_path / "file" / "events", reader="a1", clock=ManualClock())
    with capture_logs() as told:
        for _ in range(3):
            log.listed(world.snapshot, at(world.snapshot.revision))
            grown(world, log, 5)
            await log.flush()
    assert [line["event"] for line in told] == ["event_log_not_written"]
    (tmp_path / "file").unlink()
    grown(world, log, 5)
    await log.flush()
    (path,) = files.segments(tmp_path / "file" / "events")
    assert isinstance(next(files.read_segment(path)), Begin)


async def test_what_waits_for_a_disk_that_stands_still_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, bounds = World(), Bounds(most_waiting=100)
    log = EventLog(tmp_path, reader="a1", clock=ManualClock(), bounds=bounds)
    goes_on, write = threading.Event(), os.write

    def stand_still(descriptor: int, data: bytes) -> int:
        goes_on.wait(PATIENCE_S)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", stand_still)
    log.listed(world.snapshot, at(world.snapshot.revision))
    writing = asyncio.create_task(log.flush())
    await asyncio.sleep(0)
    for number in range(1_000):
        decide(log, number, call_id(number))
    assert log.dropped >= 1_000 - bounds.most_waiting
    goes_on.set()
    await writing
    grown(world, log, 5)
    await log.flush()
    path = files.segments(tmp_path)[-1]
    found = moment(files.read_segment(path), world.snapshot.revision)
    assert found is not None
    assert revisions(found.snapshot) == revisions(world.snapshot)


async def test_a_torn_compressed_segment_gives_what_is_left_of_it(tmp_path: Path) -> None:
    log, _ = history(
        [
            put(
                keys.wish(AgentId("w")),
                encode(Wish(agent=AgentId("w"), readiness=Readiness.READY, reason=f"{n * 7919}")),
                n,
            )
            for n in range(1, 400)
        ],
        1,
    )
    path = tmp_path / "0000000001-1.log.gz"
    path.write_bytes(gzip.compress(log)[:-2000])
    found = list(files.read_segment(path))
    assert 0 < len(found) < 399
    assert isinstance(found[-1], Changed)


def _reason(snapshot: Snapshot) -> str:
    wish = snapshot.wishes.get(AgentId("ann"))
    return "" if wish is None else wish.value.reason


async def test_a_mirror_tells_its_recorder_everything_it_sees(tmp_path: Path) -> None:
    clock = SystemClock()
    store = MemoryStore(clock)
    log = EventLog(tmp_path, reader="a1", clock=clock, bounds=Bounds(every_s=0.01))
    mirror = Mirror(store, clock, recorder=log)
    tasks = [asyncio.create_task(mirror.run()), asyncio.create_task(log.run())]
    record = ticket(1)
    try:
        await store.txn((), (Put(key=keys.ticket(record.call), value=encode(record)),))
        for number in range(20):
            wish = Wish(agent=AgentId("ann"), readiness=Readiness.READY, reason=str(number))
            await store.txn((), (Put(key=keys.wish(wish.agent), value=encode(wish)),))
        await mirror.wait_until(lambda known: _reason(known) == "19", 5.0)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    last = mirror.snapshot.revision
    (path,) = files.holding(tmp_path, last)
    found = moment(files.read_segment(path), last)
    assert found is not None
    assert revisions(found.snapshot) == revisions(mirror.snapshot)
    assert found.snapshot.wishes == mirror.snapshot.wishes
    assert found.snapshot.tickets[record.call].value == replace(record, caller="")
    assert NUMBER.encode() not in path.read_bytes()
    assert not any(isinstance(line, Decided) for line in files.read_segment(path))
