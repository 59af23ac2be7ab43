"""How many calls an edge takes: no limit in peace, one near its capacity under load."""

from __future__ import annotations

import pytest

from edge.steering.headroom import LEAST_PER_S, PEACE_PER_S, WINDOW_S, Headroom, Window


def window(calls_per_s: float, wait_s: float = 0.001) -> Window:
    return Window(seconds=WINDOW_S, calls=round(calls_per_s * WINDOW_S), wait_s=wait_s)


class Edge:
    """An edge that can do so many calls a second, and its queue, which is a real one."""

    def __init__(self, capacity_per_s: float) -> None:
        self.capacity_per_s = capacity_per_s
        self.waiting = 0.0
        self.headroom = Headroom()

    def second(self, offered_per_s: float) -> float:
        """Let a second pass; return how many calls were taken and served in it."""
        served = 0.0
        for _ in range(round(1 / WINDOW_S)):
            self.waiting += min(offered_per_s * WINDOW_S, self.headroom.calls)
            done = min(self.waiting, self.capacity_per_s * WINDOW_S)
            self.waiting -= done
            served += done
            wait_s = 0.001 + self.waiting / self.capacity_per_s
            seen = Window(seconds=WINDOW_S, calls=round(done), wait_s=wait_s)
            self.headroom = self.headroom.after(seen)
        return served


@pytest.mark.parametrize("calls_per_s", [0, 10, 100, 150])
def test_peace_changes_nothing(calls_per_s: float) -> None:
    headroom = Headroom()
    for _ in range(40):
        headroom = headroom.after(window(calls_per_s))
    assert headroom == Headroom(unneeded=headroom.unneeded)


def test_limit_in_peace_grows_quickly_with_those_who_come() -> None:
    headroom = Headroom()
    for _ in range(4):
        headroom = headroom.after(window(headroom.per_s))
    assert headroom.per_s > 2 * PEACE_PER_S
    assert not headroom.is_limiting


def test_one_bad_window_is_no_overload() -> None:
    headroom = Headroom().after(window(100, wait_s=0.3)).after(window(100))
    assert not headroom.is_limiting
    assert headroom.per_s == PEACE_PER_S


def test_second_bad_window_sets_a_limit_below_what_was_taken() -> None:
    headroom = Headroom().after(window(160, wait_s=0.1)).after(window(160, wait_s=0.1))
    assert headroom.is_limiting
    assert headroom.per_s == pytest.approx(144)
    assert headroom.calls == 36


def test_more_that_waits_lets_fewer_in_until_it_is_worked_off() -> None:
    headroom = Headroom()
    limits = []
    for wait_s in (0.8, 0.8, 0.5, 0.2):
        headroom = headroom.after(window(400, wait_s=wait_s))
        limits.append(headroom.per_s)
    assert limits[1:] == pytest.approx([80, 200, 320])


def test_neighbours_who_keep_datagrams_waiting_cost_few_of_the_calls() -> None:
    headroom = Headroom()
    for _ in range(100):
        headroom = headroom.after(window(min(150, headroom.per_s), wait_s=0.08))
    assert headroom.per_s > 0.9 * 150 * 0.9


def test_neighbours_who_keep_an_edge_from_working_do_not_take_all_its_calls_away() -> None:
    headroom = Headroom()
    for _ in range(50):
        headroom = headroom.after(window(10, wait_s=1.0))
    assert headroom.per_s == LEAST_PER_S


@pytest.mark.parametrize("times", [1.2, 2.0, 5.0, 20.0])
def test_overloaded_edge_goes_on_at_nearly_its_capacity(times: float) -> None:
    edge = Edge(capacity_per_s=300)
    served = [edge.second(300 * times) for _ in range(40)][2:]
    assert sum(served) / len(served) >= 0.95 * 300


@pytest.mark.parametrize("times", [2.0, 5.0, 20.0])
def test_nobody_waits_for_an_answer_until_kamailio_takes_the_edge_for_dead(times: float) -> None:
    edge = Edge(capacity_per_s=300)
    longest_s = 0.0
    for _ in range(40):
        edge.second(300 * times)
        longest_s = max(longest_s, edge.waiting / edge.capacity_per_s)
    assert longest_s < 0.5


def test_slow_edge_is_found_out_too() -> None:
    edge = Edge(capacity_per_s=80)
    served = [edge.second(1000) for _ in range(60)][20:]
    assert sum(served) / len(served) >= 0.9 * 80


def test_load_below_the_limit_is_taken_whole_at_once_and_the_limit_forgotten() -> None:
    edge = Edge(capacity_per_s=300)
    for _ in range(20):
        edge.second(1500)
    assert edge.headroom.is_limiting
    edge.second(150)
    assert edge.second(150) == pytest.approx(150)
    for _ in range(10):
        edge.second(150)
    assert not edge.headroom.is_limiting
