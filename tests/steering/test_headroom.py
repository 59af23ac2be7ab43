"""How many calls an edge has before it: a window that is wide in peace and narrow under load."""

from __future__ import annotations

from collections import deque

import pytest

from edge.steering.headroom import (
    LEAST,
    MOST,
    NEAR_S,
    PEACE,
    QUEUED_S,
    STEP,
    WINDOW_S,
    Headroom,
    Window,
)

LATE_S = NEAR_S + 2 * QUEUED_S


def window(
    answer_s: float = 0.01, answered: int = 50, unanswered: int = 5, wait_s: float = 0.001
) -> Window:
    return Window(
        seconds=WINDOW_S, answered=answered, answer_s=answer_s, unanswered=unanswered, wait_s=wait_s
    )


def after(headroom: Headroom, *seen: Window) -> Headroom:
    for each in seen:
        headroom = headroom.after(each)
    return headroom


class Site:
    """An edge that does so many calls a second one after the other, and a Kamailio that counts.

    What it has done goes to the store, and is answered when it is back from there.
    """

    STEP_S = 0.01

    def __init__(self, capacity_per_s: float, round_trip_s: float = 0.005) -> None:
        self.capacity_per_s = capacity_per_s
        self.round_trip_s = round_trip_s
        self.headroom = Headroom()
        self.now_s = 0.0
        self.refused = 0
        self.windows: list[int] = []
        """All that was said."""
        self.waits: list[float] = []
        """How long the calls of the last second took to be answered, beyond the round trip."""
        self._before: deque[float] = deque()
        self._at_store: deque[tuple[float, float]] = deque()
        self._offered = self._done = 0.0

    def second(self, offered_per_s: float) -> int:
        """Let a second pass; return how many calls were answered in it."""
        answered = 0
        self.waits.clear()
        for _ in range(round(1 / WINDOW_S)):
            took: list[float] = []
            for _ in range(round(WINDOW_S / self.STEP_S)):
                took += self._step(offered_per_s)
            answered += len(took)
            self.waits += [each - self.round_trip_s for each in took]
            self._look(took)
        return answered

    def seconds(self, count: int, offered_per_s: float) -> float:
        """Return how many were answered in each of so many seconds, on average."""
        return sum(self.second(offered_per_s) for _ in range(count)) / count

    def _look(self, took: list[float]) -> None:
        waiting = [*(came_s for _, came_s in self._at_store), *self._before]
        oldest_s = self.now_s - min(waiting) if waiting else 0.0
        self.headroom = self.headroom.after(
            Window(
                seconds=WINDOW_S,
                answered=len(took),
                answer_s=sum(took) / len(took) if took else oldest_s,
                unanswered=len(waiting),
                wait_s=0.001,
            )
        )
        self.windows.append(self.headroom.calls)

    def _step(self, offered_per_s: float) -> list[float]:
        self._offered += offered_per_s * self.STEP_S
        came = int(self._offered)
        self._offered -= came
        room = max(0, self.headroom.calls - len(self._before) - len(self._at_store))
        self._before.extend([self.now_s] * min(came, room))
        self.refused += max(0, came - room)
        self.now_s += self.STEP_S
        self._done += self.capacity_per_s * self.STEP_S
        while self._before and self._done >= 1:
            self._done -= 1
            self._at_store.append((self.now_s + self.round_trip_s, self._before.popleft()))
        self._done = min(self._done, 1.0)
        took = []
        while self._at_store and self._at_store[0][0] <= self.now_s:
            took.append(self.now_s - self._at_store.popleft()[1])
        return took


# ---- one look after the other --------------------------------------------------------------------


@pytest.mark.parametrize("unanswered", [0, 5, 40])
def test_peace_changes_nothing(unanswered: int) -> None:
    headroom = after(Headroom(), *[window(unanswered=unanswered)] * 100)
    assert headroom.at_once == PEACE
    assert not headroom.is_limiting


def test_one_late_look_is_no_overload() -> None:
    headroom = after(Headroom(), window(LATE_S, unanswered=100), window())
    assert headroom.at_once == PEACE


def test_second_late_look_narrows_the_window_the_more_the_longer_calls_wait() -> None:
    late = after(Headroom(), window(LATE_S, unanswered=100))
    little, much = (
        late.after(window(answer_s, unanswered=100)).at_once
        for answer_s in (NEAR_S + 1.1 * QUEUED_S, 1.0)
    )
    assert LEAST < much < little < PEACE


def test_edge_that_answers_nobody_is_given_less() -> None:
    seen = window(0.6, answered=0, unanswered=128)
    assert after(Headroom(), seen, seen).is_limiting


def test_neighbours_who_keep_an_edge_from_working_do_not_take_all_its_calls_away() -> None:
    headroom = after(Headroom(), *[window(1.0, answered=8, unanswered=32)] * 50)
    assert headroom.at_once >= LEAST


def test_window_is_as_wide_as_before_a_few_seconds_after_the_last_that_waited() -> None:
    headroom = after(Headroom(at_once=LEAST, late=7), *[window()] * 20)
    assert headroom.at_once == PEACE


def test_wide_window_is_given_up_when_it_has_not_been_needed_for_a_while() -> None:
    headroom = after(Headroom(at_once=4 * PEACE), *[window()] * 39)
    assert headroom.at_once == 4 * PEACE
    assert headroom.after(window()).at_once == PEACE


def test_window_grows_by_a_step_in_a_look_and_no_faster() -> None:
    headroom = Headroom()
    for _ in range(20):
        grown = headroom.after(window(0.02, unanswered=1000))
        assert grown.at_once == headroom.at_once + STEP
        headroom = grown


def test_calls_that_are_answered_late_in_peace_are_no_queue_but_a_store_that_is_far() -> None:
    headroom = after(Headroom(), *[window(0.7, answered=5, unanswered=14)] * 40)
    assert headroom.least_s == pytest.approx(0.7, rel=0.05)
    assert headroom.at_once == PEACE


def test_one_look_without_an_answer_tells_nothing_of_how_far_the_store_is() -> None:
    headroom = Headroom().after(window(3.0, answered=0, unanswered=3))
    assert headroom.least_s == NEAR_S


@pytest.mark.parametrize("unanswered", [14, 128], ids=["hardly used", "used up"])
def test_neighbours_who_keep_an_edge_from_working_are_not_taken_for_a_far_store(
    unanswered: int,
) -> None:
    seen = window(1.1, answered=20, unanswered=unanswered, wait_s=0.4)
    headroom = after(Headroom(), *[seen] * 40)
    assert headroom.least_s == NEAR_S
    assert headroom.at_once == LEAST


# ---- an edge, simulated --------------------------------------------------------------------------


@pytest.mark.parametrize("capacity_per_s", [80, 300, 500, 900])
@pytest.mark.parametrize("times", [1.2, 5.0, 20.0])
def test_overloaded_edge_always_has_something_to_do(capacity_per_s: float, times: float) -> None:
    site = Site(capacity_per_s)
    assert site.seconds(20, capacity_per_s * times) >= 0.97 * capacity_per_s


@pytest.mark.parametrize("times", [2.0, 5.0, 20.0])
def test_nobody_waits_until_kamailio_takes_the_edge_for_dead(times: float) -> None:
    site = Site(capacity_per_s=300)
    for _ in range(20):
        site.second(300 * times)
        assert max(site.waits) < 0.5


@pytest.mark.parametrize("capacity_per_s", [300, 500, 900])
@pytest.mark.parametrize("round_trip_s", [0.005, 0.08, 0.3, 0.66])
def test_nobody_waits_much_longer_for_others_than_is_allowed(
    capacity_per_s: float, round_trip_s: float
) -> None:
    site = Site(capacity_per_s, round_trip_s)
    site.seconds(20, 5 * capacity_per_s)
    served = 0
    for _ in range(60):
        served += site.second(5 * capacity_per_s)
        assert max(site.waits) < LEAST / capacity_per_s + 1.5 * QUEUED_S
    assert served >= 0.93 * 60 * capacity_per_s


@pytest.mark.parametrize("capacity_per_s", [80, 500])
def test_window_does_not_creep_in_an_overload_without_end(capacity_per_s: float) -> None:
    site = Site(capacity_per_s)
    site.seconds(20, 5 * capacity_per_s)
    early = max(site.windows[-40:])
    site.seconds(180, 5 * capacity_per_s)
    assert max(site.windows[-40:]) <= early + STEP


@pytest.mark.parametrize("after_s", [3, 30, 120])
def test_store_that_moves_away_under_load_leaves_no_window_that_is_stuck_small(
    after_s: int,
) -> None:
    site = Site(capacity_per_s=500)
    site.seconds(after_s, 2500)
    site.round_trip_s = 0.3
    site.seconds(15, 2500)
    assert site.seconds(20, 2500) >= 0.95 * 500


def test_store_that_comes_back_under_load_leaves_no_window_that_is_too_wide() -> None:
    site = Site(capacity_per_s=500, round_trip_s=0.6)
    site.seconds(30, 2500)
    assert site.headroom.at_once > PEACE
    site.round_trip_s = 0.005
    site.seconds(180, 2500)
    for _ in range(30):
        site.second(2500)
        assert max(site.waits) < LEAST / 500 + 2 * QUEUED_S


@pytest.mark.parametrize("left", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("for_s", [1, 5, 60])
def test_edge_that_gets_the_processor_back_serves_as_before_within_two_seconds(
    left: float, for_s: int
) -> None:
    site = Site(capacity_per_s=500)
    site.seconds(10, 2500)
    site.capacity_per_s = left * 500
    site.seconds(for_s, 2500)
    site.capacity_per_s = 500
    site.seconds(2, 2500)
    assert site.seconds(5, 2500) >= 0.97 * 500


def test_load_below_what_the_edge_can_do_is_taken_whole_a_second_after_an_overload() -> None:
    site = Site(capacity_per_s=300)
    site.seconds(10, 1500)
    site.second(150)
    refused = site.refused
    site.seconds(5, 150)
    assert site.refused == refused


def test_four_fifths_of_what_the_edge_can_do_are_taken_whole_5_s_after_an_overload() -> None:
    site = Site(capacity_per_s=500, round_trip_s=0.08)
    site.seconds(10, 2500)
    site.seconds(5, 400)
    refused = site.refused
    site.seconds(10, 400)
    assert site.refused == refused


def test_far_store_widens_the_window_until_nobody_is_refused() -> None:
    site = Site(capacity_per_s=900, round_trip_s=0.4)
    site.seconds(10, 500)
    refused = site.refused
    site.seconds(10, 500)
    assert site.refused == refused
    assert PEACE < site.headroom.at_once <= MOST


def test_far_store_has_calls_wait_for_it_and_not_for_each_other() -> None:
    site = Site(capacity_per_s=900, round_trip_s=0.4)
    for _ in range(60):
        site.second(500)
        assert max(site.waits) < 0.05
