"""A day as it was beside the same day under other rules: what the command prints. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from drills.replay.figures import DayFigures, day_figures, staffed_s
from edge.acd.service_level import Figures
from edge.acd.simulation import Day, replay
from state.codec import decode
from state.configuration import Configuration
from state.errors import CodecError
from state.eventlog.lines import DELETED
from state.keys import Kind, parse
from state.model import Queue, QueueId

LEVEL = "answered_in_time_of_all"
"""The form of service level that the table shows; --json has them all."""


class Comparison(Struct, frozen=True, kw_only=True):
    """The figures side by side."""

    calls: int
    from_ms: int
    to_ms: int
    target_s: float
    recorded: DayFigures
    """As it happened."""
    same: DayFigures
    """Replayed under the rules of that day: what it differs by is the replay's own error."""
    new: DayFigures | None
    """Replayed under the other rules; None: none were given."""


def compare(day: Day, rules: Configuration | None, target_s: float) -> Comparison:
    """Replay a day under its own rules, and under others if they are given."""
    old = _wrap_ups_of(day)
    staff_s = staffed_s(day, old)
    same = replay(day)
    new = None
    if rules is not None:
        other = replay(day, rules)
        wrap_ups = {queue.id: queue.wrap_up_s for queue in rules.queues}
        new = day_figures(other.records, target_s, wrap_ups, staff_s, other.unfinished)
    return Comparison(
        calls=len(day.callers),
        from_ms=day.begin.wall_ms,
        to_ms=max((r.ended_ms for r in day.records), default=day.begin.wall_ms),
        target_s=target_s,
        recorded=day_figures(day.records, target_s, old, staff_s),
        same=day_figures(same.records, target_s, old, staff_s, same.unfinished),
        new=new,
    )


def _wrap_ups_of(day: Day) -> Mapping[QueueId, float]:
    """Return each queue's wrap-up, as it was last configured on that day."""
    found: dict[QueueId, float] = {}
    told = [(row.key, bytes(row.value)) for row in day.begin.rows]
    told += [(row.key, bytes(row.value)) for line in day.changes for row in line.changes]
    for key, value in told:
        if parse(key).kind is Kind.QUEUE and value != DELETED:
            try:
                queue = decode(Queue, value, key)
            except CodecError:
                continue
            found[queue.id] = queue.wrap_up_s
    return found


# ---- for people ----------------------------------------------------------------------------------


def shown(answer: Comparison) -> RenderableType:
    """Return the tables: of all calls, then of each queue."""
    sides = {"recorded": answer.recorded, "same rules": answer.same}
    if answer.new is not None:
        sides["new rules"] = answer.new
    parts: list[RenderableType] = [
        Text(f"{answer.calls} calls; service level within {answer.target_s:g} s", style="bold"),
        _table("All calls", {name: side.total for name, side in sides.items()}, sides),
    ]
    queues = sorted({queue for side in sides.values() for queue in side.queues})
    for queue in queues:
        found = {name: side.queues.get(queue) for name, side in sides.items()}
        parts += [Text(), _table(queue, found, None)]
    return Group(*parts)


def _table(
    title: str, found: Mapping[str, Figures | None], sides: Mapping[str, DayFigures] | None
) -> Table:
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("")
    for name in found:
        made.add_column(name, justify="right")
    rows = [dict(_rows(figures)) for figures in found.values()]
    for label in next((row for row in rows if row), {}):
        made.add_row(label, *(row.get(label, "-") for row in rows))
    if sides is not None:
        made.add_row("occupancy", *(_percent(side.occupancy) for side in sides.values()))
        made.add_row("never served", *(str(side.unfinished) for side in sides.values()))
    return made


def _rows(found: Figures | None) -> Iterator[tuple[str, str]]:
    if found is None:
        return
    yield "service level", _percent(found.service_level[LEVEL])
    yield "answered", str(found.answered)
    yield "abandoned", str(found.abandoned)
    yield "turned away", str(found.turned_away)
    yield "lost", str(found.lost)
    yield "speed of answer", _seconds(found.asa_s)
    yield "wait, median", _seconds(found.wait_p50_s)
    yield "wait, 95 %", _seconds(found.wait_p95_s)
    yield "handling time", _seconds(found.aht_s)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"
