"""What agents did with their time."""

from __future__ import annotations

import pytest

from loadtests.bench.queue.shifts import Shifts


def shifts() -> Shifts:
    return Shifts(ring_s=1.0, wrap_up_s=2.0)


def one_call(made: Shifts, agent: bytes, rung_s: float) -> None:
    """Ring for a second, talk for five, rest for two."""
    made.rung(agent, rung_s)
    made.joined(agent, rung_s + 1)
    made.left(agent, rung_s + 6)


def test_dead_time_is_from_the_end_of_the_rest_to_the_next_ring() -> None:
    made = shifts()
    one_call(made, b"a", 0.0)
    made.rung(b"a", 8.25)
    (idle,) = made.idles
    assert idle.agent == "a"
    assert (idle.rung_s, idle.dead_s) == pytest.approx((8.25, 0.25))
    assert (idle.left_s, idle.free_s) == pytest.approx((6.0, 8.0))


def test_agent_who_is_rung_at_once_is_always_of_use() -> None:
    made = shifts()
    for number in range(4):
        one_call(made, b"a", 8.0 * number)
    assert made.efficiency(1, 0.0, 32.0) == pytest.approx(1.0)


def test_idle_time_and_agents_who_never_got_a_call_count_against_it() -> None:
    made = shifts()
    one_call(made, b"a", 0.0)
    one_call(made, b"a", 16.0)
    assert made.efficiency(1, 0.0, 24.0) == pytest.approx(16 / 24)
    assert made.efficiency(2, 0.0, 24.0) == pytest.approx(8 / 24)


def test_talk_that_is_still_going_on_counts_up_to_the_end() -> None:
    made = shifts()
    made.rung(b"a", 0.0)
    made.joined(b"a", 1.0)
    assert made.talking == 1
    assert made.efficiency(1, 0.0, 5.0) == pytest.approx(1.0)


def test_time_between_answer_and_joining_is_nobodys_use() -> None:
    made = shifts()
    made.rung(b"a", 0.0)
    made.joined(b"a", 3.0)
    made.left(b"a", 6.0)
    assert made.efficiency(1, 0.0, 8.0) == pytest.approx(6 / 8)


def test_who_is_hung_up_on_and_hangs_up_rests_once() -> None:
    made = shifts()
    one_call(made, b"a", 0.0)
    made.left(b"a", 6.1)
    made.rung(b"a", 8.0)
    (idle,) = made.idles
    assert (idle.left_s, idle.rung_s, idle.dead_s) == pytest.approx((6.0, 8.0, 0.0))


def test_only_rings_in_the_asked_time_are_told() -> None:
    made = shifts()
    for number in range(3):
        one_call(made, b"a", 10.0 * number)
    (idle,) = made.idle_between(0.0, 15.0)
    assert idle.dead_s == pytest.approx(2.0)
