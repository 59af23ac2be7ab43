"""Drills for real: a lab is broken, callers are counted, evidence kept. A controller dies."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from drills.course import End
from drills.evidence import Evidence
from drills.shelf import AGENTS_CAPTURE, CAPTURE, PAGE, Shelf, tamper

pytestmark = pytest.mark.lab(outside=True)

ROOT = Path(__file__).parents[2]


async def drilled(name: str, home: Path) -> Evidence:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "drills", "drill", "run", name, "--keep", str(home)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    told = f"{out.decode()}\n{err.decode()}"
    runs = Shelf(home).runs()
    assert runs, told
    evidence = Shelf(home).read(runs[-1])
    assert evidence.experiment.name == name
    assert evidence.end is End.COMPLETED, told
    assert process.returncode == (0 if evidence.held else 1), told
    return evidence


async def test_a_killed_site_costs_what_was_promised_and_the_evidence_stands(
    tmp_path: Path,
) -> None:
    evidence = await drilled("site_killed", tmp_path)
    assert evidence.held, evidence.findings
    assert evidence.moved
    witnesses = {moment.who.partition(" ")[0] for moment in evidence.timeline}
    assert len(witnesses & {"a", "b", "c"}) >= 2
    shelf = Shelf(tmp_path)
    folder = shelf.folder(evidence.run)
    assert (folder / PAGE).read_text().startswith("<!doctype html>")
    assert all((folder / each).stat().st_size > 100_000 for each in (CAPTURE, AGENTS_CAPTURE))
    tried, found, _ = tamper(shelf, [evidence.run])
    assert tried == found > 0


async def test_a_killed_controllers_faults_mend_themselves(tmp_path: Path) -> None:
    evidence = await drilled("controller_dies", tmp_path)
    assert evidence.held, evidence.findings
    mended = [moment.what for moment in evidence.timeline if "is over" in moment.what]
    assert mended
    assert all(what.endswith("by timer") for what in mended)
