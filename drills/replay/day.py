"""A recorded day: how things stood, who came and went at work, and what became of every call. PURE.

A file of JSON lines: the lines of an edge's event log that routing did not itself bring about
(configuration, presences, edges, probes), then the calls of the ledger. It holds no caller's number
and no agent's HA1, since the log holds none and a call's record none either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from edge.acd.ending import CALLBACK_TAKEN
from edge.acd.handling import talk_s
from edge.acd.simulation.day import KINDS, Caller, Day, kind_of
from state.codec import UNREADABLE, decode, encode
from state.errors import CodecError
from state.eventlog.lines import DELETED, VERSION, Begin, Changed, ChangeRow, Line
from state.keys import Kind
from state.model import CallRecord, Outcome, QueueId

_LATER: Final = KINDS - {Kind.WORK}
"""What happens to it from outside. What agents have done follows from the calls."""
RING_S: Final = 3.0
TALK_S: Final = 180.0
"""Where not one call tells how long that takes."""


class DayError(ValueError):
    """The file is no recorded day; the text says where, and what to do."""


class Over(Struct, frozen=True, tag="call", array_like=True):
    """A call of the ledger."""

    record: msgspec.Raw


DayLine: TypeAlias = Begin | Changed | Over
_decoder: Final[msgspec.json.Decoder[DayLine]] = msgspec.json.Decoder(DayLine)


# ---- recording -----------------------------------------------------------------------------------


def recorded(lines: Iterable[Line], records: Iterable[CallRecord]) -> Iterator[bytes]:
    """Yield the lines of a day's file from a log, its segments one after the other, and a ledger.

    Calls that came before the log began are left out.
    """
    begin: Begin | None = None
    stands: set[str] = set()
    for line in lines:
        if isinstance(line, Begin):
            rows = tuple(row for row in line.rows if kind_of(row.key) in KINDS)
            if begin is None:
                begin = msgspec.structs.replace(line, rows=rows)
                stands.update(row.key for row in rows)
                yield msgspec.json.encode(begin)
                continue
            told = _again(line, stands)
        elif isinstance(line, Changed):
            told = line
        else:
            continue
        for row in told.changes:
            (stands.discard if bytes(row.value) == DELETED else stands.add)(row.key)
        yield from _told(told)
    if begin is None:
        return
    for record in sorted(records, key=lambda each: (each.arrived_ms, each.call)):
        if record.arrived_ms >= begin.wall_ms:
            yield msgspec.json.encode(Over(msgspec.Raw(encode(record))))


def _again(line: Begin, stands: set[str]) -> Changed:
    """Return a later segment's beginning as changes. What is old news changes nothing.

    What stood before and is not told again has gone: while an edge does not live, or its disk takes
    nothing, its log tells of no change.
    """
    gone = sorted(stands - {row.key for row in line.rows})
    rows = [
        *(ChangeRow(key, msgspec.Raw(DELETED), 0, line.revision) for key in gone),
        *(ChangeRow(r.key, r.value, r.create_revision, r.mod_revision) for r in line.rows),
    ]
    return Changed(line.revision, line.mono_s, line.wall_ms, tuple(rows))


def _told(line: Changed) -> Iterator[bytes]:
    kept = tuple(row for row in line.changes if kind_of(row.key) in _LATER)
    if kept:
        yield msgspec.json.encode(msgspec.structs.replace(line, changes=kept))


# ---- reading -------------------------------------------------------------------------------------


def read_day(lines: Iterable[bytes], source: str) -> Day:
    """Return the day that a file holds; DayError names the `source` and the line."""
    begin: Begin | None = None
    changes: list[Changed] = []
    records: list[CallRecord] = []
    for number, text in enumerate(lines, start=1):
        try:
            line = _decoder.decode(text)
            match line:
                case Begin():
                    begin = line
                case Changed():
                    changes.append(line)
                case Over():
                    record = decode(CallRecord, bytes(line.record), f"line {number}")
                    records.append(record)
        except (*UNREADABLE, CodecError) as error:
            raise DayError(
                f"{source}, line {number}: no line of a recorded day: {error}"
            ) from error
    if begin is None or begin.v != VERSION:
        raise DayError(f"{source}: no recorded day; make one by ./everline calls --export FILE")
    return Day(begin=begin, changes=tuple(changes), callers=callers_of(records))


def callers_of(records: Iterable[CallRecord]) -> tuple[Caller, ...]:
    """Return how the callers behave; what one call does not tell is the median of its queue's.

    Whom the center called back did not come by themselves then.
    """
    came = (each for each in records if each.callback_of is None)
    known = sorted(came, key=lambda each: (each.arrived_ms, each.call))
    rings = _Medians((each.queue, _ring_ms(each)) for each in known)
    talks = _Medians((each.queue, _talk_ms(each)) for each in known)
    greetings = _Medians((each.queue, _greeting_ms(each)) for each in known)
    return tuple(
        _caller(
            each,
            greeting_ms=greetings.of(each.queue, 0),
            ring_ms=rings.of(each.queue, round(RING_S * 1000)),
            talk_ms=talks.of(each.queue, round(TALK_S * 1000)),
        )
        for each in known
        if each.queued_ms is not None or each.outcome in {Outcome.REFUSED, Outcome.CALLBACK}
    )


def _caller(record: CallRecord, *, greeting_ms: int, ring_ms: int, talk_ms: int) -> Caller:
    own = _greeting_ms(record), _ring_ms(record), _talk_ms(record)
    left = record.outcome in {Outcome.ABANDONED, Outcome.LOST}
    # Who took the offer to be called back did not wait for longer.
    leaves = record.connected_ms is None and (left or record.cause == CALLBACK_TAKEN)
    queued_ms = record.queued_ms
    return Caller(
        record=record,
        greeting_ms=greeting_ms if own[0] is None else own[0],
        patience_ms=max(0, record.ended_ms - queued_ms) if leaves and queued_ms else None,
        is_cut_off=record.outcome is Outcome.LOST,
        ring_ms=ring_ms if own[1] is None else own[1],
        talk_ms=talk_ms if own[2] is None else own[2],
        lets_ring=frozenset(record.tried) - {talk.agent for talk in record.talks},
    )


def _greeting_ms(record: CallRecord) -> int | None:
    queued_ms = record.queued_ms
    return None if queued_ms is None else max(0, queued_ms - record.arrived_ms)


def _ring_ms(record: CallRecord) -> int | None:
    if record.decision is None or record.connected_ms is None:
        return None
    if record.talks:
        # The decision is the last one's, and who answered was the first.
        return None
    return max(0, record.connected_ms - record.decision.wall_ms)


def _talk_ms(record: CallRecord) -> int | None:
    return None if record.connected_ms is None else round(talk_s(record) * 1000)


class _Medians:
    """The medians of what is known, by queue and of all."""

    def __init__(self, found: Iterable[tuple[QueueId, int | None]]) -> None:
        self._by_queue: dict[QueueId, list[int]] = {}
        self._all: list[int] = []
        for queue, value in found:
            if value is not None:
                self._by_queue.setdefault(queue, []).append(value)
                self._all.append(value)

    def of(self, queue: QueueId, otherwise: int) -> int:
        """Return a queue's median; of all queues if it has none."""
        values = self._by_queue.get(queue) or self._all
        return round(median(values)) if values else otherwise
