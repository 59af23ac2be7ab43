"""Which drills are for a lab alone, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from drills.cli.drill_live import ask, check_live, forbidden_because, run_live
from drills.cli.drill_schedule import add
from drills.cli.errors import CommandError
from drills.drill.live_evidence import figures
from drills.experiment import Bound
from drills.library import experiment_of, experiments
from drills.live_rules import JUDGED, only_in_a_lab_because
from drills.schedule.book import Book
from drills.shelf import Shelf
from tests.drills.test_live import COURSE, END_MS, A, probe

IN_A_LAB_ALONE = {
    "callers_called_back": "synthetic callers who wait or dial again",
    "carrier_floods": "6 calls a second",
    "clocks_wrong": "clocks",
    "controller_dies": "kills the process that carries it out",
    "database_primary_lost": "no database over the sites",
    "etcd_slow_disk": "disks",
    "drill_aborted": "an operator who aborts it",
    "waiting_redial": "synthetic callers who wait or dial again",
}


@pytest.mark.parametrize("name", experiments())
def test_a_drill_for_a_lab_alone_is_refused_with_its_reason_and_what_to_do(name: str) -> None:
    why = only_in_a_lab_because(experiment_of(name))
    if name not in IN_A_LAB_ALONE:
        assert why is None
        return
    assert why is not None
    assert IN_A_LAB_ALONE[name] in why
    assert f"./everline drill run {name}" in why


def test_what_nobody_measures_on_sites_that_are_up_can_be_no_condition_there() -> None:
    killed = experiment_of("site_killed")
    late = Bound(figure="calls_late", at_most=0)
    assert "calls_late" in str(only_in_a_lab_because(replace(killed, steady=(late,))))
    assert "calls_late" in str(only_in_a_lab_because(replace(killed, abort=(late,))))
    lost = (Bound(figure="lost", at_most=0),)
    assert "nothing of what it expects" in str(only_in_a_lab_because(replace(killed, expect=lost)))
    # How busy a lab's machine is tells nothing of sites that are up.
    assert experiment_of("keys_lost").ready
    assert only_in_a_lab_because(experiment_of("keys_lost")) is None


def test_what_can_be_judged_is_what_test_calls_and_timers_show() -> None:
    assert set(figures(COURSE, [probe(1.0, A)], A, END_MS)) == JUDGED


@pytest.mark.parametrize("name", IN_A_LAB_ALONE)
def test_nobody_is_asked_anything_for_a_drill_that_is_for_a_lab_alone(
    tmp_path: Path, name: str
) -> None:
    """No site is up here: whoever were asked would not answer."""
    experiment, shelf = experiment_of(name), Shelf(tmp_path)
    ways: tuple[Callable[[], int], ...] = (
        lambda: check_live(experiment, shelf),
        lambda: run_live(experiment, shelf, really=True),
        lambda: ask(name, why="quarterly"),
        lambda: add("monthly", name, at="0 3 * * *", live=True, keep=tmp_path),
    )
    for way in ways:
        with pytest.raises(CommandError, match="is not for sites that are up"):
            way()
    assert "is not for sites that are up" in str(forbidden_because(experiment))
    assert Book(tmp_path).read().names == ()
