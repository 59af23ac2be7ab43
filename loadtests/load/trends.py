"""What people met over time, in slices, with what was broken meanwhile. PURE.

Reckoned from the telephones' own lines, of which Locust's rows are made, too: exact to the
millisecond, and each value stands at the moment at which it began, where Locust would enter it when
its call is over. So what a fault did is seen beside the fault. Slices are so few that a page of
hours stays small.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from loadtests.load.faults import Done
from loadtests.load.telling import CALL, Row, Told, rows_of_agent, rows_of_caller

MOST_SLICES: Final = 240
CALLS_A_SLICE: Final = 3
"""At least, in the mean: slices of one call each would show that call and no course."""
_STEPS_S: Final = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
_EARLY_S, _LATE_S = 1.0, 600.0
"""So long before and after its time a load has calls: other stamps are wrong."""
_ENDED: Final = f"{CALL} ended: "
_MEDIAN, _TAIL = 0.5, 0.95
MOS: Final = "RTP MOS x 100"
"""Begins the rows in which less is worse: the tail is their 5th percentile."""


class Slice(Struct, frozen=True, kw_only=True):
    """One row of the tables in one slice."""

    number: int
    count: int
    failed: int
    median: float
    """Of all, failed ones too, as in Locust's tables; as the following in the row's unit."""
    tail: float
    """The 95th percentile, or the 5th where less is worse; the extreme of less than twenty."""


class Broken(Struct, frozen=True, kw_only=True):
    """Something that was broken on purpose."""

    number: int
    """Its place among all that were made, from 1."""
    what: str
    from_s: float
    until_s: float
    """By its time to live; the same as `from_s` where a process was killed."""


class Trends(Struct, frozen=True, kw_only=True):
    """Seconds count from when the load's time began."""

    slice_s: float
    slices: int
    """From the beginning until the last call had ended."""
    rows: dict[str, tuple[Slice, ...]]
    """By type and name, as in Locust's tables; slices without a value are not there."""
    ended: dict[str, tuple[int, ...]]
    """By how: so many calls in each slice."""
    broken: tuple[Broken, ...] = ()
    untold: int = 0
    """Calls that were placed and whose telephone has told no end: it died."""


class _Entry(Struct, frozen=True):
    """A value of a row, or the end of a call, and when it began."""

    row: Row
    at_ms: int


def reckon(
    said: Iterable[Told], done: Sequence[Done], began_ms: int, seconds: float
) -> Trends | None:
    """Return the trends of a load of `seconds`; None: nobody has called.

    `began_ms`: when its time began, by the wall clock; 0: unknown, and the first call begins it.
    """
    entries: list[_Entry] = []
    placed: set[str] = set()
    told_of: set[str] = set()
    for told in said:
        if told.event == "invite" and told.role == "caller":
            placed.add(told.phone)
        if told.event == "call":
            is_caller = told.role == "caller"
            if is_caller:
                told_of.add(told.phone)
            rows = rows_of_caller(told) if is_caller else rows_of_agent(told)
            entries += [_Entry(row, _began_ms(told, row)) for row in rows]
    if not told_of:
        return None
    began_ms = began_ms or min((each.at_ms for each in entries if each.at_ms), default=0)
    width_s = slice_s(seconds, len(told_of))
    rows_of: defaultdict[str, defaultdict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    last = math.ceil(seconds / width_s) - 1
    for each in entries:
        at_s = (each.at_ms - began_ms) / 1000.0
        if -_EARLY_S <= at_s <= seconds + _LATE_S:
            number = int(max(0.0, at_s) // width_s)
            rows_of[f"{each.row.kind} {each.row.name}"][number].append(each.row)
            last = max(last, number)
    return Trends(
        slice_s=width_s,
        slices=last + 1,
        rows={
            name: slices
            for name, by_slice in sorted(rows_of.items())
            if not name.startswith(_ENDED) and (slices := tuple(_slices(name, by_slice)))
        },
        ended={
            name.removeprefix(_ENDED): tuple(
                len(by_slice.get(number, ())) for number in range(last + 1)
            )
            for name, by_slice in sorted(rows_of.items())
            if name.startswith(_ENDED)
        },
        broken=tuple(_broken(done, began_ms)),
        untold=len(placed - told_of),
    )


def slice_s(seconds: float, calls: int) -> float:
    """Return how long slices are of a load that had so many calls."""
    least_s = max(seconds / MOST_SLICES, min(CALLS_A_SLICE * seconds / calls, seconds))
    return float(next((each for each in _STEPS_S if each >= least_s), least_s))


def _began_ms(told: Told, row: Row) -> int:
    """Return when that began of which a row tells; of a score and an end, when the call ended."""
    ended_ms = told.ended_ms or told.wall_ms
    match row.name:
        case "set-up" | "ring":
            return told.invite_ms or ended_ms
        case "wait for an agent" | "answer until the caller is heard":
            return told.answered_ms or ended_ms
        case name if name.startswith("longest gap"):
            return told.gap_from_ms or ended_ms
        case _:
            return ended_ms


def _slices(name: str, by_slice: Mapping[int, Sequence[Row]]) -> Iterator[Slice]:
    """Yield those in which something has a value: some rows only count, or failed untimed."""
    for number, rows in sorted(by_slice.items()):
        values = sorted(row.value_ms for row in rows if row.value_ms is not None)
        if values:
            yield Slice(
                number=number,
                count=len(rows),
                failed=sum(1 for row in rows if row.fault),
                median=_percentile(values, _MEDIAN),
                tail=_percentile(values, 1 - _TAIL if name.startswith(MOS) else _TAIL),
            )


def _percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest rank's: a value that was there."""
    return values[max(0, math.ceil(round(share * len(values), 6)) - 1)]


def _broken(done: Iterable[Done], began_ms: int) -> Iterator[Broken]:
    made = (each for each in done if not each.problem)
    for number, each in enumerate(made, 1):
        yield Broken(
            number=number,
            what=f"{each.drill}: {each.fault.told()}",
            from_s=round((each.from_ms - began_ms) / 1000.0, 1),
            until_s=round((each.until_ms - began_ms) / 1000.0, 1),
        )
