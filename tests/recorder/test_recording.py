"""Recordings from packets to the store: segments, deaths, a spool or a store that takes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from custody import keyring
from custody.errors import ConflictError, NoKeyError
from custody.frame import SAMPLES
from custody.manifest import Part, Span
from custody.store import RecordingStore, manifest_name
from edge.recorder import recording, segments
from edge.recorder.folder import finish_left
from tests.recorder.made import Archive

CALL = "c" * 24


@pytest.fixture
async def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path)
    await archive.make_key()
    return archive


async def test_a_recorder_that_comes_late_says_what_it_has_missed(archive: Archive) -> None:
    archive.record(CALL, 2.0, take_up_s=4.0)
    archive.end()
    await archive.ship()
    account = await archive.library().manifest("main", CALL)
    (gap,) = account.gaps
    assert (gap.start, gap.end, gap.because) == (0, 4 * SAMPLES, "recorder_late")
    assert account.segments[0].start == 4 * SAMPLES
    assert account.samples == 6 * SAMPLES


async def heard(archive: Archive) -> int:
    """Count the samples of the caller that open."""
    library = archive.library()
    account = await library.manifest("main", CALL)
    return sum(160 * each.states[0].count(1) for each in [f async for f in library.frames(account)])


async def test_a_long_call_is_cut_into_segments_that_follow_each_other(archive: Archive) -> None:
    archive.record(CALL, 130.5)
    archive.end()
    await archive.ship()
    account = await archive.library().manifest("main", CALL)
    assert [each.number for each in account.segments] == [1, 2, 3]
    assert [each.start for each in account.segments] == [0, 60 * SAMPLES, 120 * SAMPLES]
    assert account.is_complete
    assert account.samples == 130.5 * SAMPLES
    assert await heard(archive) == 130.5 * SAMPLES
    assert await archive.library().verify("main", CALL) == []


async def test_sealing_and_manifest_add_less_than_two_percent(archive: Archive) -> None:
    archive.record(CALL, 120)
    archive.end()
    await archive.ship()
    stored = sum(path.stat().st_size for path in archive.store.rglob("*") if path.is_file())
    assert stored < 120 * 16_000 * 1.02


async def test_segments_go_to_the_store_while_the_call_runs_and_only_once(
    archive: Archive,
) -> None:
    archive.record(CALL, 61.5)
    await archive.ship()
    (first,) = (archive.store / "main/audio" / CALL).iterdir()
    before = first.stat()
    archive.end()
    await archive.ship()
    assert first.stat().st_mtime_ns == before.st_mtime_ns
    assert len(list((archive.store / "main/audio" / CALL).iterdir())) == 2
    assert list(archive.spool.iterdir()) == []


async def test_a_life_that_was_cut_off_loses_less_than_two_seconds(archive: Archive) -> None:
    archive.record(CALL, 9.9)
    archive.last.abandon()
    archive.record(CALL, 5, take_up_s=12)
    archive.end()
    await archive.ship()
    account = await archive.library().manifest("main", CALL)
    first, second = account.segments
    assert not first.is_complete
    assert first.samples >= 9.9 * SAMPLES - 2 * SAMPLES
    assert account.gaps == (
        Span(start=first.samples, end=12 * SAMPLES, because="recorder_restarted"),
    )
    assert second.start == 12 * SAMPLES
    assert not account.is_complete


async def test_a_known_caller_s_key_is_sealed_to_from_the_next_segment_on(archive: Archive) -> None:
    recipients = keyring.recipients(archive.providers)
    theirs = keyring.make("main", recipients, 2, customer="cus_1")
    archive.ring.add(theirs)
    archive.record(CALL, 2.5)
    archive.last.abandon()
    archive.record(CALL, 2, take_up_s=4, key=theirs)
    assert archive.last.facts.key == theirs.id
    archive.end()
    await archive.ship()
    library = archive.library()
    account = await library.manifest("main", CALL)
    first, second = account.segments
    assert (first.key_id, second.key_id) == (archive.ring.newest("main").id, theirs.id)
    assert await heard(archive) == 4 * SAMPLES

    await (await library.open_segment(account, second)).frame(0)
    archive.ring.remove("main", theirs.id)
    with pytest.raises(NoKeyError):
        await library.open_segment(account, second)
    await (await library.open_segment(account, first)).frame(0)


async def test_a_torn_write_is_cut_off_at_the_last_whole_frame(archive: Archive) -> None:
    archive.record(CALL, 4.5)
    archive.last.abandon()
    (path,) = (archive.spool / CALL).glob("*.seg")
    with path.open("ab") as file:
        file.write(os.urandom(5000))
    archive.record(CALL, 1, take_up_s=5)
    archive.end()
    await archive.ship()
    account = await archive.library().manifest("main", CALL)
    assert account.segments[0].samples == 4 * SAMPLES
    assert await heard(archive) == 5 * SAMPLES


async def test_a_pause_outlives_the_recorder(archive: Archive) -> None:
    archive.record(CALL, 3.5)
    archive.last.pause(round(2.5 * SAMPLES), "agent")
    archive.last.abandon()
    archive.record(CALL, 3, take_up_s=4)
    assert archive.last.timeline.is_paused
    archive.end()
    await archive.ship()
    assert await heard(archive) <= 3 * SAMPLES


async def test_what_began_after_the_last_sealed_second_of_a_dead_recorder_does_not_end_before(
    archive: Archive,
) -> None:
    """The call was over before a next life could take it up."""
    archive.record(CALL, 3.5)
    archive.last.leave(round(3.4 * SAMPLES))
    archive.last.join("ben", round(3.45 * SAMPLES))
    archive.last.pause(round(3.5 * SAMPLES), "agent")
    archive.last.hold(round(3.5 * SAMPLES), on=True)
    archive.last.abandon()
    finish_left(archive.spool / CALL)
    await archive.ship()
    account = await archive.library().manifest("main", CALL)
    assert account.samples == 3 * SAMPLES
    told: tuple[Span | Part, ...] = (*account.pauses, *account.holds, *account.parts)
    assert len(told) == 5
    assert all(each.start <= each.end for each in told)


async def test_digits_that_both_key_in_one_second_are_all_told_of(archive: Archive) -> None:
    archive.record(CALL, 0.5)
    for side, keyed_s in enumerate(((0.2, 0.8), (0.4,))):
        for each in keyed_s:
            channel = archive.last.timeline.sides[side]
            channel.key(round((each + 0.02) * SAMPLES), round(0.02 * SAMPLES))
    archive.now = 2 * SAMPLES
    archive.end()
    await archive.ship()
    account = await archive.library().manifest("main", CALL)
    assert [(each.start, each.end) for each in account.masks] == [
        (round((each - 0.04) * SAMPLES), round((each + 0.06) * SAMPLES)) for each in (0.2, 0.4, 0.8)
    ]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("a bug of ours")], ids=repr
)
async def test_a_spool_that_takes_nothing_costs_its_seconds_and_the_gap_says_so(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    archive.record(CALL, 3.5)
    written = segments.SegmentWriter.write

    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(segments.SegmentWriter, "write", full)
    archive.last.tick(6 * SAMPLES)
    monkeypatch.setattr(segments.SegmentWriter, "write", written)
    archive.last.tick(9 * SAMPLES)
    archive.now = 9 * SAMPLES
    archive.end()
    await archive.ship()
    account = await archive.library().manifest("main", CALL)
    (gap,) = account.gaps
    assert gap.because == "spool_not_written"
    assert (gap.start, gap.end) == (3 * SAMPLES, 5 * SAMPLES)
    assert len(account.segments) == 2


async def test_a_spool_that_takes_nothing_for_hours_uses_up_no_numbers_of_segments(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.record(CALL, 1.2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as hours:
        hours.setattr(recording, "write_whole", full)
        archive.last.tick(30 * SAMPLES)
    archive.now = 31 * SAMPLES
    archive.end()
    await archive.ship()
    account = await archive.library().manifest("main", CALL)
    assert [each.number for each in account.segments] == [1]


async def test_a_manifest_that_another_has_written_is_not_overwritten(archive: Archive) -> None:
    archive.record(CALL, 2)
    archive.end()
    store = RecordingStore.open(str(archive.store))
    await store.put(manifest_name("main", CALL), b"another's")
    await archive.ship()
    assert await store.get(manifest_name("main", CALL)) == b"another's"
    assert (archive.spool / CALL).is_dir()
    with pytest.raises(ConflictError):
        await store.put(manifest_name("main", CALL), b"ours")


async def test_a_segment_that_the_disk_has_lost_keeps_no_other_call_from_the_store(
    archive: Archive,
) -> None:
    archive.record("a" * 24, 62)  # which goes on, and whose first segment has ended
    (archive.spool / ("a" * 24) / "0001.key").unlink()
    archive.record("b" * 24, 2)
    archive.end()
    await archive.ship()
    assert (await archive.library().manifest("main", "b" * 24)).is_complete
    assert [each.name for each in archive.spool.iterdir()] == ["a" * 24]


@pytest.mark.parametrize("files", ["0002.key", "0002.*"])
async def test_a_segment_that_is_lost_between_others_is_a_gap(archive: Archive, files: str) -> None:
    archive.record("c" * 24, 125)
    archive.end()
    for each in (archive.spool / ("c" * 24)).glob(files):
        each.unlink()
    await archive.ship()
    account = await archive.library().manifest("main", "c" * 24)
    assert [each.number for each in account.segments] == [1, 3]
    assert [(each.start, each.end) for each in account.gaps] == [(60 * 8000, 120 * 8000)]
    assert not account.is_complete


async def test_a_store_that_is_away_loses_nothing(archive: Archive) -> None:
    archive.record(CALL, 2)
    archive.end()
    archive.store.write_text("no folder")
    with pytest.raises(OSError, match="exists"):
        await archive.ship()
    archive.store.unlink()
    await archive.ship()
    assert await heard(archive) == 2 * SAMPLES


@pytest.mark.parametrize("still_s", [2.0, 10.0])
async def test_a_recorder_that_has_stood_still_says_what_it_could_not_take_in(
    archive: Archive, still_s: float
) -> None:
    archive.record(CALL, 3.0)
    archive.now += round(still_s * SAMPLES)
    archive.last.tick(archive.now)
    archive.end()
    await archive.ship()
    account = await archive.library().manifest("main", CALL)
    gaps = [(each.start, each.end, each.because) for each in account.gaps]
    # It had sealed two seconds, and has room for four.
    assert gaps == ([] if still_s == 2.0 else [(6 * SAMPLES, 13 * SAMPLES, "recorder_stood_still")])
    assert account.is_complete is (still_s == 2.0)
