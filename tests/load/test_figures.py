"""Tables as figures, and limits on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from loadtests.load.books import compare
from loadtests.load.figures import LimitsError, TableRow, figures, judge, people, read_limits
from loadtests.load.growth import HELD, WHAT
from loadtests.load.plan import ShapeName
from loadtests.load.processes import PROGRAMS

LIMITS = Path(__file__).parents[2] / "loadtests" / "load" / "limits"


def row(kind: str, name: str, count: int, failed: int = 0) -> TableRow:
    return TableRow(
        kind=kind,
        name=name,
        count=count,
        failed=failed,
        mean_ms=12.0,
        p50_ms=10.0,
        p95_ms=20.0,
        p99_ms=30.0,
        most_ms=40.0,
    )


def test_figures_are_named_after_type_row_and_what() -> None:
    found = figures([row("SIP", "set-up", 8, 2), row("GET", "/v1/me", 2)], {"ledger.exact": 1.0})
    assert found["sip.set_up.p99_ms"] == 30.0
    assert found["sip.set_up.failed_share"] == 0.25
    assert found["get.v1_me.count"] == 2
    assert found["all.failed_share"] == 0.2
    assert found["ledger.exact"] == 1.0


def test_a_row_of_which_nothing_has_a_time_keeps_to_no_limit_on_times() -> None:
    limits = read_limits('[[limit]]\nfigure = "sip.set_up_sipp.p99_ms"\nat_most = 500\n', "here")
    untimed = TableRow(
        kind="SIP",
        name="set-up, SIPp",
        count=40,
        failed=40,
        mean_ms=0.0,
        p50_ms=0.0,
        p95_ms=0.0,
        p99_ms=0.0,
        most_ms=0.0,
        timed=0,
    )
    found = figures([untimed], {})
    assert found["sip.set_up_sipp.failed_share"] == 1.0
    (judged,) = judge(limits, found)
    assert (judged.found, judged.held) == ("not measured", False)
    assert figures([replace(untimed, timed=1, p99_ms=9.0)], {})["sip.set_up_sipp.p99_ms"] == 9.0


def test_of_nothing_no_share_has_failed_or_been_cut_off() -> None:
    assert "all.failed_share" not in figures([], {})
    assert "calls.cut_off_share" not in compare((), (), ()).figures()


def test_limit_holds_at_its_very_value_and_breaks_beyond() -> None:
    text = '[[limit]]\nfigure = "x"\nat_most = 5\n[[limit]]\nfigure = "y"\nat_least = 1\n'
    limits = read_limits(text, "here")
    assert [each.held for each in judge(limits, {"x": 5.0, "y": 1.0})] == [True, True]
    assert [each.held for each in judge(limits, {"x": 5.1, "y": 0.9})] == [False, False]


def test_what_was_not_measured_breaks_its_limit() -> None:
    limits = read_limits('[[limit]]\nfigure = "x"\nat_most = 5\n', "here")
    (judged,) = judge(limits, {})
    assert (judged.value, judged.held) == (None, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limit = []", "without a limit"),
        ('[[limit]]\nfigure = "x"\n', "neither"),
        ('[[limit]]\nfigure = "x"\nat_mots = 5\n', "at_mots"),
        ('[[limit]]\nfigure = "x"\nat_most = nan\n', "nothing is within"),
        ("[[limit", "here"),
    ],
)
def test_file_that_holds_no_limits_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(LimitsError, match=said):
        read_limits(text, "here")


@pytest.mark.parametrize("shape", ShapeName)
def test_every_shape_has_limits_and_the_ledger_is_among_them(shape: ShapeName) -> None:
    limits = read_limits((LIMITS / f"{shape}.toml").read_text(), shape)
    assert "ledger.exact" in {each.figure for each in limits.limit}


def test_a_load_in_which_nobody_calls_has_talked_to_nobody() -> None:
    found = people([row("GET", "/v1/me", 7)], 10.0)
    assert found["calls.talked_per_caller_h"] == 0.0
    assert set(found.values()) == {0.0}


def test_calls_are_counted_by_how_they_ended_and_telephones_by_what_became_of_them() -> None:
    rows = [
        row("CALL", "ended: talked", 5),
        row("CALL", "ended: agent hung up", 3),
        row("CALL", "ended: impatient", 2),
        row("CALL", "ended: fault", 1, 1),
        row("PHONE", "telephones began anew", 2, 2),
        row("PHONE", "a caller without a telephone", 4, 4),
        row("SIP", "agent rung in a talk", 6, 6),
    ]
    assert people(rows, 0.5) == {
        "calls.ended": 11,
        "calls.talked": 8,
        "calls.talked_per_caller_h": 16.0,
        "calls.faults": 1,
        "agents.rung_in_a_talk": 6,
        "phones.restarted": 2,
        "phones.missing": 4,
    }


@pytest.mark.parametrize("shape", ["soak", "leak"])
def test_hours_in_which_nobody_calls_do_not_hold(shape: str) -> None:
    limits = read_limits((LIMITS / f"{shape}.toml").read_text(), shape)
    silent = judge(limits, people([], 10.0) | {"all.failed_share": 0.0})
    assert any("calls.talked_per_caller_h" in each.limit for each in silent if not each.held)
    asked = {each.figure for each in limits.limit}
    assert {"all.failed_share", "calls.faults", "phones.restarted", "phones.missing"} <= asked


@pytest.mark.parametrize("shape", ["soak", "leak"])
def test_hours_have_a_limit_on_whatever_a_program_or_the_center_holds(shape: str) -> None:
    limits = read_limits((LIMITS / f"{shape}.toml").read_text(), shape)
    asked = {each.figure for each in limits.limit}
    programs = {f"growth.{program}.{what}" for program in PROGRAMS for what in WHAT}
    assert programs | {f"growth.center.{what}" for what in HELD} <= asked
    assert {
        "left.tickets",
        "left.legs",
        "left.silent_edges",
        "errors.died",
        "errors.logs_cut",
    } <= asked


@pytest.mark.parametrize("shape", ["soak", "site-lost"])
def test_load_that_was_to_break_something_and_did_not_does_not_hold(shape: str) -> None:
    limits = read_limits((LIMITS / f"{shape}.toml").read_text(), shape)
    refused = judge(limits, {"faults.made": 0.0})
    assert any("faults.made" in each.limit for each in refused if not each.held)
    assert "faults.made" in {each.figure for each in limits.limit}
