from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from loadtests.bench.cpu import CpuMeter, parse_schedstat, parse_session, session_members


def test_schedstat_begins_with_the_nanoseconds_on_a_core() -> None:
    assert parse_schedstat("123456789 42 7\n") == 123456789


def test_a_name_with_brackets_and_blanks_does_not_hide_the_session() -> None:
    assert parse_session("17 (tcp) rece (iver) S 1 17 4711 0 -1 4194304\n") == 4711


def _process(proc: Path, pid: int, session: int, tasks: dict[int, int]) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "stat").write_text(f"{pid} (x) S 1 {session} {session} 0\n")
    for tid, spent_ns in tasks.items():
        task = proc / str(pid) / "task" / str(tid)
        task.mkdir(parents=True)
        (task / "schedstat").write_text(f"{spent_ns} 0 0\n")


def test_every_process_of_a_session_is_found(tmp_path: Path) -> None:
    for pid, session in ((10, 10), (11, 10), (12, 12)):
        _process(tmp_path, pid, session, {pid: 1})
    (tmp_path / "meminfo").write_text("")
    assert session_members(10, tmp_path) == [10, 11]


def test_all_threads_of_all_processes_count(tmp_path: Path) -> None:
    _process(tmp_path, 10, 10, {10: 1_000_000_000, 13: 500_000_000})
    _process(tmp_path, 11, 10, {11: 250_000_000})
    assert CpuMeter([10, 11], tmp_path).read_s() == 1.75


def test_the_main_thread_of_each_process_is_told_apart(tmp_path: Path) -> None:
    _process(tmp_path, 10, 10, {10: 1_000_000_000, 13: 500_000_000})
    _process(tmp_path, 11, 10, {11: 250_000_000})
    meter = CpuMeter([10, 11], tmp_path)
    meter.read_s()
    assert meter.main_s() == 1.25


def test_a_thread_that_has_ended_counts_as_when_last_read(tmp_path: Path) -> None:
    _process(tmp_path, 10, 10, {10: 1_000_000_000, 13: 500_000_000})
    meter = CpuMeter([10], tmp_path)
    meter.read_s()
    (tmp_path / "10" / "task" / "13" / "schedstat").unlink()
    (tmp_path / "10" / "task" / "13").rmdir()
    (tmp_path / "10" / "task" / "10" / "schedstat").write_text("2000000000 0 0\n")
    assert meter.read_s() == 2.5


def test_a_process_that_is_not_there_has_used_nothing(tmp_path: Path) -> None:
    assert CpuMeter([99], tmp_path).read_s() == 0.0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
def test_work_of_this_process_shows_on_its_meter() -> None:
    meter = CpuMeter([os.getpid()])
    before_s, began_s = meter.read_s(), time.process_time()
    while time.process_time() - began_s < 0.05:
        pass
    assert meter.read_s() - before_s >= 0.04
