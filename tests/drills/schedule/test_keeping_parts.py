"""The process that keeps the calendar: one of it, told to end as services are."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drills.lever import Lever
from drills.schedule.book import Book
from drills.schedule.calendar import Entry
from drills.setup.pyenv import ROOT

pytestmark = pytest.mark.parts
WAIT_S = 60.0
COMMAND = (sys.executable, "-m", "drills", "drill", "schedule", "run", "--keep")


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_it_waits_while_the_lever_is_pulled_and_ends_when_it_is_told_to(
    tmp_path: Path, told: signal.Signals
) -> None:
    Lever(tmp_path).pull()
    entry = Entry(
        name="always", drill="edge_killed", rule="* * * * *", zone="UTC", minutes=1440, made_ms=0
    )
    Book(tmp_path).add(entry)
    with subprocess.Popen(
        [*COMMAND, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as keeper:
        try:
            assert keeper.stderr is not None
            heard = iter(keeper.stderr)
            assert any("always waits: the safety lever is pulled" in line for line in heard)
            other = subprocess.run(
                [*COMMAND, str(tmp_path)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=WAIT_S,
                check=False,
            )
            assert (other.returncode, "keeps the calendar" in other.stderr) == (1, True)
            keeper.send_signal(told)
            assert keeper.wait(WAIT_S) == 0
        finally:
            keeper.kill()
    begun = [each for each in Book(tmp_path).outcomes() if each.became != "missed"]
    assert begun == []
