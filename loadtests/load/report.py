"""What a load has shown, as its JSON report and as what a terminal shows."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from rich.console import RenderableType
from rich.text import Text

from drills.desk.tables import spaced, table
from loadtests.load.complaints import Complaint
from loadtests.load.figures import Judged, TableRow
from loadtests.load.growth import Slope
from loadtests.load.plan import Request, ShapeName
from loadtests.load.trends import Trends


class Report(Struct, frozen=True, kw_only=True):
    """The whole of it. `figures` are what limits name."""

    shape: ShapeName
    request: Request
    machine: dict[str, str]
    rows: tuple[TableRow, ...]
    figures: dict[str, float]
    limits: tuple[Judged, ...]
    held: bool
    incomplete: tuple[str, ...] = ()
    """Why it is not of a whole load, and what Locust's processes said last; nothing: it is."""
    unwritten: str = ""
    """Why its files could not be written; empty: they were, or none was asked for."""
    missing_calls: tuple[str, ...]
    """Some that callers knew of and the ledger did not."""
    unclaimed_calls: tuple[str, ...] = ()
    """Some that the ledger knew of and no caller had placed; with what it says."""
    contradicted_calls: tuple[str, ...] = ()
    """Some of whose end the two say different things: all that is known of them."""
    mixed_up_calls: tuple[str, ...] = ()
    """Some in which somebody of another call was heard; with that one's chords."""

    faults: tuple[str, ...]
    """That were made."""
    refused_faults: tuple[str, ...] = ()
    """That could not be made, and why."""
    growth: dict[str, dict[str, Slope]] = {}
    """By program and what it holds: the life in which it surely grew most."""
    complaints: tuple[Complaint, ...] = ()
    died: tuple[str, ...] = ()
    """Some of the center's processes that ended, and no fault had ended them."""
    trends: Trends | None = None
    """What people met over time; None: nobody called."""

    def differing(self) -> Iterator[str]:
        """Yield each call on which people and ledger do not agree, or others were heard."""
        yield from (f"in no record: {each}" for each in self.missing_calls)
        yield from (f"nobody placed it: {each}" for each in self.unclaimed_calls)
        yield from (f"told otherwise: {each}" for each in self.contradicted_calls)
        yield from (f"others were heard: {each}" for each in self.mixed_up_calls)

    def grown(self) -> Iterator[tuple[str, str, Slope]]:
        """Yield program, what it holds, and how that went: memory, and what surely grew.

        The rest is in `growth`, and too much for a person to read.
        """
        for program, by_what in self.growth.items():
            for what, each in by_what.items():
                if each.surely or what == "memory_mb":
                    yield program, what.replace("_", " "), each


def shown(report: Report) -> RenderableType:
    """Return the tables."""
    rows = table("What people met", "type", "what", "count", "failed", "p50", "p95", "p99", "most")
    for row in sorted(report.rows, key=lambda each: (each.kind, each.name)):
        times = (row.p50_ms, row.p95_ms, row.p99_ms, row.most_ms)
        rows.add_row(
            row.kind,
            row.name,
            str(row.count),
            str(row.failed) if row.failed else "-",
            *("-" if row.timed == 0 else f"{each:.0f}" for each in times),
            style="red" if row.failed else "",
        )
    limits = table("Limits", "limit", "found", "")
    for each in report.limits:
        style = "" if each.held else "red"
        limits.add_row(each.limit, each.found, "held" if each.held else "BROKEN", style=style)
    parts: list[RenderableType] = [rows]
    parts += [*_findings(report), limits]
    if report.incomplete:
        why, *more = report.incomplete
        parts.insert(0, Text("\n".join((f"NOT WHOLE: {why}", *more)), style="red"))
    if report.refused_faults:
        parts.insert(0, Text("Not made: " + "; ".join(report.refused_faults)))
    if report.faults:
        made = "; ".join(report.faults)
        parts.insert(0, Text(f"Faults by seed {report.request.seed}: {made}"))
    return spaced(parts)


def _findings(report: Report) -> Iterator[RenderableType]:
    if report.growth:
        yield _growth(report)
    if report.died:
        yield Text("Of their own accord: " + "; ".join(report.died), style="red")
    if report.complaints:
        yield _complaints(report)
    if (busy := report.figures.get("machine.runnable_per_core")) is not None:
        yield Text(f"At most {busy:g} processes a core ran or waited for one.")
    if differing := list(report.differing()):
        yield Text("\n".join(differing), style="red")


def _growth(report: Report) -> RenderableType:
    held = table(
        "What one process held: the life that grew most",
        "program", "what", "first", "last", "an hour (98 of 100 between)", "surely grew by",
    )  # fmt: skip
    for program, what, each in report.grown():
        slope = f"{each.per_h:+.1f} ({each.low_per_h:+.1f} to {each.high_per_h:+.1f})"
        sure = f"{each.surely:.1f}" if each.surely else "-"
        held.add_row(program, what, f"{each.first:.1f}", f"{each.last:.1f}", slope, sure)
    return held


def _complaints(report: Report) -> RenderableType:
    found = table("Errors in the logs", "program", "error", "why", "count", "explained by a fault")
    for each in report.complaints:
        explained = "yes" if each.explained else "NO"
        style = "" if each.explained else "red"
        found.add_row(each.program, each.event, each.why, str(each.count), explained, style=style)
    return found
