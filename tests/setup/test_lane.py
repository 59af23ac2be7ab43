"""How tools run side by side, and what is told of what they say."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from drills.cli import lane
from drills.cli.suite import Group, run_all

WAITS = """
import pathlib, time
def test_it():
    here = pathlib.Path(__file__).parent
    (here / "{mine}").touch()
    while not (here / "{theirs}").exists():
        time.sleep(0.02)
"""


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


async def test_whole_lines_are_told_and_then_what_there_is_of_the_last(tmp_path: Path) -> None:
    said: list[str] = []
    code = await lane.run(
        shell("echo one; printf 'tw\\303\\266\\nthree'; exit 3"), tmp_path, said.append
    )
    assert ("".join(said), code) == ("one\ntwö\nthree\n", 3)


async def test_what_outlives_a_tool_does_not_hold_it_up(tmp_path: Path) -> None:
    said: list[str] = []
    try:
        assert await lane.run(shell("sleep 60 & echo $!"), tmp_path, said.append) == 0
    finally:
        os.kill(int("".join(said)), signal.SIGKILL)


async def test_a_tool_that_yields_is_told_so_and_keeps_its_words(tmp_path: Path) -> None:
    said: list[str] = []
    await lane.run((*shell('nice; echo "$@"'), "x", "a b"), tmp_path, said.append, yields=True)
    niceness, words = "".join(said).splitlines()
    assert int(niceness) == min(os.nice(0) + 10, 19)
    assert words == "a b"


async def test_whoever_is_interrupted_gives_the_tool_time_to_clean_up(tmp_path: Path) -> None:
    clean, up = tmp_path / "clean", tmp_path / "up"
    script = f"trap 'touch {clean}; exit' INT; touch {up}; while :; do sleep 0.02; done"
    running = asyncio.create_task(lane.run(shell(script), tmp_path))
    while not up.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert clean.exists()


async def test_lanes_run_side_by_side_and_each_line_says_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lane, "ROOT", tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    groups = []
    for mine, theirs in (("left", "right"), ("right", "left")):
        file = tmp_path / f"test_{mine}.py"
        file.write_text(WAITS.format(mine=mine, theirs=theirs))
        groups.append(Group(f"tests of {mine}", (str(file),), is_tests=True, lane=mine))
    check = Group("a check", (sys.executable, "-c", "print('odd'); exit(1)"), lane="left")
    missing = Group("no such tool", (str(tmp_path / "missing"),), lane="right")
    outcomes = await run_all([*groups, check, missing])
    assert [(each.name, each.passed, each.failed) for each in outcomes] == [
        ("tests of left", 1, 0), ("tests of right", 1, 0), ("a check", 0, 1),
        ("no such tool", 0, 1),
    ]  # fmt: skip
    told = capsys.readouterr().out.splitlines()
    assert "    left | odd" in told
    assert all(line.startswith(("    left | ", "   right | ")) for line in told)
    assert sum("1 passed" in line for line in told) == 2
