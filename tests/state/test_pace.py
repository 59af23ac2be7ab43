"""How often costly duties are done."""

from __future__ import annotations

import pytest

from state.pace import MOST, Pace


def test_what_costs_little_is_done_as_often_as_usual() -> None:
    pace = Pace(2.0)
    assert pace.pause_s == 2.0
    for _ in range(3):
        pace.took(0.1)
        assert pace.pause_s == 2.0


@pytest.mark.parametrize("took_s", [0.5, 3.0, 60.0])
def test_what_costs_more_takes_no_more_than_its_share_of_the_time(took_s: float) -> None:
    pace = Pace(2.0)
    pace.took(took_s)
    pace.took(took_s)
    assert took_s / (took_s + pace.pause_s) <= MOST + 1e-9


def test_a_process_that_was_frozen_once_keeps_its_pace() -> None:
    pace = Pace(15.0)
    for took_s in (0.2, 14.0, 0.2):
        pace.took(took_s)
        assert pace.pause_s == 15.0
