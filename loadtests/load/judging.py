"""Puts together what a load has shown and holds it to its limits; writes that into its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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


class Seen(Struct, kw_only=True):
    """What is seen while people are there."""

    logs: Logs
    planned: Sequence[faults.Planned]
    rounds: list[growth.Round] = field(default_factory=list)
    held: list[growth.Held] = field(default_factory=list)


def report_of(
    plan: Plan, limits: Limits, incomplete: tuple[str, ...], after: After, seen: Seen
) -> Report:
    """Return the report of what was seen and found. `incomplete`: why it is not a whole load's."""
    rows = locusts.rows(plan.folder)
    done = locusts.done(plan.folder)
    ran = locusts.ran(plan.folder)
    began_ms = 0 if ran is None else ran.began_ms
    complained = complaints.complaints(seen.logs.errors, done)
    grown, books = growth.worst(seen.rounds) | growth.center(seen.held), after.books
    told = after.figures() | growth.figures(grown)
    told |= figures.people(rows, shapes.caller_hours(plan.request))
    told |= faults.figures(seen.planned, done)
    if ran is not None and ran.runnable_per_core is not None:
        told["machine.runnable_per_core"] = round(ran.runnable_per_core, 1)
    now = SystemClock().now()
    died = deaths(seen.rounds, done, now.wall_ms - round(1000 * now.mono_s))
    told["errors.died"] = float(len(died))
    found = figures.figures(rows, told | complaints.figures(complained, seen.logs.cut))
    judged = figures.judge(limits, found)
    asked = plan.request
    lacking = why_too_few(volume(plan), per_s=asked.sipp_per_s, seconds=asked.seconds)
    incomplete = (*incomplete, *after.unknown, *filter(None, (lacking,)))
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
        complaints=complained,
        died=died[:20],
        faults=tuple(each.told() for each in done if not each.problem),
        refused_faults=tuple(each.told() for each in done if each.problem),
        trends=trends.reckon(locusts.said(plan.folder), done, began_ms, plan.request.seconds),
    )


def keep(report: Report, page: Path, *, json: str | None, html: str | None) -> None:
    """Write the files that are asked for. `page` is Locust's, if it has left one."""
    if json is not None:
        write_figures(Path(json), report)
    if html is not None:
        text = page.read_text() if page.exists() else EMPTY_PAGE
        Path(html).write_text(with_verdict(text, report))
