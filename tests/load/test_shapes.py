"""Who is there when: bounded in number and time, whatever is asked."""

from __future__ import annotations

import pytest

from loadtests.load.plan import Request, ShapeName
from loadtests.load.shapes import agents_from_s, caller_hours
from loadtests.load.shapes import callers as callers_at


def request(shape: ShapeName, **changes: object) -> Request:
    values: dict[str, object] = {"shape": shape, "seconds": 200.0, "users": 20} | changes
    return Request(**values)  # type: ignore[arg-type]


def callers(shape: ShapeName) -> list[int]:
    found = []
    for at_s in range(200):
        now = callers_at(request(shape), float(at_s))
        assert now is not None
        found.append(now)
    return found


@pytest.mark.parametrize("shape", ShapeName)
def test_shape_never_has_more_than_was_asked_and_is_over_in_time(shape: ShapeName) -> None:
    assert max(callers(shape)) <= 20
    assert min(callers(shape)) >= 0
    assert callers_at(request(shape), 200.0) is None


def test_day_has_two_peaks_with_lunch_between_and_a_quiet_end() -> None:
    day = callers(ShapeName.DAY)
    assert day[50] == 20
    assert day[96] < day[50] / 2 + 1 < day[140]
    assert day[-1] <= 1


def test_flash_crowd_comes_within_a_hundredth_of_the_time() -> None:
    crowd = callers(ShapeName.FLASH_CROWD)
    assert crowd[59] == 4
    assert crowd[63] == 20


def test_agents_are_all_back_at_nine_when_callers_wait_and_else_there_from_the_beginning() -> None:
    assert agents_from_s(request(ShapeName.NINE)) == pytest.approx(60.0)
    assert callers(ShapeName.NINE)[59] == 20
    assert {agents_from_s(request(each)) for each in ShapeName if each is not ShapeName.NINE} == {0}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"users": 201}, "--users"),
        ({"agents": 0}, "--agents"),
        ({"seconds": 1.0}, "--minutes"),
        ({"workers": 9}, "--workers"),
        ({"sipp_per_s": 101.0}, "--sipp"),
    ],
)
def test_what_is_out_of_bounds_is_named(changes: dict[str, object], named: str) -> None:
    wrong = request(ShapeName.STEADY, **changes).wrong_because()
    assert wrong is not None
    assert wrong.startswith(named)


def test_hours_of_callers_are_those_of_the_shape() -> None:
    assert caller_hours(request(ShapeName.SOAK, seconds=7200.0, users=12)) == pytest.approx(11.7)
    for shape in ShapeName:
        found = sum(callers(shape)) / 3600
        assert caller_hours(request(shape)) == pytest.approx(found, rel=0.05)
