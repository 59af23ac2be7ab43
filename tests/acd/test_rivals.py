"""When an edge may reserve for a caller whom no other edge has seen yet."""

from __future__ import annotations

import pytest

from edge.acd.rivals import Rivals


def rivals(*, every_s: float, takes_s: float) -> Rivals:
    """Return what an edge knows after some come elsewhere, the last of them at 100 s."""
    seen = Rivals()
    for number in range(20):
        seen.took(takes_s)
        seen.came(100.0 - (19 - number) * every_s)
    return seen


def test_one_who_is_alone_has_no_rivals() -> None:
    seen = Rivals()
    seen.took(10.0)
    assert seen.are_few(5.0)


@pytest.mark.parametrize(
    ("every_s", "takes_s", "are_few"),
    [(1.0, 0.005, True), (0.1, 0.005, False), (1.0, 0.1, False), (10.0, 0.1, True)],
)
def test_rivals_are_few_if_they_come_seldom_for_how_long_nobody_sees_a_ticket(
    every_s: float, takes_s: float, *, are_few: bool
) -> None:
    assert rivals(every_s=every_s, takes_s=takes_s).are_few(100.0 + every_s / 2) is are_few


def test_right_after_a_rival_nobody_reserves_unseen() -> None:
    seen = Rivals()
    seen.took(0.005)
    seen.came(100.0)
    assert not seen.are_few(100.05)
    assert seen.are_few(101.0)


def test_rivals_who_came_long_ago_are_forgotten() -> None:
    seen = rivals(every_s=0.01, takes_s=0.02)
    assert not seen.are_few(100.0)
    assert seen.are_few(110.0)
