"""How often costly duties are done."""

from __future__ import annotations

import pytest

from state.pace import MOST, pause_s


def test_what_costs_little_is_done_as_often_as_usual() -> None:
    assert pause_s(2.0, 0.1) == 2.0


@pytest.mark.parametrize("took_s", [0.5, 3.0, 60.0])
def test_what_costs_more_takes_no_more_than_its_share_of_the_time(took_s: float) -> None:
    assert took_s / (took_s + pause_s(2.0, took_s)) <= MOST + 1e-9
