"""Telephones whose program dies, in a process of gevent's as a worker of Locust is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def test_calls_of_telephones_that_die_are_told_and_others_begun(tmp_path: Path) -> None:
    program = (sys.executable, str(Path(__file__).with_name("dying_phones.py")), str(tmp_path))
    own = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(program, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "heard": "invite",
        "why": "the telephones have ended: see their log",
        "ends": [["5", "fault", "telephones gone"], ["6", "fault", "telephones gone"]],
        "is_another": True,
        "restarted": ["callers"],
        "said": 1,
    }
