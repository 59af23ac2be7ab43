"""A disk that is made slow: only what has to be on it waits, and only for so long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drills.lab.slow_sync import delay_s

pytestmark = pytest.mark.parts

ROOT = Path(__file__).parents[2]
WRITE = """
import json, os, pathlib, sys, threading, time

folder = pathlib.Path(sys.argv[1])
said = folder / "delay"
file = os.open(folder / "x", os.O_CREAT | os.O_WRONLY)
beats = []

def beat():
    while not done:
        before = time.monotonic()
        time.sleep(0.01)
        beats.append(time.monotonic() - before)

def took_s(call):
    os.write(file, b"x")
    before = time.monotonic()
    call(file)
    return time.monotonic() - before

done = False
thread = threading.Thread(target=beat)
thread.start()
quick = [took_s(os.fsync), took_s(os.fdatasync)]
said.write_text("150")
slow = [took_s(os.fsync), took_s(os.fdatasync)]
said.write_text("0")
again = [took_s(os.fsync), took_s(os.fdatasync)]
done = True
thread.join()
print(json.dumps({"quick": quick, "slow": slow, "again": again, "beats": len(beats)}))
"""


def started(folder: Path, *program: str) -> subprocess.Popen[str]:
    """Start a program so that its disk can be made slow."""
    said = folder / "delay"
    argv = (sys.executable, "-m", "drills.lab.slow_sync", str(said), "--", *program)
    return subprocess.Popen(
        argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def test_fsync_alone_is_slow_and_all_else_goes_on(tmp_path: Path) -> None:
    out, _ = started(tmp_path, sys.executable, "-c", WRITE, str(tmp_path)).communicate(timeout=30)
    found = json.loads(out)
    assert all(0.15 <= each < 1.0 for each in found["slow"])
    assert max(found["quick"] + found["again"]) < 0.14
    assert found["beats"] >= 15, "other threads went on meanwhile"


def test_who_makes_it_slow_ends_with_it(tmp_path: Path) -> None:
    with started(tmp_path, "sleep", "60") as process:
        until_s = time.monotonic() + 10
        while Path(f"/proc/{process.pid}/comm").read_text().strip() != "sleep":
            assert time.monotonic() < until_s
            time.sleep(0.01)
        assert len(group_of(process.pid)) == 2
        process.send_signal(signal.SIGKILL)
    while group_of(process.pid):
        assert time.monotonic() < until_s
        time.sleep(0.01)


def group_of(leader: int) -> list[int]:
    """Return who lives in a process group."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                is_one = os.getpgid(int(each.name)) == leader
                is_dead = (each / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except (ProcessLookupError, FileNotFoundError):
                continue
            if is_one and not is_dead:
                found.append(int(each.name))
    return found


def test_a_file_that_says_nothing_makes_nothing_slow(tmp_path: Path) -> None:
    assert delay_s(tmp_path / "none") == 0.0
    (tmp_path / "torn").write_text("30 ms")
    assert delay_s(tmp_path / "torn") == 0.0
    (tmp_path / "said").write_text("300\n")
    assert delay_s(tmp_path / "said") == 0.3
