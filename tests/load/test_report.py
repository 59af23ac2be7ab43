"""The report of a load, whatever became of it."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from drills.fault import Fault, FaultKind
from loadtests.load import complaints, judging, locusts, trends
from loadtests.load.after import After
from loadtests.load.books import Books
from loadtests.load.faults import Done
from loadtests.load.figures import TableRow, read_limits
from loadtests.load.judging import Seen, keep, report_of
from loadtests.load.logs import Logs
from loadtests.load.plan import BROKEN, RAN, ROWS, SAID
from loadtests.load.ran import Ran
from loadtests.load.report import Report, shown
from tests.load.test_locusts import ROW, plan
from tests.load.test_trends import BEGAN_MS, agent, caller

LIMITS = read_limits('[[limit]]\nfigure = "sip.set_up.count"\nat_least = 9\n', "here")
WHY = "Locust heard no more of 1 of its workers, and ended after 5400 of 7200 s"


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    monkeypatch.setattr(judging, "machine", lambda _when: {})
    return Seen(logs=Logs(tmp_path), planned=())


def left(folder: Path, *rows: TableRow) -> None:
    (folder / ROWS).write_bytes(msgspec.json.encode(rows))


def test_load_that_was_cut_short_has_both_files_and_does_not_hold(
    tmp_path: Path, seen: Seen
) -> None:
    left(tmp_path, ROW)
    nothing = After(books=None, left={}, unknown=("the ledger could not be read: silent",))
    report = report_of(plan(tmp_path), LIMITS, (WHY,), nothing, seen)
    files = {kind: str(tmp_path / f"out.{kind}") for kind in ("json", "html")}
    keep(report, tmp_path / locusts.PAGE, json=files["json"], html=files["html"])
    kept = msgspec.json.decode(Path(files["json"]).read_bytes(), type=Report)
    assert kept == report
    assert kept.rows == (ROW,)
    assert [each.held for each in kept.limits] == [True]
    assert not kept.held
    assert kept.incomplete == (WHY, "the ledger could not be read: silent")
    assert WHY in Path(files["html"]).read_text()


def test_fault_that_the_lever_refused_is_not_told_as_made(tmp_path: Path, seen: Seen) -> None:
    left(tmp_path, ROW)
    kill = Fault(kind=FaultKind.KILL, target="edge-a1")
    made = Done(at_s=20.0, drill="edge_killed", fault=kill, from_ms=1, until_ms=1)
    refused = Done(at_s=90.0, drill="edge_killed", fault=kill, problem="the lever is pulled")
    lines = (msgspec.json.encode(each) + b"\n" for each in (made, refused))
    (tmp_path / BROKEN).write_bytes(b"".join(lines) + b'{"at_s":120.0,"dri')
    whole = After(books=None, left={}, unknown=())
    report = report_of(plan(tmp_path), LIMITS, (), whole, seen)
    assert report.held
    assert report.faults == ("at 20 s: edge_killed: kill edge-a1",)
    assert report.refused_faults == ("at 90 s: edge_killed: kill edge-a1: the lever is pulled",)


def test_part_that_cannot_be_reckoned_costs_that_part_and_the_verdict(
    tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    left(tmp_path, ROW)
    monkeypatch.setattr(trends, "reckon", lambda *_: [].pop())
    report = report_of(plan(tmp_path), LIMITS, (), After(books=None, left={}, unknown=()), seen)
    assert report.rows == (ROW,)
    assert [each.held for each in report.limits] == [True]
    assert report.incomplete == ("trends could not be reckoned: IndexError: pop from empty list",)
    assert not report.held


def test_errors_that_cannot_be_reckoned_are_not_measured_and_not_none(
    tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    left(tmp_path, ROW)
    for room, name in ((complaints, "complaints"), (judging, "deaths")):
        monkeypatch.setattr(room, name, lambda *_: [].pop())
    names = ("errors.unexplained", "errors.died")
    limits = read_limits(
        "".join(f'[[limit]]\nfigure = "{n}"\nat_most = 0\n' for n in names), "here"
    )
    report = report_of(plan(tmp_path), limits, (), After(books=None, left={}, unknown=()), seen)
    assert [(each.held, each.found) for each in report.limits] == [(False, "not measured")] * 2
    assert not report.held


def test_load_whose_volume_never_came_does_not_hold(tmp_path: Path, seen: Seen) -> None:
    left(tmp_path, ROW)
    asked = plan(tmp_path)
    asked = replace(asked, request=replace(asked.request, sipp_per_s=10.0))
    whole = After(books=None, left={}, unknown=())
    report = report_of(asked, LIMITS, (), whole, seen)
    assert report.incomplete == ("SIPp has placed 0 of 72000 calls",)
    assert not report.held


def test_what_telephones_said_is_told_over_time_also_in_the_file(
    tmp_path: Path, seen: Seen
) -> None:
    left(tmp_path, ROW)
    ran = Ran(ran_s=7200.0, stood_still_s=0.0, workers_lost=0, began_ms=BEGAN_MS)
    (tmp_path / RAN).write_bytes(msgspec.json.encode(ran))
    for host, told in (("callers", caller(3600.0)), ("agents-a", agent(3603.0))):
        file = tmp_path / f"{SAID}-phones-0-{host}.jsonl"
        file.write_bytes(msgspec.json.encode(told) + b'\n{"event":"call","ro')
    report = report_of(plan(tmp_path), LIMITS, (), After(books=None, left={}, unknown=()), seen)
    assert report.trends is not None
    assert report.trends.slice_s == 7200.0
    assert set(report.trends.rows) > {"SIP set-up", "SIP ring"}
    keep(report, tmp_path / locusts.PAGE, json=str(tmp_path / "out.json"), html=None)
    kept = msgspec.json.decode((tmp_path / "out.json").read_bytes(), type=Report)
    assert kept.trends == report.trends


def test_terminal_shows_how_busy_the_machine_was_and_each_call_that_is_told_otherwise(
    tmp_path: Path, seen: Seen
) -> None:
    left(tmp_path, ROW)
    ran = Ran(ran_s=7200.0, stood_still_s=0.0, workers_lost=0, runnable_per_core=6.84)
    (tmp_path / RAN).write_bytes(msgspec.json.encode(ran))
    books = Books(
        calls=9,
        missing=("m",),
        doubled=(),
        contradicted=("c: lost, and answered by the people",),
        cut_off=0,
        unclaimed=("u: lost",),
        mixed_up=("x: 5+6",),
    )
    after = After(books=books, left={}, unknown=())
    report = report_of(plan(tmp_path), LIMITS, (), after, seen)
    console = Console(width=100, file=io.StringIO())
    console.print(shown(report))
    told = console.file.getvalue()  # type: ignore[attr-defined]
    for line in (
        "At most 6.8 processes a core",
        "in no record: m",
        "nobody placed it: u: lost",
        "told otherwise: c: lost, and answered by the people",
        "others were heard: x: 5+6",
    ):
        assert line in told
