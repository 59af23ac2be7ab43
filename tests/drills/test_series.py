"""What a series keeps of each of its drills."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

from drills.demo.run import Stage
from drills.drill import rehearsal, series
from drills.drill.ground import Hands
from drills.drill.rehearsal import Rehearsed
from drills.due import Due
from drills.experiment import Bound, Experiment
from drills.lab.errors import LabError
from drills.lever import Lever
from drills.library import experiment_of
from drills.shelf import CAPTURE, NotKeptError, Shelf
from tests.drills.good_run import seen

STAGE = cast("Stage", SimpleNamespace(lab=None))


def test_a_drill_whose_evidence_the_disk_does_not_take_says_how_it_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rehearse(_: Stage, __: Experiment, keep: Path, ___: Hands) -> Rehearsed:
        shutil.rmtree(keep)
        return Rehearsed(seen=seen(), moments=(), clocks=(), pcap=b"packets")

    def put(*_: object) -> None:
        raise NotKeptError("r1", tmp_path, OSError(28, "No space left on device"))

    monkeypatch.setattr(series, "rehearse", rehearse)
    experiment = replace(
        experiment_of("link_slow"), expect=(Bound(figure="answered", at_most=1e3),)
    )
    hands = Hands(lambda _: None, Lever(tmp_path), is_alone=True)
    told: list[str] = []
    made = series.Series(Shelf(tmp_path), told.append)
    due = Due(experiment=experiment, seed=1)
    with monkeypatch.context() as full:
        full.setattr(Shelf, "put", put)
        with pytest.raises(NotKeptError, match="No space left"):
            asyncio.run(made.drill(STAGE, due, hands))
    assert told == ["link_slow, 1: held, but of that there is no evidence"]
    # And where only its logs could not be kept, its evidence is.
    broken = replace(experiment, expect=(Bound(figure="answered", at_most=-1.0),))
    asyncio.run(made.drill(STAGE, replace(due, experiment=broken), hands))
    assert len(list(Shelf(tmp_path).read_all())) == 1


def test_logs_that_the_disk_does_not_take_end_no_drill(tmp_path: Path) -> None:
    def keep_logs(_: Path) -> None:
        raise LabError("the logs cannot be kept")

    stage = cast("Stage", SimpleNamespace(lab=SimpleNamespace(keep_logs=keep_logs)))
    told: list[str] = []
    rehearsal.keep_logs(stage, tmp_path / "logs", told.append)
    assert told == ["the logs cannot be kept"]


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
