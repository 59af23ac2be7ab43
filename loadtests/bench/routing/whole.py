"""What a match and its release cost an edge beside the index: records come as bytes.

The index's own benchmark takes decoded snapshots. An edge makes them: for each match and release it
reads two turns of the mirror, five records in all (the offer that is gone and the new work record;
the offer, the ticket, and the ticket that is gone). A center is let run once and written down; then
the same turns are played to a mirror's snapshot, and to an index, each in one go: so no reading of
a clock is in it, which costs as much here as a twentieth of a match.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from random import Random

from msgspec import Struct

from edge.acd.index.index import MatchIndex
from loadtests.bench.errors import BenchError
from loadtests.bench.routing.index import SEED, as_in_an_edge, free_one, settled
from loadtests.bench.routing.world import EDGE, Center
from state import snapshot as snapshots
from state.codec import encode
from state.keys import build
from state.model import Now
from state.raw import Change
from state.snapshot import FIELDS, Delta, Snapshot


class Turn(Struct, frozen=True):
    """What one turn of the mirror brought."""

    changes: list[Change]
    deltas: tuple[Delta, ...]
    snapshot: Snapshot
    now: Now


class WholeFigures(Struct, frozen=True, kw_only=True):
    """Microseconds for one match and its release."""

    mirror_us: float
    """From the bytes of the records to the next snapshot with its deltas."""
    index_us: float
    """From there to the offers, with their decisions."""

    @property
    def per_s(self) -> float:
        """How many a second are left of one processor, with both."""
        return 1e6 / (self.mirror_us + self.index_us)


def measure(agents: int, matches: int) -> WholeFigures:
    """Time so many matches and releases, each event in a turn of its own."""
    center = Center(agents, Random(SEED))  # noqa: S311 - a repeatable world
    center.furnish(max(agents // 2, 2 * matches), is_busy=True)
    index = settled(center)
    begin, now = center.snapshot, center.now
    turns, made = _written_down(center, index, matches)
    return WholeFigures(
        mirror_us=_mirror_us(begin, now, turns) / made,
        index_us=_index_us(begin, now, turns) / made,
    )


def _written_down(center: Center, index: MatchIndex, matches: int) -> tuple[list[Turn], int]:
    """Let agents become free and get a caller, one by one.

    Return what the mirror said of it, and how many got one.
    """
    turns: list[Turn] = []
    made = 0
    for _ in range(matches):
        free_one(center)
        turns.append(_turn(center, index))
        for offer in index.offers(center.now):
            center.gives(offer.call, offer.agent)
            center.leaves(offer.call)
            made += 1
        turns.append(_turn(center, index))
        index.offers(center.now)
    return turns, made


def _turn(center: Center, index: MatchIndex) -> Turn:
    deltas = center.take_deltas()
    index.fold(center.snapshot, deltas)
    changes = _changes(deltas, center.snapshot.revision - len(deltas))
    return Turn(changes, deltas, center.snapshot, center.now)


def _changes(deltas: Iterable[Delta], revision: int) -> list[Change]:
    """Return them as the store told of them, the first one after `revision`."""
    return [
        Change(
            key=build(delta.kind, delta.id),
            value=None if delta.after is None else encode(delta.after.value),
            create_revision=0 if delta.after is None else delta.after.create_revision,
            mod_revision=number,
        )
        for number, delta in enumerate(deltas, start=revision + 1)
    ]


def _mirror_us(begin: Snapshot, now: Now, turns: list[Turn]) -> float:
    """Return the microseconds that a mirror's snapshot takes for all turns."""
    records = [
        Change(
            key=build(kind, name),
            value=encode(entry.value),
            create_revision=entry.create_revision,
            mod_revision=entry.mod_revision,
        )
        for kind, field in FIELDS.items()
        for name, entry in getattr(begin, field).items()
    ]
    current = snapshots.apply(Snapshot(), records, begin.revision, now.mono_s)
    with as_in_an_edge():
        began = time.thread_time_ns()
        for turn in turns:
            current, _ = snapshots.step(current, turn.changes, 0, turn.now.mono_s)
        spent_us = (time.thread_time_ns() - began) / 1000.0
    end = turns[-1].snapshot
    if (current.works, current.offers) != (end.works, end.offers):
        raise BenchError("a mirror of the same changes has come to another snapshot")
    return spent_us


def _index_us(begin: Snapshot, now: Now, turns: list[Turn]) -> float:
    """Return the microseconds that an index takes for all turns."""
    index = MatchIndex(EDGE)
    index.fold(begin, ())
    index.offers(now)
    with as_in_an_edge():
        began = time.thread_time_ns()
        for turn in turns:
            index.fold(turn.snapshot, turn.deltas)
            index.offers(turn.now)
        return (time.thread_time_ns() - began) / 1000.0
