"""What no other site has: under way, in the spool, in the store, each recording once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from custody.frame import SAMPLES
from edge.recorder.backlog import LATE_S, Backlog
from tests.recorder.made import Archive

CALL, OTHER = "c" * 24, "d" * 24


@pytest.fixture
async def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path)
    await archive.make_key()
    archive.record(CALL, 3.0)
    archive.end()
    return archive


async def test_a_recording_counts_once_from_its_beginning_to_its_copy(archive: Archive) -> None:
    kept: dict[str, int] = {}
    backlog = Backlog(archive.spool, lambda: kept)
    found = await backlog.count({CALL: 2 * SAMPLES}, 100.0)
    assert (found.recordings, found.under_way, found.under_way_s) == (0, 1, 2)
    found = await backlog.count({OTHER: SAMPLES}, 101.0)
    assert (found.recordings, found.recorded_s, found.under_way) == (1, 3, 1)
    kept[CALL] = 3 * SAMPLES
    found = await backlog.count({}, 102.0)
    assert (found.recordings, found.recorded_s) == (1, 3), "in the spool and in the store"
    shutil.rmtree(archive.spool / CALL)
    assert await backlog.count({}, 103.0) == found
    kept.clear()
    found = await backlog.count({}, 104.0)
    assert (found.recordings, found.recorded_s, found.is_late) == (0, 0, False)


async def test_one_that_is_not_copied_for_a_minute_is_late(archive: Archive) -> None:
    backlog = Backlog(archive.spool, dict)
    assert not (await backlog.count({}, 100.0)).is_late
    assert not (await backlog.count({}, 100.0 + LATE_S)).is_late
    assert (await backlog.count({}, 101.0 + LATE_S)).is_late


async def test_what_a_former_life_left_counts_though_nobody_has_said_that_it_is_over(
    tmp_path: Path,
) -> None:
    archive = Archive(tmp_path)
    await archive.make_key()
    archive.record(OTHER, 61.0)
    found = await Backlog(archive.spool, dict).count({}, 100.0)
    assert (found.recordings, found.recorded_s) == (1, 60), "what was closed"
