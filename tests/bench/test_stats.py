from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.bench.stats import paired_ratio, percentile, spread


def test_one_disturbed_slice_does_not_move_the_median() -> None:
    found = spread([1.0, 1.1, 9.0, 1.2, 1.0])
    assert (found.median, found.least, found.most, found.slices) == (1.1, 1.0, 9.0, 5)


def test_no_slices_are_no_figure() -> None:
    with pytest.raises(ValueError, match="no slice"):
        spread([])


def test_percentiles_are_values_that_were_measured() -> None:
    hundred = [float(n) for n in range(100, 0, -1)]
    assert percentile(hundred, 0.5) == 50.0
    assert percentile(hundred, 0.99) == 99.0
    assert percentile(hundred, 1.0) == 100.0
    assert percentile([7.0], 0.99) == 7.0
    assert math.isnan(percentile([], 0.5))


@given(st.lists(st.floats(0.0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_not_exceeded_by_its_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


def test_paired_slices_are_compared_each_with_its_own_neighbour() -> None:
    found = paired_ratio([2.0, 20.0, 3.0], [1.0, 10.0, 1.0])
    assert found.median == 2.0
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0], [1.0, 2.0])
