"""What programs log while they are loaded, also where their logs are cut meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.lab.logs import shorten_log
from loadtests.load.logs import Logs


def line(number: int) -> str:
    return f'{{"event":"call_fault","level":"error","number":{number},"more":"{"x" * 60}"}}\n'


def write(log: Path, *numbers: int) -> None:
    with log.open("a") as file:
        file.writelines(map(line, numbers))


def errors(logs: Logs, program: str = "edge-a1") -> list[int]:
    return [int(each.split(b'"number":')[1].split(b",")[0]) for each in logs.errors[program]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    found = tmp_path / "edge-a1.log"
    write(found, *range(10))
    return found


def test_lines_are_read_once_from_where_the_load_began(log: Path) -> None:
    logs = Logs(log.parent)
    write(log, 10)
    logs.read()
    write(log, 11, 12)
    write(log.with_name("edge-b1.log"), 20)
    logs.read()
    assert errors(logs) == [10, 11, 12]
    assert errors(logs, "edge-b1") == [20]


def test_end_of_a_long_log_is_where_the_load_begins(log: Path) -> None:
    write(log, *range(10, 1000))
    assert log.stat().st_size > 100_000
    logs = Logs(log.parent)
    write(log, 1000)
    logs.read()
    assert errors(logs) == [1000]


def test_line_that_is_being_written_is_read_when_it_is_whole(log: Path) -> None:
    logs = Logs(log.parent)
    with log.open("a") as file:
        file.write(line(10)[:20])
        file.flush()
        logs.read()
        file.write(line(10)[20:])
    logs.read()
    assert errors(logs) == [10]


def test_lines_that_no_error_can_be_in_are_not_kept(log: Path) -> None:
    logs = Logs(log.parent)
    log.write_text(log.read_text() + '{"event":"call_ended","level":"info"}\n')
    logs.read()
    assert logs.errors == {"edge-a1": []}


async def test_log_that_is_cut_goes_on_where_it_was_and_loses_nothing(log: Path) -> None:
    logs = Logs(log.parent)
    write(log, *range(10, 40))
    logs.read()
    write(log, 40, 41)
    shorten_log(log, 2_000)
    write(log, 42)
    await logs.read_to_the_end()
    assert errors(logs) == list(range(10, 43))
    assert not logs.cut


async def test_log_that_was_cut_beyond_what_was_read_is_told(log: Path) -> None:
    logs = Logs(log.parent)
    write(log, *range(10, 60))
    shorten_log(log, 2_000)
    write(log, 60)
    await logs.read_to_the_end()
    assert errors(logs)[-1] == 60
    assert dict(logs.cut) == {"edge-a1": 1}


def test_log_that_is_just_being_cut_is_waited_for(log: Path) -> None:
    logs = Logs(log.parent)
    whole = log.read_bytes()
    log.write_bytes(b"")
    logs.read()
    log.write_bytes(b"[...]\n" + whole[len(whole) // 2 :])
    write(log, 10)
    logs.read()
    assert errors(logs) == [10]
    assert not logs.cut
