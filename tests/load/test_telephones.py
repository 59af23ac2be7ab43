"""Telephones whose program dies, or whose worker does, in a process of gevent's as Locust's are."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PROGRAM = str(Path(__file__).with_name("dying_phones.py"))


def run(*words: str) -> subprocess.CompletedProcess[str]:
    own = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = (sys.executable, PROGRAM, *words)
    return subprocess.run(command, env=own, capture_output=True, text=True, check=False)


def test_calls_of_telephones_that_die_are_told_and_others_begun(tmp_path: Path) -> None:
    done = run(str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "heard": "invite",
        "why": "the telephones have ended: see their log",
        "ends": [["5", "fault", "telephones gone"], ["6", "fault", "telephones gone"]],
        "is_another": True,
        "restarted": ["callers"],
        "said": 1,
    }


def test_telephones_of_a_worker_that_is_killed_end_with_it(tmp_path: Path) -> None:
    done = run(str(tmp_path), "abandon")
    assert done.returncode == -signal.SIGKILL, done.stderr
    try:
        process = os.pidfd_open(int(done.stdout))
    except ProcessLookupError:
        return
    try:
        ended, _, _ = select.select([process], [], [], 10.0)
        if not ended:
            signal.pidfd_send_signal(process, signal.SIGKILL)
    finally:
        os.close(process)
    assert ended
