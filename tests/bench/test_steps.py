"""The table of steps: what lies between the instants that were noted inside an edge."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from loadtests.bench.steps import STEPS, At, times

CALL: dict[str, float] = {
    At.CAME: 10.000,
    At.READ: 10.001,
    At.ASKED: 10.003,
    At.ANSWERED: 10.004,
    At.TICKET: 10.007,
    At.MATCHED: 10.0065,
    At.RESERVED: 10.012,
    At.RUNG: 10.013,
    At.RINGING: 10.020,
}


def test_a_step_takes_what_lies_between_its_instants() -> None:
    found = {each.step: each for each in times([CALL])}
    assert found["ticket: one transaction of etcd"].p50_ms == pytest.approx(4.0)
    assert found["INVITE in to the agent's INVITE out"].p99_ms == pytest.approx(13.0)
    assert found["INVITE in to the agent's telephone ringing"].share == pytest.approx(1.0)


def test_a_match_before_the_answer_of_the_store_takes_no_time_and_none_is_counted_twice() -> None:
    found = times([CALL])
    named = {each.step: each for each in found}
    assert named["until the call is matched"].p50_ms == 0.0
    assert sum(each.share for each in found[: len(STEPS)]) == pytest.approx(1.0)


def test_calls_that_did_not_come_as_far_are_left_out() -> None:
    half = {at: when for at, when in CALL.items() if at not in {At.RUNG, At.RINGING}}
    assert times([CALL, half]) == times([CALL])


def test_of_no_calls_there_is_a_table_of_nothing() -> None:
    assert {each.share for each in times([])} == {0.0}


def test_the_steps_follow_one_another_from_the_first_instant_to_the_last() -> None:
    assert (STEPS[0].begins, STEPS[-1].ends) == (At.CAME, At.RINGING)
    assert all(one.ends is following.begins for one, following in itertools.pairwise(STEPS))


def test_the_methods_that_the_stopwatch_is_laid_over_are_there() -> None:
    # In a process of its own: it stays on.
    code = "from loadtests.bench.stopwatch import Stopwatch; Stopwatch().start()"
    subprocess.run((sys.executable, "-c", code), check=True)
