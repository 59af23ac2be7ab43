"""SIPp's calls as rows: each answer with its own time."""

from __future__ import annotations

from pathlib import Path

from loadtests.load.counted import NAME, Counted
from loadtests.load.telling import SIP, Row

HEADING = "StartTime;TotalCallCreated;SuccessfulCall(C);FailedCall(C);ResponseTime1(P);\n"


def answered(took_ms: float) -> Row:
    return Row(kind=SIP, name=NAME, value_ms=took_ms)


def test_each_answer_is_entered_once_with_its_own_time_and_not_with_the_mean_of_its_second(
    tmp_path: Path,
) -> None:
    statistics, times = tmp_path / "sipp.csv", tmp_path / "sipp_4711_rtt.csv"
    counted = Counted(statistics)
    assert list(counted.new()) == []
    times.write_text("Date_ms;response_time_ms;rtd_no\n204.001;4;1\n208;900;1\n40")
    statistics.write_text(HEADING + "2026-11-30;3;2;0;00:00:00:452000;\n")
    assert list(counted.new()) == [answered(4.0), answered(900.0)]
    with times.open("a") as file:
        file.write("8.001;8;1\n")
    assert list(counted.new()) == [answered(8.0)]
    assert list(counted.new()) == []


def test_a_call_that_failed_is_entered_without_a_time(tmp_path: Path) -> None:
    statistics = tmp_path / "sipp.csv"
    statistics.write_text(HEADING + "2026-11-30;3;0;2;00:00:00:000000;\n")
    counted = Counted(statistics)
    failed = Row(kind=SIP, name=NAME, value_ms=None, fault="failed")
    assert list(counted.new()) == [failed, failed]
    assert list(counted.new()) == []
