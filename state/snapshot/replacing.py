"""A snapshot made of all that the store lists, or an earlier reader held. PURE."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from state.raw import KeyValue
from state.snapshot.builder import Builder
from state.snapshot.delta import Delta
from state.snapshot.snapshot import Snapshot


class Replacing:
    """A snapshot that is being made of a listing, piece by piece: of a large one nobody waits.

    The snapshot before must stay the current one until it is whole.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._old = snapshot
        self._builder = Builder(snapshot, 0.0)
        self.listed: dict[str, int] = {}
        """The mod_revision of each key so far."""

    def take(self, records: Iterable[KeyValue], seen_s: float, wall_ms: int | None = None) -> None:
        """Take in a piece of the listing, seen at this process's monotonic time.

        `wall_ms`: the same by the wall clock, for rests that have begun before (`runs_from_s`).
        Records that are the same keep their entries, `seen_s` included; the others are `is_found`.
        A store that was restored gives the revisions that it had given once more, to other values.
        """
        held_at, put, listed = self._old.raw.get, self._builder.put, self.listed
        for record in records:
            listed[record.key] = record.mod_revision
            held = held_at(record.key)
            if (
                held is None
                or held.mod_revision != record.mod_revision
                or held.value != record.value
            ):
                put(record, is_found=True, seen_s=seen_s, wall_ms=wall_ms)

    def finish(self, revision: int) -> tuple[Snapshot, tuple[Delta, ...]]:
        """Return the snapshot that holds just what was taken, and what changed against the old."""
        for key in self._old.raw:
            if key not in self.listed:
                self._builder.drop(key)
        return self._builder.finish(revision)


def replace(
    snapshot: Snapshot,
    listing: Iterable[KeyValue],
    revision: int,
    seen_s: float,
    wall_ms: int | None = None,
) -> tuple[Snapshot, tuple[Delta, ...]]:
    """Return the snapshot that holds exactly `listing`, and what changed against the old one.

    As `Replacing` makes it, at one go.
    """
    made = Replacing(snapshot)
    made.take(listing, seen_s, wall_ms)
    return made.finish(revision)


class Restored(Struct, frozen=True, kw_only=True):
    """A record with what an earlier reader knew of it."""

    record: KeyValue
    seen_s: float
    is_found: bool


def restore(rows: Iterable[Restored], revision: int) -> Snapshot:
    """Return the snapshot that an earlier reader had, with what only that one could know."""
    builder = Builder(Snapshot(), 0.0)
    for row in rows:
        builder.put(row.record, is_found=row.is_found, seen_s=row.seen_s)
    return builder.finish(revision)[0]
