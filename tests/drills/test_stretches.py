from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from drills.stretches import Stretch, both, joined, without

STRETCHES = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda e: (*map(float, e),))
)


def is_in(at: float, stretches: list[Stretch] | tuple[Stretch, ...]) -> bool:
    return any(begins <= at < ends for begins, ends in stretches)


@given(STRETCHES, STRETCHES)
def test_each_moment_is_where_it_should_be(some: list[Stretch], others: list[Stretch]) -> None:
    for at in range(21):
        one, other = is_in(at, some), is_in(at, others)
        assert is_in(at, joined(some)) == one
        assert is_in(at, both(some, others)) == (one and other)
        assert is_in(at, without(some, others)) == (one and not other)


def test_those_that_meet_are_one_and_a_short_gap_may_be_passed_over() -> None:
    assert joined([(2, 3), (0, 1), (1, 2), (5, 5)]) == ((0, 3),)
    assert joined([(0, 1), (2, 3), (5, 6)], over=1.0) == ((0, 3), (5, 6))


def test_what_never_ends_goes_on_where_nothing_else_is() -> None:
    assert without([(0, math.inf)], [(1, 2)]) == ((0, 1), (2, math.inf))
    assert without([(0, math.inf)], [(1, math.inf)]) == ((0, 1),)
    assert both([(0, math.inf)], [(1, math.inf)]) == ((1, math.inf),)
