"""What stood at a revision, read from the lines of a log. PURE.

The snapshot is the one that the log's writer had, to its own clock (`Entry.seen_s`): whatever was
decided from it can be decided again.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from state.eventlog.lines import Begin, Changed, Decided, Line, changes_of, restored
from state.model import CallId, Now
from state.snapshot import Snapshot, apply, restore


class Moment(Struct, frozen=True, kw_only=True):
    """The shared state at one revision, as one reader saw it."""

    reader: str
    snapshot: Snapshot
    since: Now
    """When the reader had seen that much."""
    until: Now | None
    """When it saw more; None: the log ends there."""
    decided: Decided | None = None
    """The decision that was asked for, if this reader made it."""


def moment(lines: Iterable[Line], revision: int, call: CallId | None = None) -> Moment | None:
    """Return what stood at a revision, and what was decided then for a call.

    `lines` are of one segment. None: it begins later, or ends before.
    """
    found = _Fold(revision, call)
    for line in lines:
        if not found.take(line):
            break
    return found.moment()


class _Fold:
    """Goes through a segment up to a revision, and on until the moment is over."""

    def __init__(self, revision: int, call: CallId | None) -> None:
        self._revision = revision
        self._call = call
        self._reader = ""
        self._snapshot: Snapshot | None = None
        self._since = Now(mono_s=0.0, wall_ms=0)
        self._until: Now | None = None
        self._decided: Decided | None = None

    def take(self, line: Line) -> bool:
        """Take a line; False: what follows is of no interest."""
        match line:
            case Begin():
                return self._begin(line)
            case Changed():
                return self._change(line)
            case Decided():
                if (line.revision, line.call) == (self._revision, self._call):
                    self._decided = line
                return True

    def moment(self) -> Moment | None:
        """Return what has been found."""
        snapshot = self._snapshot
        if snapshot is None or (self._until is None and snapshot.revision < self._revision):
            return None
        return Moment(
            reader=self._reader,
            snapshot=snapshot,
            since=self._since,
            until=self._until,
            decided=self._decided,
        )

    def _begin(self, line: Begin) -> bool:
        if self._snapshot is not None or line.revision > self._revision:
            return False
        self._reader = line.reader
        self._snapshot = restore(restored(line), line.revision)
        self._since = Now(mono_s=line.mono_s, wall_ms=line.wall_ms)
        return True

    def _change(self, line: Changed) -> bool:
        if self._snapshot is None:
            return False
        seen = Now(mono_s=line.mono_s, wall_ms=line.wall_ms)
        now_at = min(line.revision, self._revision)
        if now_at > self._snapshot.revision:
            changes = tuple(changes_of(line, now_at))
            self._snapshot = apply(self._snapshot, changes, now_at, line.mono_s)
            self._since = seen
        if line.revision > self._revision:
            self._until = self._until or seen
            # A decision may be noted a little later than the change that followed.
            return self._decided is None and self._call is not None and self._is_near(seen)
        return True

    def _is_near(self, seen: Now) -> bool:
        return seen.mono_s - self._since.mono_s < NEAR_S


NEAR_S = 5.0
"""Within so long after a snapshot the decisions on it have been noted."""
