"""A moment of soak: half the load, something that breaks meanwhile, and all in order after."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from loadtests.load.report import Report

pytestmark = pytest.mark.lab(outside=True)
PROJECT = Path(__file__).parents[2]
LIMITS = Path(__file__).with_name("soak.toml")


def test_moment_of_soak_leaves_an_exact_ledger_and_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    words = ("--minutes", "0.35", "--users", "8", "--agents", "3", "--limits", str(LIMITS))
    # By this seed the leader of etcd is lost, and back before the end.
    seed = ("--seed", "3")
    done = subprocess.run(
        [sys.executable, "-m", "drills", "load", "soak", *words, *seed, "--json", str(file)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    assert report.held
    assert report.faults
    assert not report.refused_faults
    assert report.figures["call.ended_talked.count"] > 0
    assert report.growth["edge"]["memory_mb"].last > 0
