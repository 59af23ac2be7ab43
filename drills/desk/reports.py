"""How callers were served, by queue and interval, from the records of calls alone. PURE.

A call counts in the interval in which it came, whenever it ended, and in the queue where it stood.
Intervals count from the midnight of a place (`intervals`).
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec.structs import replace
from rich.console import RenderableType
from rich.text import Text

from drills.desk.answers import QueueRow
from drills.desk.asks import ReportAsk
from drills.desk.call_answers import Report, ReportRow
from drills.desk.intervals import UTC_NAME, begins, zone_called, zone_of
from drills.desk.ledger import Ledger
from drills.desk.tables import QUIET, bad_records, clock, day, numbers, spaced, table
from edge.acd.forecast import accuracy_of
from edge.acd.handling import works
from edge.acd.service_level import figures
from state.model import CallRecord, Now, QueueId
from state.snapshot import Snapshot

LEVEL = "answered_in_time_of_all"
"""The form that the table shows; --json has all of them."""


def report(lab: int, snapshot: Snapshot, over: Ledger, now: Now, ask: ReportAsk) -> Report:
    """Return the figures of every queue in every interval in which somebody called it."""
    wrap_ups = {queue: entry.value.wrap_up_s for queue, entry in snapshot.queues.items()}
    length_ms, target_s = round(ask.interval_s * 1000), ask.target_s
    since_ms = -math.inf if ask.since_ms is None else ask.since_ms
    until_ms = math.inf if ask.until_ms is None else ask.until_ms
    name = ask.zone or zone_of(snapshot) or ask.here
    zone = zone_called(name)
    if zone is None:
        name, zone = UTC_NAME, dt.UTC
    records = [record for record in over.records if since_ms <= record.arrived_ms < until_ms]
    groups: dict[tuple[int, QueueId], list[CallRecord]] = {}
    for record in records:
        from_ms = begins(record.arrived_ms, length_ms, zone)
        groups.setdefault((from_ms, record.queue), []).append(record)
    rows = (
        ReportRow(
            queue=queue,
            from_ms=from_ms,
            figures=figures(calls, target_s, wrap_ups, short_s=ask.short_s),
            estimates=accuracy_of(calls),
            codes=dict(Counter(over.codes[r.call] for r in calls if r.call in over.codes)),
        )
        for (from_ms, queue), calls in sorted(groups.items())
    )
    return Report(
        lab=lab,
        now_ms=now.wall_ms,
        interval_s=ask.interval_s,
        target_s=target_s,
        short_s=ask.short_s,
        since_ms=ask.since_ms,
        until_ms=ask.until_ms,
        zone=name,
        rows=tuple(rows),
        total=figures(records, target_s, wrap_ups, short_s=ask.short_s),
        agents=works(records, wrap_ups),
        bad_records=over.bad,
    )


def with_accuracy(rows: Iterable[QueueRow], over: Ledger) -> tuple[QueueRow, ...]:
    """Return the queues with how wrong the estimates of their calls were."""
    calls: dict[QueueId, list[CallRecord]] = {}
    for record in over.records:
        calls.setdefault(record.queue, []).append(record)
    return tuple(replace(row, accuracy=accuracy_of(calls.get(row.queue, ()))) for row in rows)


def shown(answer: Report) -> RenderableType:
    """Return the report as a table."""
    # What cannot be read is in no figure: who believes them has to know.
    bad = (bad_records(answer.bad_records),) if answer.bad_records else ()
    title = f"Service within {answer.target_s:g} s, by the clock of {answer.zone}"
    made = table(title, "from", "queue")
    numbers(made, "calls", "answered", "left", "level", "ASA", "95 %", "AHT", "busy")
    zone = zone_called(answer.zone)
    days = [day(row.from_ms, zone) for row in answer.rows]
    shown_day = day(answer.now_ms, zone)
    for at, row in zip(days, answer.rows, strict=True):
        if at != shown_day:  # a clock without its day is today's
            made.add_row(Text(at, style=QUIET))
            shown_day = at
        made.add_row(clock(row.from_ms, zone), row.queue, *_cells(row))
    if not answer.rows:
        return spaced((Text(_none(answer)), *bad))
    return spaced((made, *bad))


def _none(answer: Report) -> str:
    if answer.since_ms is None and answer.until_ms is None:
        return "No call is over yet: place one by ./everline call"
    return "Nobody called then whose call is over, or its record is no longer here: see --help"


def _cells(row: ReportRow) -> Iterator[str]:
    found = row.figures
    yield from (str(found.calls), str(found.answered), str(found.abandoned))
    level = found.service_level[LEVEL]
    yield _percent(level)
    for seconds in (found.asa_s, found.wait_p95_s, found.aht_s):
        yield "-" if seconds is None else f"{seconds:.1f} s"
    yield _percent(found.occupancy)


def of_agents(answer: Report) -> RenderableType:
    """Return what each agent did as a table."""
    made = table(f"Agents, {answer.total.calls} calls", "agent")
    numbers(made, "calls", "talk", "on hold", "wrap-up", "free", "AHT", "busy")
    for agent, work in answer.agents.items():
        parts = (work.talk_s, work.held_s, work.wrap_up_s, work.idle_s, work.aht_s)
        cells = ("-" if each is None else f"{each:.1f} s" for each in parts)
        made.add_row(agent, str(work.calls), *cells, _percent(work.occupancy))
    bad = (bad_records(answer.bad_records),) if answer.bad_records else ()
    if not answer.agents:
        return spaced((Text(_none(answer)), *bad))
    return spaced((made, *bad))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
