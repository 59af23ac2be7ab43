"""From one snapshot to the next, by what a watch tells, or has lost. PURE."""

from __future__ import annotations

from collections.abc import Iterable

from state.raw import Change, KeyValue
from state.snapshot.builder import Builder
from state.snapshot.delta import Delta
from state.snapshot.snapshot import Snapshot


def apply(snapshot: Snapshot, changes: Iterable[Change], revision: int, seen_s: float) -> Snapshot:
    """Return the snapshot after `changes`, complete up to `revision`. See `step`."""
    return step(snapshot, changes, revision, seen_s)[0]


def step(
    snapshot: Snapshot, changes: Iterable[Change], revision: int, seen_s: float
) -> tuple[Snapshot, tuple[Delta, ...]]:
    """Return the snapshot after `changes`, and what they did, in their order.

    `seen_s` is this process's monotonic time. A change that is not newer than what the snapshot
    holds of its key is skipped, so playing the same changes twice does nothing.
    """
    builder = Builder(snapshot, seen_s)
    for change in changes:
        builder.take(change)
    return builder.finish(max(revision, snapshot.revision))


def mended(
    snapshot: Snapshot, records: Iterable[KeyValue], gone: Iterable[str], seen_s: float
) -> tuple[Snapshot, tuple[Delta, ...]]:
    """Return the snapshot with `records`, and without the keys `gone`, of which a watch lost it.

    And what that changes.
    """
    builder = Builder(snapshot, seen_s)
    for record in records:
        builder.put(record)
    for key in gone:
        builder.drop(key)
    return builder.finish(snapshot.revision)
