"""Clocks that a drill sets wrong: only they are wrong, and the process works as it did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from drills.lab.site import moved_by

pytestmark = pytest.mark.parts

SAY = """
import json, threading, time

spent = []

def wait():
    before = time.thread_time()
    ready.set()
    while not done:
        pass
    spent.append(time.thread_time() - before)

mono = time.monotonic()
done, ready = False, threading.Event()
thread = threading.Thread(target=wait)
thread.start()
ready.wait()
sum(range(40_000_000))  # Python's lock is held all the while
done = True
thread.join()
print(json.dumps({"wall": time.time(), "mono": mono, "waiting_s": spent[0]}))
"""


def said(tmp_path: Path, clock: str) -> dict[str, float]:
    (tmp_path / "clock").write_text(clock)
    env = {**os.environ, **moved_by(tmp_path / "clock")}
    done = subprocess.run(
        (sys.executable, "-c", SAY), env=env, capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def test_the_wall_clock_alone_is_wrong(tmp_path: Path) -> None:
    right, wrong = said(tmp_path, "+0\n"), said(tmp_path, "+600\n")
    assert 600 <= wrong["wall"] - right["wall"] < 660
    assert 0 < wrong["mono"] - right["mono"] < 60


def test_a_thread_that_waits_for_pythons_lock_sleeps(tmp_path: Path) -> None:
    assert said(tmp_path, "+600\n")["waiting_s"] < 0.05
