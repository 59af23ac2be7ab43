"""How many calls an edge takes: no limit in peace, one near its capacity under load."""

from __future__ import annotations

import pytest

from edge.steering.headroom import LEAST_PER_S, WINDOW_S, Headroom, Window


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
            room = self.headroom.calls
            offered = offered_per_s * WINDOW_S
            self.waiting += offered if room is None else min(offered, room)
            done = min(self.waiting, self.capacity_per_s * WINDOW_S)
            self.waiting -= done
            served += done
            wait_s = 0.001 + self.waiting / self.capacity_per_s
            seen = Window(seconds=WINDOW_S, calls=round(done), wait_s=wait_s)
            self.headroom = self.headroom.after(seen)
        return served


def test_edge_whose_datagrams_do_not_wait_takes_any_number() -> None:
    headroom = Headroom()
    for calls_per_s in (0, 100, 1000, 5000):
        headroom = headroom.after(window(calls_per_s))
        assert headroom.calls is None


def test_one_bad_window_is_no_overload() -> None:
    headroom = Headroom().after(window(400, wait_s=0.3)).after(window(400))
    assert headroom.calls is None


def test_second_bad_window_sets_a_limit_below_what_was_taken() -> None:
    headroom = Headroom().after(window(400, wait_s=0.1)).after(window(400, wait_s=0.1))
    assert headroom.per_s == pytest.approx(360)
    assert headroom.calls == 90


def test_more_that_waits_lets_fewer_in_until_it_is_worked_off() -> None:
    headroom = Headroom()
    limits = []
    for wait_s in (0.8, 0.8, 0.5, 0.2):
        headroom = headroom.after(window(400, wait_s=wait_s))
        limits.append(headroom.per_s)
    assert limits[1:] == pytest.approx([80, 200, 320])


def test_neighbours_who_keep_an_edge_from_working_do_not_take_all_its_calls_away() -> None:
    headroom = Headroom()
    for _ in range(50):
        headroom = headroom.after(window(10, wait_s=1.0))
    assert headroom.per_s == LEAST_PER_S


@pytest.mark.parametrize("times", [1.2, 2.0, 5.0, 20.0])
def test_overloaded_edge_goes_on_at_nearly_its_capacity(times: float) -> None:
    edge = Edge(capacity_per_s=300)
    served = [edge.second(300 * times) for _ in range(40)][5:]
    assert sum(served) / len(served) >= 0.95 * 300
    assert edge.waiting / edge.capacity_per_s < 0.2, "nobody waits long for an answer"


def test_limit_goes_within_five_seconds_of_the_load() -> None:
    edge = Edge(capacity_per_s=300)
    for _ in range(20):
        edge.second(1500)
    for _ in range(5):
        edge.second(150)
    assert edge.headroom.calls is None
    assert edge.second(150) == pytest.approx(150)


def test_load_below_the_limit_is_taken_whole_at_once() -> None:
    edge = Edge(capacity_per_s=300)
    for _ in range(20):
        edge.second(1500)
    edge.second(150)
    assert edge.second(150) == pytest.approx(150)
