"""When an edge may reserve for a caller whom no other edge has seen yet."""

from __future__ import annotations

import pytest

from edge.acd.rivals import Rivals


def test_one_who_has_seen_nobody_for_a_while_has_no_rivals() -> None:
    seen = Rivals(0.0)
    seen.took(0.005)
    assert not seen.are_few(0.05)
    assert seen.are_few(1.0)


@pytest.mark.parametrize(("takes_s", "quiet_s"), [(0.005, 0.2), (0.05, 2.0)])
def test_after_a_rival_nobody_reserves_unseen_until_it_has_been_quiet(
    takes_s: float, quiet_s: float
) -> None:
    seen = Rivals(0.0)
    seen.took(takes_s)
    seen.came(100.0)
    assert not seen.are_few(100.0 + 0.9 * quiet_s)
    assert seen.are_few(100.0 + 1.1 * quiet_s)


def test_a_store_that_gets_slower_makes_the_edge_wait_for_longer() -> None:
    seen = Rivals(0.0)
    seen.took(0.005)
    seen.came(100.0)
    for _ in range(50):
        seen.took(0.1)
    assert not seen.are_few(103.0)
    assert seen.are_few(105.0)
