"""How many calls an edge has before it: a window that is wide in peace and narrow under load."""

from __future__ import annotations

import pytest

from edge.steering.headroom import LEAST, LONG_S, MOST, PEACE, WINDOW_S, Headroom, Window


def window(wait_s: float = 0.001, calls: int = 50, unanswered: int = 5) -> Window:
    return Window(seconds=WINDOW_S, calls=calls, wait_s=wait_s, unanswered=unanswered)


class Site:
    """An edge that can do so many calls a second, and a Kamailio that counts for it."""

    STEP_S = 0.01

    def __init__(self, capacity_per_s: float, round_trip_s: float = 0.0) -> None:
        self.capacity_per_s = capacity_per_s
        self.round_trip_s = round_trip_s
        self.in_socket = 0.0
        self.at_store: list[tuple[float, float]] = []
        self.now_s = 0.0
        self.headroom = Headroom()
        self.longest_wait_s = 0.0
        self.refused = 0.0

    def second(self, offered_per_s: float) -> float:
        """Let a second pass; return how many calls were answered in it."""
        answered = 0.0
        looks = round(1 / WINDOW_S)
        for _ in range(looks):
            done = 0.0
            for _ in range(round(WINDOW_S / self.STEP_S)):
                read, back = self._step(offered_per_s * self.STEP_S)
                done, answered = done + read, answered + back
            self.headroom = self.headroom.after(
                Window(
                    seconds=WINDOW_S,
                    calls=round(done),
                    wait_s=0.001 + self.in_socket / self.capacity_per_s,
                    unanswered=round(self._at_store()),
                )
            )
        return answered

    def _step(self, offered: float) -> tuple[float, float]:
        self.now_s += self.STEP_S
        room = max(0.0, self.headroom.calls - self.in_socket - self._at_store())
        self.in_socket += min(offered, room)
        self.refused += max(0.0, offered - room)
        read = min(self.in_socket, self.capacity_per_s * self.STEP_S)
        self.in_socket -= read
        self.at_store.append((self.now_s + self.round_trip_s, read))
        back = sum(count for due_s, count in self.at_store if due_s <= self.now_s)
        self.at_store = [each for each in self.at_store if each[0] > self.now_s]
        self.longest_wait_s = max(self.longest_wait_s, self.in_socket / self.capacity_per_s)
        return read, back

    def _at_store(self) -> float:
        return sum(count for _, count in self.at_store)


@pytest.mark.parametrize("unanswered", [0, 5, 40])
def test_peace_changes_nothing(unanswered: int) -> None:
    headroom = Headroom()
    for _ in range(100):
        headroom = headroom.after(window(unanswered=unanswered))
    assert headroom.at_once == PEACE
    assert not headroom.is_limiting


def test_one_bad_look_is_no_overload() -> None:
    headroom = Headroom().after(window(wait_s=0.3)).after(window())
    assert headroom.at_once == PEACE


def test_second_bad_look_narrows_the_window_the_more_the_longer_datagrams_wait() -> None:
    bad = Headroom().after(window(wait_s=LONG_S + 0.01))
    little, much = (bad.after(window(wait_s=wait_s)) for wait_s in (LONG_S + 0.001, 1.0))
    assert LEAST < much.at_once < little.at_once < PEACE
    assert little.is_limiting


def test_calls_that_are_answered_late_narrow_it_too_though_no_datagram_waits() -> None:
    headroom = Headroom()
    for _ in range(3):
        headroom = headroom.after(window(calls=10, unanswered=128))
    assert headroom.is_limiting


def test_neighbours_who_keep_an_edge_from_working_do_not_take_all_its_calls_away() -> None:
    headroom = Headroom()
    for _ in range(50):
        headroom = headroom.after(window(wait_s=1.0))
    assert headroom.at_once == LEAST


def test_window_is_as_wide_as_before_a_few_seconds_after_the_last_that_waited() -> None:
    headroom = Headroom(at_once=LEAST, bad=7)
    for _ in range(20):
        headroom = headroom.after(window())
    assert headroom.at_once == PEACE


@pytest.mark.parametrize("capacity_per_s", [80, 300, 900])
@pytest.mark.parametrize("times", [1.2, 5.0, 20.0])
def test_overloaded_edge_always_has_something_to_do(capacity_per_s: float, times: float) -> None:
    site = Site(capacity_per_s)
    served = [site.second(capacity_per_s * times) for _ in range(20)]
    assert sum(served) / len(served) >= 0.97 * capacity_per_s


@pytest.mark.parametrize("times", [2.0, 5.0, 20.0])
def test_nobody_waits_for_an_answer_until_kamailio_takes_the_edge_for_dead(times: float) -> None:
    site = Site(capacity_per_s=300)
    for _ in range(20):
        site.second(300 * times)
    assert site.longest_wait_s < 0.5


def test_load_below_what_the_edge_can_do_is_taken_whole_at_once_after_an_overload() -> None:
    site = Site(capacity_per_s=300)
    for _ in range(10):
        site.second(1500)
    refused = site.refused
    for _ in range(5):
        site.second(150)
    assert site.refused == refused


def test_far_store_widens_the_window_until_nobody_is_refused() -> None:
    site = Site(capacity_per_s=900, round_trip_s=0.4)
    for _ in range(10):
        site.second(500)
    refused = site.refused
    for _ in range(10):
        site.second(500)
    assert site.refused == refused
    assert PEACE < site.headroom.at_once <= MOST


def test_wide_window_is_given_up_when_it_has_not_been_needed_for_a_while() -> None:
    headroom = Headroom(at_once=4 * PEACE)
    for _ in range(39):
        headroom = headroom.after(window())
    assert headroom.at_once == 4 * PEACE
    assert headroom.after(window()).at_once == PEACE


def test_window_never_grows_where_calls_are_answered_late() -> None:
    headroom = Headroom()
    for _ in range(20):
        headroom = headroom.after(window(calls=20, unanswered=100))
    assert headroom.at_once == PEACE
