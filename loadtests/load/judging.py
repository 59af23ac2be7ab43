"""Puts together what a load has shown and holds it to its limits; writes that into its files."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, field

from drills.figures_file import write_figures
from loadtests.bench.machine import machine
from loadtests.load import complaints, faults, figures, growth, locusts, shapes, trends
from loadtests.load.after import After, volume
from loadtests.load.deaths import deaths
from loadtests.load.figures import Limits
from loadtests.load.logs import Logs
from loadtests.load.page import EMPTY_PAGE, with_verdict
from loadtests.load.plan import Plan
from loadtests.load.report import Report
from loadtests.load.sums import why_too_few
from state.clock import SystemClock

T = TypeVar("T")


class Seen(Struct, kw_only=True):
    """What is seen while people are there."""

    logs: Logs
    planned: Sequence[faults.Planned]
    rounds: list[growth.Round] = field(default_factory=list)
    held: list[growth.Held] = field(default_factory=list)


def report_of(
    plan: Plan, limits: Limits, incomplete: tuple[str, ...], after: After, seen: Seen
) -> Report:
    """Return the report of what was seen and found. `incomplete`: why it is not a whole load's.

    A part that cannot be reckoned, by a fault of ours, is left out with its figures, and the load
    not whole: hours of looks are not thrown away for it.
    """
    parts = _Parts()
    rows = locusts.rows(plan.folder)
    done = locusts.done(plan.folder)
    ran = locusts.ran(plan.folder)
    began_ms = 0 if ran is None else ran.began_ms
    complained = parts.get("errors", lambda: complaints.complaints(seen.logs.errors, done))
    grown = parts.get("growth", lambda: growth.worst(seen.rounds) | growth.center(seen.held)) or {}
    books = after.books
    told = after.figures() | growth.figures(grown)
    told |= figures.people(rows, shapes.caller_hours(plan.request))
    told |= faults.figures(seen.planned, done)
    if ran is not None and ran.runnable_per_core is not None:
        told["machine.runnable_per_core"] = round(ran.runnable_per_core, 1)
    now = SystemClock().now()
    zero_ms = now.wall_ms - round(1000 * now.mono_s)
    died = parts.get("deaths", lambda: deaths(seen.rounds, done, zero_ms))
    if died is not None:
        told["errors.died"] = float(len(died))
    if complained is not None:
        told |= complaints.figures(complained, seen.logs.cut)
    found = figures.figures(rows, told)
    judged = figures.judge(limits, found)
    asked = plan.request
    lacking = why_too_few(volume(plan), per_s=asked.sipp_per_s, seconds=asked.seconds)
    said = locusts.said(plan.folder)
    over_time = parts.get("trends", lambda: trends.reckon(said, done, began_ms, asked.seconds))
    incomplete = (*incomplete, *after.unknown, *filter(None, (lacking,)), *parts.lacking)
    return Report(
        shape=plan.request.shape,
        request=plan.request,
        machine=machine("at the end"),
        rows=rows,
        figures=found,
        limits=judged,
        held=not incomplete and all(each.held for each in judged),
        incomplete=incomplete,
        missing_calls=() if books is None else books.missing[:20],
        unclaimed_calls=() if books is None else books.unclaimed[:20],
        contradicted_calls=() if books is None else books.contradicted[:20],
        mixed_up_calls=() if books is None else books.mixed_up[:20],
        growth=grown,
        complaints=complained or (),
        died=(died or ())[:20],
        faults=tuple(each.told() for each in done if not each.problem),
        refused_faults=tuple(each.told() for each in done if each.problem),
        trends=over_time,
    )


class _Parts:
    """What is reckoned one by one, so that one fault of ours costs one part."""

    def __init__(self) -> None:
        self.lacking: list[str] = []
        """What could not be reckoned, and why."""

    def get(self, what: str, reckon: Callable[[], T]) -> T | None:
        """Return what is reckoned, None if it cannot be; where it broke is in the log."""
        try:
            return reckon()
        except Exception as error:  # noqa: BLE001 - whatever it is
            traceback.print_exc()
            self.lacking.append(f"{what} could not be reckoned: {type(error).__name__}: {error}")
            return None


def keep(report: Report, page: Path, *, json: str | None, html: str | None) -> None:
    """Write the files that are asked for. `page` is Locust's, if it has left one."""
    if json is not None:
        write_figures(Path(json), report)
    if html is not None:
        text = page.read_text() if page.exists() else EMPTY_PAGE
        Path(html).write_text(with_verdict(text, report))
