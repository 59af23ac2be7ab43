"""Waiting for a machine with time, and what is kept when it does not come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace as replace_in
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from drills.course import Course, End
from drills.demo.run import Stage
from drills.drill import series, waiting
from drills.drill.ground import Hands
from drills.drill.machine import LOOKS, Machine
from drills.drill.waiting import in_vain
from drills.due import Due
from drills.evidence import Evidence, lacked
from drills.experiment import Bound, Experiment
from drills.lever import Lever
from drills.library import experiment_of
from drills.runner import broken
from drills.shelf import PAGE, Shelf
from state.clock import SystemClock
from tests.drills.pieces import piece

KEYS, STORE = experiment_of("keys_lost"), experiment_of("store_lost")
QUORUM, FLAPS = experiment_of("etcd_quorum_lost"), experiment_of("link_flaps")


class Load:
    """A machine on which so many processes want each core."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "loadavg"
        self._machine = Machine(self._file, cores=1)
        self.told: list[str] = []
        self.hands = Hands(self.told.append, Lever(folder), is_alone=True, machine=self._machine)

    def wants(self, processes: int) -> None:
        """Let it be so busy for as long as is looked back."""
        self._file.write_text(f"0 0 0 {processes + 1}/500 1\n")
        for _ in range(LOOKS):
            self._machine.look()


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.setattr(waiting, "LOOK_EVERY_S", 0.01)
    return Load(tmp_path)


async def test_where_there_is_time_nobody_waits(load: Load) -> None:
    load.wants(6)
    assert await in_vain(KEYS, load.hands, SystemClock()) is None
    assert load.told == []


async def test_what_was_there_within_the_minute_is_said_and_kept_second_by_second(
    load: Load,
) -> None:
    load.wants(9)
    waits = asyncio.create_task(in_vain(KEYS, load.hands, SystemClock(), within_s=0.3))
    await asyncio.sleep(0.1)
    load.wants(7)
    course = await waits
    assert course is not None
    assert course.end is End.NOT_STEADY
    assert course.why == "not there within 0 s: runnable_per_core was 7.0 to 9.0"
    assert len(course.looks) > 2
    assert load.told == ["waits for a machine that has time: runnable_per_core <= 6, but it is 9"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (151 / 34, "4.44"),
        (9.0, "9"),
        (4.0009, "4.001"),
        (1234567.89, "1234567.89"),
        (None, "unknown"),
    ],
)
def test_what_there_is_instead_is_rounded_but_never_to_what_is_asked_for(
    value: float | None, told: str
) -> None:
    bound = Bound(figure="runnable_per_core", at_most=4)
    values = {} if value is None else {bound.figure: value}
    assert broken((bound,), values) == f"runnable_per_core <= 4, but it is {told}"


def test_a_figure_that_is_just_too_small_is_not_said_to_be_enough() -> None:
    bound = Bound(figure="success_share", at_least=0.95)
    assert broken((bound,), {bound.figure: 0.949_99}) == (
        "0.95 <= success_share, but it is 0.94999"
    )


async def test_it_begins_as_soon_as_there_is_time(load: Load) -> None:
    load.wants(9)
    waits = asyncio.create_task(in_vain(KEYS, load.hands, SystemClock()))
    await asyncio.sleep(0.05)
    load.wants(2)
    assert await asyncio.wait_for(waits, 5.0) is None


async def test_nobody_goes_on_waiting_when_drills_are_to_stop(load: Load) -> None:
    load.wants(9)
    waits = asyncio.create_task(in_vain(KEYS, load.hands, SystemClock()))
    await asyncio.sleep(0.05)
    load.hands.lever.pull()
    course = await asyncio.wait_for(waits, 5.0)
    assert course is not None
    assert (course.end, course.why) == (End.REFUSED, "the safety lever was pulled")


async def test_that_it_was_not_begun_is_evidence_which_stands_and_says_what_it_lacked(
    load: Load, tmp_path: Path
) -> None:
    load.wants(9)
    course = await in_vain(KEYS, load.hands, SystemClock(), within_s=0.05)
    assert course is not None
    shelf = Shelf(tmp_path / "kept")
    made = series.Series(shelf, lambda _: None)
    evidence = made.leave_out(Due(experiment=KEYS, seed=3), course)
    assert [replace(each, page="") for each in shelf.read_all()] == [evidence]
    assert not evidence.was_begun
    assert not evidence.held
    assert lacked(evidence) == KEYS.ready
    assert (evidence.seed, evidence.calls) == (3, ())
    page = (shelf.folder(evidence.run) / PAGE).read_text()
    assert "was not tested: the drill was not begun" in page
    assert "runnable_per_core was 9.0 to 9.0" in page


@contextlib.asynccontextmanager
async def no_lab(*_: object, **__: object) -> AsyncIterator[object]:
    async def send_home() -> None:
        pass

    yield SimpleNamespace(people=SimpleNamespace(send_home=send_home), clock=SystemClock())


def in_a_lab(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    busy: int,
    *,
    begin_within_s: float | None = None,
) -> list[Evidence]:
    """Return what a lab brings where so many processes want each core at each drill's turn."""

    async def waited(experiment: Experiment, hands: Hands, clock: SystemClock) -> Course | None:
        load = Load(tmp_path)
        load.wants(busy)
        there = replace_in(hands, machine=load.hands.machine)
        return await in_vain(experiment, there, clock, within_s=0.02)

    async def ready(*_: object) -> str:
        return ""

    async def drill(_: object, __: Stage, due: Due, ___: Hands) -> Evidence:
        return replace(piece(), experiment=due.experiment, seed=due.seed)

    monkeypatch.setattr(waiting, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(series, "staged", no_lab)
    monkeypatch.setattr(series, "in_vain", waited)
    monkeypatch.setattr(series.Series, "_make_ready", ready)
    monkeypatch.setattr(series.Series, "drill", drill)
    shelf = Shelf(tmp_path / "kept")
    shelf.home.mkdir()
    due = [Due(experiment=each, seed=1) for each in (QUORUM, KEYS, QUORUM, STORE, FLAPS)]
    made = series.Series(shelf, lambda _: None)
    return asyncio.run(made.carry_out(due, begin_within_s))


def named(found: list[Evidence]) -> list[tuple[str, bool]]:
    return [(each.experiment.name, each.was_begun) for each in found]


def test_a_lab_waits_once_for_what_does_not_come_and_leaves_out_all_that_ask_for_as_much(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert named(in_a_lab(monkeypatch, tmp_path, 5)) == [
        ("etcd_quorum_lost", False),
        ("keys_lost", True),
        ("store_lost", True),
        ("link_flaps", True),
    ]


def test_a_lab_on_a_busy_machine_does_what_asks_for_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert named(in_a_lab(monkeypatch, tmp_path, 9)) == [
        ("etcd_quorum_lost", False),
        ("keys_lost", False),
        ("link_flaps", True),
    ]


def test_none_is_begun_when_the_time_is_over_though_the_machine_has_some(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = in_a_lab(monkeypatch, tmp_path, 1, begin_within_s=0.0)
    assert named(found) == [("etcd_quorum_lost", True)], "the first has a lab by now"
