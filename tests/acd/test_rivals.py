"""When an edge may reserve for a caller whom no other edge has seen yet."""

from __future__ import annotations

import pytest

from edge.acd.rivals import Rivals


def rivals(*, every_s: float, takes_s: float) -> Rivals:
    """Return what an edge knows after some have come elsewhere, the last of them at 100 s."""
    seen = Rivals(0.0)
    for number in range(20):
        seen.took(takes_s)
        seen.came(100.0 - (19 - number) * every_s)
    return seen


def test_one_who_has_just_begun_to_look_waits_and_sees() -> None:
    seen = Rivals(100.0)
    seen.took(0.01)
    assert not seen.are_few(100.01)
    assert seen.are_few(100.1)


@pytest.mark.parametrize(
    ("every_s", "takes_s", "are_few"),
    [(0.05, 0.005, True), (0.005, 0.005, False), (1.0, 0.1, True), (0.1, 0.1, False)],
)
def test_rivals_are_few_if_hardly_one_comes_while_a_ticket_is_written(
    every_s: float, takes_s: float, *, are_few: bool
) -> None:
    assert rivals(every_s=every_s, takes_s=takes_s).are_few(100.0 + every_s / 2) is are_few


def test_rivals_who_came_long_ago_are_forgotten() -> None:
    seen = rivals(every_s=0.01, takes_s=0.02)
    assert not seen.are_few(100.0)
    assert seen.are_few(110.0)
