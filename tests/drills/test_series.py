"""What a series keeps of each of its drills."""

from __future__ import annotations

import asyncio
import contextlib
import math
import shutil
from collections.abc import AsyncIterator, Callable
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
from drills.evidence import Evidence
from drills.experiment import Bound, Experiment
from drills.lab.errors import LabError
from drills.lever import Lever
from drills.library import experiment_of
from drills.shelf import CAPTURE, NotKeptError, Shelf
from state.clock import SystemClock
from tests.drills.good_run import seen
from tests.drills.pieces import piece

STAGE = cast("Stage", SimpleNamespace(lab=None, clock=SystemClock()))


def test_a_drill_whose_evidence_the_disk_does_not_take_says_how_it_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rehearse(_: Stage, __: Experiment, keep: Path, ___: Hands, ____: object) -> Rehearsed:
        shutil.rmtree(keep)
        return Rehearsed(seen=seen(), moments=(), clocks=(), pcaps={CAPTURE: b"packets"})

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


class Labs:
    """A lab of which nothing is there: each drill in it leaves the evidence that is given."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, home: Path, leaves: Callable[[Due], Evidence]
    ) -> None:
        self.drilled: list[int] = []
        """By their seeds."""
        self.stopped: list[str | None] = []
        """Of each, why it had to stop as it began."""
        self.told: list[str] = []
        self._home = home

        async def drill(_: series.Series, __: Stage, due: Due, hands: Hands) -> Evidence:
            self.drilled.append(due.seed)
            self.stopped.append(hands.lever.stopped_because())
            return leaves(due)

        async def ready(*_: object) -> str:
            return ""

        @contextlib.asynccontextmanager
        async def staged(*_: object, **__: object) -> AsyncIterator[Stage]:
            yield cast(
                "Stage",
                SimpleNamespace(clock=SystemClock(), people=SimpleNamespace(send_home=ready)),
            )

        monkeypatch.setattr(series, "staged", staged)
        monkeypatch.setattr(series.Series, "drill", drill)
        monkeypatch.setattr(series.Series, "_make_ready", ready)

    def carry_out(self, count: int) -> None:
        """Drill so often in one lab."""
        made = series.Series(Shelf(self._home), self.told.append)
        experiment = replace(experiment_of("site_killed"), ready=())
        due = [Due(experiment=experiment, seed=seed) for seed in range(1, count + 1)]
        asyncio.run(made.carry_out(due, None))


def test_a_lab_in_which_something_stays_broken_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaves(due: Due) -> Evidence:
        late_s = math.inf if due.seed == 2 else 0.1
        return replace(piece(), figures={"ttl_overrun_s": late_s})

    labs = Labs(monkeypatch, tmp_path, leaves)
    labs.carry_out(3)
    assert labs.drilled == [1, 2]
    assert labs.told[-1] == "this lab is given up: not all that was broken could be undone"


def test_an_abort_stops_the_drill_that_runs_and_none_of_those_after_it_in_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaves(due: Due) -> Evidence:
        if due.seed == 1:
            Lever(tmp_path).abort()
        return piece()

    labs = Labs(monkeypatch, tmp_path, leaves)
    labs.carry_out(3)
    assert labs.drilled == [1, 2, 3]
    assert labs.stopped == [None, None, None]


def test_an_abort_between_two_drills_is_for_the_one_that_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labs = Labs(monkeypatch, tmp_path, lambda _: piece())

    async def make_ready(*_: object) -> str:
        if len(labs.drilled) == 1:
            Lever(tmp_path).abort()
        return ""

    monkeypatch.setattr(series.Series, "_make_ready", make_ready)
    labs.carry_out(3)
    assert labs.stopped == [None, "an operator aborted it", None]


def test_once_the_lever_is_pulled_no_further_drill_of_a_lab_is_gone_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaves(due: Due) -> Evidence:
        if due.seed == 2:
            Lever(tmp_path).pull()
        return piece()

    labs = Labs(monkeypatch, tmp_path, leaves)
    labs.carry_out(4)
    assert labs.drilled == [1, 2]
    assert "lever" in labs.told[-1]


@pytest.mark.parametrize("holds", [True, False])
def test_logs_outlive_the_lab_beside_what_did_not_hold_and_nothing_else_is_left(
    *, holds: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rehearse(_: Stage, __: Experiment, keep: Path, ___: Hands, ____: object) -> Rehearsed:
        assert not keep.is_relative_to("/run"), "a lab covers it, and goes with it"
        (keep / "edge-a1.log").write_text("{}\n")
        return Rehearsed(seen=seen(), moments=(), clocks=(), pcaps={CAPTURE: b"packets"})

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
    assert [replace(each, page="") for each in shelf.read_all()] == [evidence]
