"""Times the match index, and the match from nothing, on centers of growing size.

What is timed is `fold` and `offers`: from a snapshot with its deltas to the offers, decisions with
runners-up and counts included, all calls held by the one edge. The snapshots are made beforehand.
Times are CPU times of this thread: it waits for nothing, so on a machine with a core to spare they
are what a clock would say, and on a busy one they are not the others' fault.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from statistics import median
from typing import Final

from immutables import Map
from msgspec import Struct
from msgspec.structs import replace

from edge.acd.index.index import MatchIndex
from edge.acd.match import Offering, match
from loadtests.bench.errors import BenchError
from loadtests.bench.routing.world import EDGE, HANDLING_S, Center
from loadtests.bench.stats import percentile
from state.model import Now
from state.snapshot import Snapshot

SEED: Final = 20
_WARM_UP: Final = 0.1
"""This share of the events, at first, is not counted."""

GC_THRESHOLDS: Final = (20_000, 20, 20)
"""As `python -m edge` sets them."""
Timings = dict[str, list[float]]
"""Kind of event -> microseconds."""


class SizeFigures(Struct, frozen=True, kw_only=True):
    """What was found at one number of agents."""

    event_us: dict[str, float]
    by_kind_us: dict[str, dict[str, float]]
    bytes_per_agent: float
    bytes_per_call: float


@contextmanager
def as_in_an_edge() -> Iterator[None]:
    """Collect garbage as an edge does: what stands is left alone, the rest is looked at rarely."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
        gc.collect()


def at_size(agents: int, events: int) -> SizeFigures:
    """Time events at so many agents."""
    center = Center(agents, Random(SEED))  # noqa: S311 - a repeatable world
    center.furnish(agents // 2, is_busy=True)
    memory = _memory(center)
    with as_in_an_edge():
        timings = _events(center, events)
    together = [each for kind in ("agent", "call", "step") for each in timings[kind]]
    return SizeFigures(
        event_us=_shares(together),
        by_kind_us={kind: _shares(each) for kind, each in timings.items()},
        bytes_per_agent=memory[0],
        bytes_per_call=memory[1],
    )


def _shares(values: list[float]) -> dict[str, float]:
    p50, p99 = (round(percentile(values, share), 1) for share in (0.5, 0.99))
    return {"p50": p50, "p99": p99, "count": len(values)}


def _memory(center: Center) -> tuple[float, float]:
    """Return the bytes that an index holds for an agent and for a call, by tracemalloc."""
    nobody = replace(center.snapshot, agents=Map())
    of_calls = _held(nobody, center.now)
    of_all = _held(center.snapshot, center.now)
    return (of_all - of_calls) / center.agents, of_calls / len(center.snapshot.tickets)


def _held(snapshot: Snapshot, now: Now) -> int:
    tracemalloc.start()
    try:
        index = MatchIndex(EDGE)
        index.fold(snapshot, ())
        index.offers(now)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def settled(center: Center) -> MatchIndex:
    """Return an index of a center, after whoever was free has been given away."""
    index = MatchIndex(EDGE)
    index.fold(center.snapshot, ())
    _land(center, index, index.offers(center.now))
    return index


def _events(center: Center, count: int) -> Timings:
    """Let agents become free and callers come in turn, and steps fall due as time goes by."""
    index = settled(center)
    timings: Timings = defaultdict(list)
    pause_s = HANDLING_S / (2 * center.agents)
    turns = (free_one, lambda each: each.arrives())
    for number in range(count):
        if number == int(count * _WARM_UP):
            timings.clear()
        later_s = center.now_s + pause_s
        due_s = index.next_due_s()
        while due_s is not None and due_s <= later_s:
            center.now_s = max(center.now_s, due_s)
            _timed(center, index, timings["step"], timings["landed"])
            due_s = index.next_due_s()
            if due_s is not None and due_s <= center.now_s:
                break
        center.now_s = later_s
        turns[number % 2](center)
        _timed(center, index, timings[("agent", "call")[number % 2]], timings["landed"])
    return timings


def free_one(center: Center) -> None:
    """Let one of those who have a call have none; if nobody has one, somebody calls instead."""
    agent = center.somebody_busy()
    if agent is None:
        center.arrives()
    else:
        center.becomes_free(agent)


def _timed(center: Center, index: MatchIndex, event: list[float], landed: list[float]) -> None:
    deltas, now = center.take_deltas(), center.now
    began = time.thread_time_ns()
    index.fold(center.snapshot, deltas)
    offers = index.offers(now)
    event.append((time.thread_time_ns() - began) / 1000.0)
    if offers:
        landed.append(_land(center, index, offers))


def _land(center: Center, index: MatchIndex, offers: tuple[Offering, ...]) -> float:
    """Let the reservations stand; return the microseconds until the index has settled."""
    for offer in offers:
        center.gives(offer.call, offer.agent)
        center.leaves(offer.call)
    deltas, now = center.take_deltas(), center.now
    began = time.thread_time_ns()
    index.fold(center.snapshot, deltas)
    more = index.offers(now)
    spent_us = (time.thread_time_ns() - began) / 1000.0
    if more:
        raise BenchError(f"{len(more)} more offers though nothing has happened")
    return spent_us


def full_match_ms(agents: int, calls: int, times: int) -> float:
    """Return the median time of the offers from nothing, when everybody is free."""
    center = Center(agents, Random(SEED))  # noqa: S311 - a repeatable world
    center.furnish(calls, is_busy=False)

    def once() -> float:
        index = MatchIndex(EDGE)
        with as_in_an_edge():
            began = time.thread_time_ns()
            index.fold(center.snapshot, ())
            index.offers(center.now)
            return (time.thread_time_ns() - began) / 1e6

    return median(once() for _ in range(times))


def steady_per_s(agents: int, matches: int, together: int = 1) -> float:
    """Return how many agents a second become free, get a caller, and are seen to have them.

    `together`: so many become free in one turn of the mirror, and are seen to be taken in the next.
    """
    center = Center(agents, Random(SEED))  # noqa: S311 - a repeatable world
    center.furnish(max(agents // 2, 2 * matches), is_busy=True)
    index = settled(center)
    spent_us: list[float] = []
    made = 0
    with as_in_an_edge():
        for _ in range(matches // together):
            for _ in range(together):
                free_one(center)
            before = len(center.snapshot.tickets)
            _timed(center, index, spent_us, spent_us)
            made += before - len(center.snapshot.tickets)
    return made / (sum(spent_us) / 1e6)


def baseline_per_s(agents: int, matches: int) -> float:
    """Return what `steady_per_s` does, by a match from nothing each time."""
    center = Center(agents, Random(SEED))  # noqa: S311 - a repeatable world
    center.furnish(agents // 2, is_busy=True)
    spent_s = 0.0
    made = 0
    for _ in range(matches):
        free_one(center)
        began = time.thread_time()
        offers = match(center.snapshot, center.now)
        spent_s += time.thread_time() - began
        made += len(offers)
        for offer in offers:
            center.gives(offer.call, offer.agent)
            center.leaves(offer.call)
    return made / spent_s
