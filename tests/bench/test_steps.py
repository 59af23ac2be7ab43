"""The table of steps: what lies between the instants that were noted inside an edge."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from loadtests.bench.steps import STEPS, At, Times, Way, taken

ONE_BY_ONE: dict[str, float] = {
    At.CAME: 10.000,
    At.READ: 10.001,
    At.ASKED: 10.003,
    At.ANSWERED: 10.004,
    At.TICKET: 10.007,
    At.MATCHED: 10.0065,
    At.RESERVED: 10.012,
    At.OFFERED: 10.0125,
    At.RUNG: 10.013,
    At.RINGING: 10.020,
}
AT_ONCE: dict[str, float] = {
    At.CAME: 20.000,
    At.READ: 20.001,
    At.MATCHED: 20.002,
    At.ASKED: 20.003,
    At.TICKET: 20.008,
    At.RESERVED: 20.0081,
    At.ANSWERED: 20.010,
    At.OFFERED: 20.013,
    At.RUNG: 20.014,
    At.RINGING: 20.030,
}


def by_name(times: tuple[Times, ...]) -> dict[str, Times]:
    return {each.step: each for each in times}


def test_a_step_takes_what_lies_between_its_instants() -> None:
    (found,) = taken([ONE_BY_ONE])
    assert by_name(found.steps)["ticket: one transaction of etcd"].p50_ms == pytest.approx(4.0)
    beside = by_name(found.beside)
    assert beside["INVITE in to the agent's INVITE out"].p99_ms == pytest.approx(13.0)
    assert beside["INVITE in to the agent's telephone ringing"].share == pytest.approx(1.0)


def test_a_match_before_the_answer_of_the_store_takes_no_time_and_none_is_counted_twice() -> None:
    (found,) = taken([ONE_BY_ONE])
    assert by_name(found.steps)["until the call is matched"].p50_ms == 0.0
    assert sum(each.share for each in found.steps) == pytest.approx(1.0)


def test_an_agent_who_is_taken_with_the_ticket_has_steps_of_their_own() -> None:
    one, other = taken([AT_ONCE, ONE_BY_ONE, AT_ONCE])
    assert (one.way, one.calls, other.way, other.calls) == (Way.AT_ONCE, 2, Way.ONE_BY_ONE, 1)
    steps = by_name(one.steps)
    assert steps["ticket and agent: one transaction of etcd"].p50_ms == pytest.approx(5.1)
    assert steps["until the caller is answered, too"].p50_ms == pytest.approx(1.9)
    assert steps["a session description for the agent"].p50_ms == pytest.approx(3.0)
    assert sum(each.share for each in one.steps) == pytest.approx(1.0)


def test_a_caller_who_is_answered_before_the_agent_is_theirs_makes_nobody_wait() -> None:
    (found,) = taken([AT_ONCE | {At.ANSWERED: 20.004}])
    assert by_name(found.steps)["until the caller is answered, too"].p50_ms == 0.0
    assert by_name(found.beside)["INVITE in to the caller's 200"].p50_ms == pytest.approx(4.0)


def test_calls_that_did_not_come_as_far_are_left_out() -> None:
    half = {at: when for at, when in AT_ONCE.items() if at not in {At.RUNG, At.RINGING}}
    assert taken([AT_ONCE, half]) == taken([AT_ONCE])


def test_of_no_calls_there_is_no_way() -> None:
    assert taken([]) == ()


@pytest.mark.parametrize("way", Way)
def test_the_steps_follow_one_another_from_the_first_instant_to_the_last(way: Way) -> None:
    steps = STEPS[way]
    assert (steps[0].begins, steps[-1].ends) == (At.CAME, At.RINGING)
    assert all(one.ends is following.begins for one, following in itertools.pairwise(steps))


def test_the_methods_that_the_stopwatch_is_laid_over_are_there() -> None:
    # In a process of its own: it stays on.
    code = "from loadtests.bench.stopwatch import Stopwatch; Stopwatch().start()"
    subprocess.run((sys.executable, "-c", code), check=True)
