"""The random faults of a run, and the orders of a campaign."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.prove.campaign import DEATH_EVERY, ROUND_S, round_order
from drills.prove.faults import LONG_DEATH_S, schedule
from drills.prove.history import FaultKind
from drills.prove.mutants import MUTANTS, OF_EDGES
from drills.prove.run import LAUNCHER
from tests.prove.bugs import BUGS


@given(seed=st.integers(0, 10_000), seconds=st.floats(10.0, 120.0))
def test_a_seed_gives_the_same_faults_again_and_all_are_over_in_time(
    seed: int, seconds: float
) -> None:
    faults = schedule(seed, seconds)
    assert faults == schedule(seed, seconds)
    assert all(fault.at_s + fault.for_s <= seconds for fault in faults)
    assert all(fault.for_s <= 60.0 for fault in faults)


def test_every_kind_of_fault_comes_about() -> None:
    kinds = {fault.kind for seed in range(20) for fault in schedule(seed, 90.0)}
    assert kinds == set(FaultKind)


def test_nothing_is_done_twice_at_once_to_the_same_process() -> None:
    for seed in range(50):
        ends_s: dict[str, float] = {}
        for fault in schedule(seed, 90.0):
            if fault.kind in {FaultKind.KILL_EDGE, FaultKind.FREEZE_EDGE}:
                assert fault.at_s >= ends_s.get(fault.target, 0.0)
                ends_s[fault.target] = fault.at_s + fault.for_s


def test_in_some_rounds_an_edge_lies_dead_alone() -> None:
    for number in range(2 * DEATH_EVERY):
        order = round_order(7, number, 100_000)
        assert (order.seed, order.seconds) == (7 + number, ROUND_S)
        first, *others = order.faults
        alone_s = first.at_s + LONG_DEATH_S
        if number % DEATH_EVERY == 0:
            assert (first.kind, first.for_s) == (FaultKind.KILL_EDGE, LONG_DEATH_S)
            assert all(other.at_s > alone_s for other in others)


def test_a_short_campaign_has_a_short_round() -> None:
    assert round_order(1, 1, 1000).seconds < ROUND_S


def test_every_mutant_of_the_edge_can_be_planted_and_there_are_enough() -> None:
    assert {mutant.name for mutant in OF_EDGES} == set(BUGS)
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 10


@pytest.mark.parametrize("bug", ["level_ignored", "no_such_bug"])
def test_an_edge_is_started_by_path_with_its_bug_or_not_at_all(bug: str, tmp_path: Path) -> None:
    (tmp_path / "edge.disturb").write_text(json.dumps({"plant": bug}))
    program = [sys.executable, str(LAUNCHER), "--config", str(tmp_path / "edge.toml")]
    ended = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path, check=False)
    # An edge without a configuration goes no further.
    assert ("cannot be read" in ended.stderr) is (bug in BUGS)
    assert ended.returncode


def test_a_campaign_of_some_faults_has_only_these() -> None:
    some = (FaultKind.CUT_OFF, FaultKind.KILL_EDGE)
    orders = [round_order(7, number, 100_000, some) for number in range(DEATH_EVERY + 1)]
    assert {fault.kind for order in orders for fault in order.faults} == set(some)
