"""What a series keeps of each of its drills."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

from drills.demo.run import Stage
from drills.drill import series
from drills.drill.ground import Hands
from drills.drill.rehearsal import Rehearsed
from drills.due import Due
from drills.experiment import Bound, Experiment
from drills.lever import Lever
from drills.library import experiment_of
from drills.shelf import CAPTURE, Shelf
from tests.drills.good_run import seen

STAGE = cast("Stage", SimpleNamespace(lab=None))


@pytest.mark.parametrize("holds", [True, False])
def test_logs_outlive_the_lab_beside_what_did_not_hold_and_nothing_else_is_left(
    *, holds: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rehearse(_: Stage, __: Experiment, keep: Path, ___: Hands) -> Rehearsed:
        assert not keep.is_relative_to("/run"), "a lab covers it, and goes with it"
        (keep / "edge-a1.log").write_text("{}\n")
        return Rehearsed(seen=seen(), moments=(), clocks=(), pcap=b"packets")

    monkeypatch.setattr(series, "rehearse", rehearse)
    most = 1000.0 if holds else -1.0
    bound = Bound(figure="answered", at_most=most)
    experiment = replace(experiment_of("link_slow"), expect=(bound,))
    shelf = Shelf(tmp_path)
    hands = Hands(lambda _: None, Lever(tmp_path), is_alone=True)
    made = series.Series(shelf, lambda _: None)
    evidence = asyncio.run(made.drill(STAGE, Due(experiment=experiment, seed=1), hands))
    assert evidence.held is holds
    folder = shelf.folder(evidence.run)
    assert (folder / CAPTURE).read_bytes() == b"packets"
    assert (folder / "logs" / "edge-a1.log").exists() is not holds
    assert not list(tmp_path.glob("at-work-*"))
    assert list(shelf.read_all()) == [evidence]
