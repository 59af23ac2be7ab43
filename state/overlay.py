"""Transactions on a snapshot alone, for a site that has no quorum. PURE.

Keeps what `Store.txn` promises, on one process's own copy: compares, then all writes at one
revision. Its revisions stand above every one of the store's (`ALONE_FROM`), so that what is written
here comes after all that had been written there, and is never taken for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from immutables import Map
from msgspec import Struct, field
from msgspec.structs import replace

from state import keys
from state.nesting import chosen, flat, responses_of
from state.raw import Change, KeyValue
from state.snapshot import Delta, Snapshot, step
from state.store import (
    Absent,
    Compare,
    CreatedAt,
    Delete,
    Deleted,
    Exists,
    Get,
    Got,
    ModIs,
    Operation,
    Put,
    PutDone,
    Response,
    TxnResult,
    ValueIs,
)

ALONE_FROM: Final = 1 << 62
"""Revisions from here on were never the store's."""


class Overlay(Struct, frozen=True, kw_only=True):
    """A snapshot with what was written over it."""

    snapshot: Snapshot
    """As this site sees the state now."""
    ended: Map[str, KeyValue] = field(default_factory=Map)
    """Records of calls that ended meanwhile, by key: no snapshot holds the ledger."""
    base: Map[str, KeyValue] = field(default_factory=Map)
    """What the store was known to have as this was begun; empty: nobody knows any more."""
    written: Map[str, bool] = field(default_factory=Map)
    """Every key written or deleted: True if this edge was the last to do so."""

    def record(self, key: str) -> KeyValue | None:
        """Return what stands at a key."""
        held = self.ended if key.startswith(keys.ENDED) else self.snapshot.raw
        return held.get(key)


def carry_out(  # noqa: PLR0913 - a transaction, over what, and when
    overlay: Overlay,
    compares: Sequence[Compare],
    success: Sequence[Operation],
    failure: Sequence[Operation],
    *,
    revision: int,
    seen_s: float,
) -> tuple[Overlay, TxnResult, tuple[Delta, ...]]:
    """Return the overlay after a transaction, its result and what it changed.

    `revision` is above every one before.
    """
    succeeded = all(_holds(compare, overlay.record(compare.key)) for compare in compares)
    operations = chosen(
        success if succeeded else failure,
        lambda compare: _holds(compare, overlay.record(compare.key)),
    )
    changes = [
        change
        for each in flat(operations)
        if (change := _change(overlay, each, revision)) is not None
    ]
    before = overlay
    at = revision if changes else before.snapshot.revision
    responses = responses_of(operations, at, lambda each: _response(before, each))
    if not changes:
        return overlay, TxnResult(succeeded=succeeded, revision=at, responses=responses), ()
    overlay, deltas = written(overlay, changes, revision, seen_s, is_ours=True)
    return (
        overlay,
        TxnResult(succeeded=succeeded, revision=revision, responses=responses),
        deltas,
    )


def written(
    overlay: Overlay, changes: Iterable[Change], revision: int, seen_s: float, *, is_ours: bool
) -> tuple[Overlay, tuple[Delta, ...]]:
    """Return the overlay after `changes`, all of which have this mod_revision."""
    changes = tuple(changes)
    ended = overlay.ended
    for change in changes:
        if change.key.startswith(keys.ENDED):
            ended = _placed(ended, change)
    shown = (change for change in changes if change.key.startswith(keys.STATE))
    snapshot, deltas = step(overlay.snapshot, shown, revision, seen_s)
    marks = overlay.written.update({change.key: is_ours for change in changes})
    return replace(overlay, snapshot=snapshot, ended=ended, written=marks), deltas


def _placed(ended: Map[str, KeyValue], change: Change) -> Map[str, KeyValue]:
    if change.value is None:
        return ended.delete(change.key) if change.key in ended else ended
    return ended.set(
        change.key,
        KeyValue(
            key=change.key,
            value=change.value,
            create_revision=change.create_revision,
            mod_revision=change.mod_revision,
        ),
    )


def _holds(compare: Compare, record: KeyValue | None) -> bool:
    match compare:
        case ModIs(mod_revision=revision):
            return (record.mod_revision if record else 0) == revision
        case CreatedAt(create_revision=revision):
            return (record.create_revision if record else 0) == revision
        case Absent():
            return record is None
        case Exists():
            return record is not None
        case ValueIs(value=value):
            return record is not None and record.value == value


def _response(overlay: Overlay, operation: Put | Delete | Get) -> Response:
    match operation:
        case Put():
            return PutDone()
        case Delete(key=key):
            return Deleted(count=int(overlay.record(key) is not None))
        case Get(key=key):
            return Got(record=overlay.record(key))


def _change(overlay: Overlay, operation: Put | Delete | Get, revision: int) -> Change | None:
    match operation:
        case Put(key=key, value=value):
            before = overlay.record(key)
            created = before.create_revision if before is not None else revision
            return Change(key=key, value=value, create_revision=created, mod_revision=revision)
        case Delete(key=key):
            return Change(key=key, value=None, create_revision=0, mod_revision=revision)
        case Get():
            return None


Revisions = Mapping[tuple[str, int], int]
"""(key, mod_revision as an edge knows it; 0: absent) -> the mod_revision that the store has."""


def translated(compares: Iterable[Compare], revisions: Revisions) -> tuple[Compare, ...]:
    """Return compares that an edge made of what it held without a quorum, as the store knows it."""
    if not revisions:
        return tuple(compares)
    return tuple(_translated(each, revisions) for each in compares)


def _translated(compare: Compare, revisions: Revisions) -> Compare:
    match compare:
        case ModIs(key=key, mod_revision=revision):
            return replace(compare, mod_revision=revisions.get((key, revision), revision))
        case Absent(key=key) if (key, 0) in revisions:
            return ModIs(key=key, mod_revision=revisions[key, 0])
        case _:
            return compare
