"""Between what a site's clock differs from the runner's, by how long asking for it takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.clocks import Trip, bound_of, moved_ms
from drills.evidence import ClockBound


def trip(before_ms: float, took_ms: float, theirs_ms: float) -> Trip:
    return Trip(before_ms=before_ms, after_ms=before_ms + took_ms, theirs_ms=theirs_ms)


def test_a_clock_differs_by_what_it_told_less_the_middle_give_or_take_half_the_round_trip() -> None:
    """And by the millisecond below which it tells nothing."""
    found = bound_of("a control plane", [trip(1000, 10, 1505)])
    assert found == ClockBound(who="a control plane", least_ms=495.0, most_ms=506.0)


def test_the_shortest_round_trip_tells_most() -> None:
    slow, quick = trip(1000, 900, 1500), trip(2000, 4, 2002)
    found = bound_of("a", [slow, quick])
    assert found is not None
    assert (found.least_ms, found.most_ms) == (-2.0, 3.0)


def test_a_clock_that_was_never_told_is_not_measured() -> None:
    assert bound_of("a", []) is None
    assert moved_ms([]) == 0.0


def test_a_clock_that_was_set_meanwhile_is_between_bounds_that_hold_both_times() -> None:
    trips = [trip(1000, 2, 1001), trip(5000, 10, 5000 + 600_000), trip(9000, 2, 9001)]
    found = bound_of("a", trips)
    assert found is not None
    assert (found.least_ms, found.most_ms) == (-1.0, 600_001.0)
    assert moved_ms(trips) == 600_000 - 10 - 2
    assert moved_ms(trips[::2]) == 0.0


@pytest.mark.parametrize("took_ms", [0.0, 0.4, 30.0])
def test_what_was_told_between_asking_and_the_answer_is_never_out_of_bounds(took_ms: float) -> None:
    found = bound_of("a", [trip(1000, took_ms, 1000)])
    assert found is not None
    assert found.least_ms <= 0.0 <= found.most_ms


@given(
    off_ms=st.integers(-1_000_000, 1_000_000),
    asked=st.lists(st.tuples(st.floats(0, 500), st.floats(0, 1)), min_size=1, max_size=8),
)
def test_the_true_difference_of_a_clock_that_runs_well_is_within_the_bounds(
    off_ms: int, asked: list[tuple[float, float]]
) -> None:
    trips = []
    for number, (took_ms, share) in enumerate(asked):
        before_ms = 1_700_000_000_000.0 + 1000 * number
        read_ms = before_ms + took_ms * share
        trips.append(trip(before_ms, took_ms, float(int(read_ms + off_ms))))
    found = bound_of("a", trips)
    assert found is not None
    assert found.least_ms - 0.002 <= off_ms <= found.most_ms + 0.002
    assert moved_ms(trips) == pytest.approx(0.0, abs=0.002)
