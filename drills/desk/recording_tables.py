"""The tables that a person reads of recordings. PURE."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from custody.findings import Rotation, Sample
from drills.desk.ledger import SHORT
from drills.desk.recording_answers import RecordingRow, Recordings
from drills.desk.tables import clock


def listed(found: Recordings) -> RenderableType:
    """Show every answered call and its recording."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("call", "ended", "queue", "agent", "site"):
        table.add_column(name)
    for name in ("length", "KiB"):
        table.add_column(name, justify="right")
    table.add_column("state")
    for row in found.recordings:
        table.add_row(
            row.call[:SHORT],
            clock(row.ended_ms),
            row.queue,
            row.agent or "-",
            row.site,
            f"{row.length_s:.2f} s" if row.is_kept else "-",
            str(row.size // 1024) if row.is_kept else "-",
            _state(row),
        )
    return Group(table, Text(summed(found)))


def summed(found: Recordings) -> str:
    """Say in a line how many of how many there are."""
    kept = [row for row in found.recordings if row.is_kept]
    wrong = sum(1 for row in found.recordings if row.faults)
    unrecorded = sum(1 for row in found.recordings if row.unrecorded)
    gone = sum(1 for row in found.recordings if row.cut_off and not (row.is_kept or row.unrecorded))
    incomplete = sum(1 for row in kept if not row.is_complete)
    how = "hashed and opened" if found.is_thorough else "by their manifests"
    return (
        f"{len(kept)} of {len(found.recordings)} answered calls have a recording, {how}; "
        f"{incomplete} incomplete with a reason, {unrecorded} not recorded with a reason, "
        f"{gone} cut off by a fault without one, "
        f"{wrong} with a fault."
    )


def sampled(samples: tuple[Sample, ...]) -> RenderableType:
    """Say what each site opened of the others' recordings."""
    lines = [
        Text(
            f"Site {each.site} opened {each.opened} of {each.tried} copies of other sites' "
            "recordings with its own keys alone.",
            style="bold red" if each.faults else "",
        )
        for each in samples
    ]
    faults = [Text(f"  {fault}", style="bold red") for each in samples for fault in each.faults]
    return Group(*lines, *faults)


def rotated(found: Rotation) -> RenderableType:
    """Say how far a rotation has come."""
    state = "over: the older secret is gone" if found.is_over else "going on"
    return Text(
        f"Provider {found.provider}: {found.rewrapped} of {found.keys} keys rewrapped; {state}."
    )


def shown(row: RecordingRow) -> RenderableType:
    """Show one recording whole."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("segment", "from", "length", "KiB", "lost", "key", "sha256", "state"):
        table.add_column(name)
    for each in row.segments:
        table.add_row(
            str(each.number),
            f"{each.start_s:.2f} s",
            f"{each.length_s:.2f} s",
            str(each.size // 1024),
            str(each.lost),
            each.key[:SHORT],
            each.sha256[:SHORT],
            "closed" if each.is_complete else "cut off",
        )
    head = f"Call {row.call}, queue {row.queue}, agent {row.agent or '-'}, site {row.site}"
    return Group(
        Text(head),
        table,
        *(Text(f"gap: {gap}") for gap in row.gaps),
        *([Text(f"not recorded: {row.unrecorded}")] if row.unrecorded else []),
        *(Text(fault, style="bold red") for fault in row.faults),
    )


def _state(row: RecordingRow) -> Text:
    if row.faults:
        return Text("; ".join(row.faults), style="bold red")
    if row.unrecorded:
        return Text(f"not recorded: {row.unrecorded}", style="yellow")
    told = "complete" if row.is_complete else "incomplete" if row.is_kept else "none"
    if row.cut_off:
        told += f", cut off: {row.cut_off}"
    return Text(told, style="green" if row.is_complete else "yellow")
