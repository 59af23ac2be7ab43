"""Drills for real, a short set in one lab: something is broken, callers counted, evidence kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from drills.evidence import Evidence
from drills.shelf import AGENTS_CAPTURE, CAPTURE, PAGE, Shelf, tamper

pytestmark = [pytest.mark.lab(outside=True), pytest.mark.longer(300)]

ROOT = Path(__file__).parents[2]
SHORT = ("site_killed", "partition_full", "rtpengine_killed", "site_drained", "controller_dies")
"""One of each: a site, its links, a process, steering, and the drill's own controller. None that
asks for a machine with time, which one that runs all tests has not."""


@pytest.fixture(scope="module")
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Carry those out that are asked about, in one lab; return where their evidence is."""
    home = tmp_path_factory.mktemp("drills")
    asked = {
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path
    }
    names = [name for name in SHORT if name in asked]
    options = ("--repeats", "1", "--keep", str(home), "--json", str(home / "drills.json"))
    done = subprocess.run(
        (sys.executable, "-m", "drills", "drill", "all", *names, *options),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert Shelf(home).runs(), f"{done.stdout}\n{done.stderr}"
    return home


def of(name: str, home: Path) -> Evidence:
    """Return a drill's evidence."""
    shelf = Shelf(home)
    found = [shelf.read(run) for run in shelf.runs()]
    (mine,) = (each for each in found if each.experiment.name == name)
    return mine


@pytest.mark.parametrize("name", SHORT)
def test_what_was_broken_cost_what_was_promised(name: str, home: Path) -> None:
    evidence = of(name, home)
    assert evidence.held, (evidence.why, evidence.findings)


@pytest.mark.parametrize("name", ["site_killed"])
def test_its_evidence_stands_and_has_more_than_one_witness(name: str, home: Path) -> None:
    evidence = of(name, home)
    assert evidence.moved
    witnesses = {moment.who.partition(" ")[0] for moment in evidence.timeline}
    assert len(witnesses & {"a", "b", "c"}) >= 2
    shelf = Shelf(home)
    folder = shelf.folder(evidence.run)
    assert (folder / PAGE).read_text().startswith("<!doctype html>")
    assert all((folder / each).stat().st_size > 100_000 for each in (CAPTURE, AGENTS_CAPTURE))
    tried, found, fallen = tamper(shelf, [evidence.run])
    assert (tried == found > 0, fallen) == (True, {})


@pytest.mark.parametrize("name", ["controller_dies"])
def test_a_killed_controllers_faults_mend_themselves(name: str, home: Path) -> None:
    evidence = of(name, home)
    mended = [moment.what for moment in evidence.timeline if "is over" in moment.what]
    assert mended
    assert all(what.endswith("by timer") for what in mended)
