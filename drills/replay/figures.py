"""How a day went, in figures: of what happened, and of what would have. PURE.

Every figure is `edge.acd.service_level`'s, from the calls' stamps alone, for both the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from edge.acd.handling import QueueWrapUps, talk_s, talks_rested, wrap_up_s
from edge.acd.service_level import Figures, figures
from edge.acd.simulation import Day, kind_of
from state.codec import decode
from state.errors import CodecError
from state.eventlog.lines import DELETED
from state.keys import Kind
from state.model import AgentId, CallRecord, Presence, PresenceState, QueueId


class DayFigures(Struct, frozen=True, kw_only=True):
    """Of a whole day."""

    total: Figures
    queues: Mapping[QueueId, Figures]
    occupancy: float | None
    """Time in calls, and resting after them, of the time for which agents were at work."""
    unfinished: int = 0


def by_queue(records: Iterable[CallRecord]) -> dict[QueueId, list[CallRecord]]:
    """Return the calls of each queue, by its id."""
    found: dict[QueueId, list[CallRecord]] = {}
    for record in records:
        found.setdefault(record.queue, []).append(record)
    return dict(sorted(found.items()))


def day_figures(
    records: Iterable[CallRecord],
    target_s: float,
    queue_wrap_up_s: QueueWrapUps,
    staffed_s: float,
    unfinished: int = 0,
) -> DayFigures:
    """Return the figures of a day, whole and by queue."""
    known = tuple(records)
    handled_s = sum(talk_s(record) + wrap_up_s(record, queue_wrap_up_s) for record in known)
    return DayFigures(
        total=figures(known, target_s, queue_wrap_up_s),
        queues={
            queue: figures(calls, target_s, queue_wrap_up_s)
            for queue, calls in by_queue(known).items()
        },
        occupancy=handled_s / staffed_s if staffed_s > 0 else None,
        unfinished=unfinished,
    )


def staffed_s(day: Day, queue_wrap_up_s: QueueWrapUps) -> float:
    """Return for how long agents were at work, summed, from the first call to the last one's end.

    Ready, or in a call and resting after it: who pauses as they talk works until that is over.
    """
    if not day.records:
        return 0.0
    begins = min(record.arrived_ms for record in day.records)
    ends = max(record.ended_ms for record in day.records)
    spans = _ready(day, ends)
    for record in day.records:
        for talk, rest_s in talks_rested(record, queue_wrap_up_s):
            until_ms = talk.until_ms + round(rest_s * 1000)
            spans.setdefault(talk.agent, []).append((talk.since_ms, until_ms))
    return sum(_covered(each, begins, ends) for each in spans.values()) / 1000.0


def _ready(day: Day, ends_ms: int) -> dict[AgentId, list[tuple[int, int]]]:
    """Return when each agent was ready."""
    told = [(day.begin.wall_ms, row.key, bytes(row.value)) for row in day.begin.rows]
    for line in day.changes:
        told += [(line.wall_ms, row.key, bytes(row.value)) for row in line.changes]
    since: dict[str, int] = {}
    spans: dict[AgentId, list[tuple[int, int]]] = {}
    for wall_ms, key, value in told:
        if kind_of(key) is not Kind.PRESENCE:
            continue
        begun = since.pop(key, None)
        if begun is not None:
            spans.setdefault(_agent(key), []).append((begun, wall_ms))
        if _is_ready(key, value):
            since[key] = wall_ms
    for key, begun in since.items():
        spans.setdefault(_agent(key), []).append((begun, ends_ms))
    return spans


def _agent(key: str) -> AgentId:
    return AgentId(key.rpartition("/")[2])


def _is_ready(key: str, value: bytes) -> bool:
    if value == DELETED:
        return False
    try:
        return decode(Presence, value, key).state is PresenceState.READY
    except CodecError:
        return False


def _covered(spans: Iterable[tuple[int, int]], begins: int, ends: int) -> int:
    """Return how much of a time these spans cover, each moment once."""
    covered = 0
    for begin, end in sorted(spans):
        since, until = max(begin, begins), min(end, ends)
        if since < until:
            covered += until - since
            begins = until
    return covered
