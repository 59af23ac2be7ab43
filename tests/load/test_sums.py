"""SIPp's own file of statistics."""

from __future__ import annotations

import pytest

from loadtests.load.sums import Sums, sums, why_too_few

HEADING = (
    "StartTime;TotalCallCreated;"
    "SuccessfulCall(P);SuccessfulCall(C);FailedCall(P);FailedCall(C);ResponseTime1(P);"
)
FIRST = "2026-11-28;0;0;0;0;0;00:00:00:000000;"
SECOND = "2026-11-28;12;9;9;1;1;00:00:01:012500;"


def test_last_line_says_how_many() -> None:
    found = sums(f"{HEADING}\n{FIRST}\n{SECOND}\n")
    assert found == Sums(succeeded=9, failed=1, created=12)


def test_line_that_is_being_written_is_not_read_yet() -> None:
    assert sums("\n".join((HEADING, FIRST, SECOND[:20]))) == Sums()


@pytest.mark.parametrize(
    ("created", "told"),
    [
        (0, "SIPp has placed 0 of 600 calls"),
        (479, "SIPp has placed 479 of 600 calls"),
        (480, ""),
        (600, ""),
    ],
)
def test_a_volume_that_was_not_there_is_told(created: int, told: str) -> None:
    assert why_too_few(Sums(created=created), per_s=5.0, seconds=120.0) == told


def test_nobody_asked_for_a_volume_that_is_not_there() -> None:
    assert why_too_few(Sums(), per_s=0.0, seconds=120.0) == ""


def test_nothing_yet_is_nothing() -> None:
    assert sums("") == sums(HEADING + "\n") == Sums()
