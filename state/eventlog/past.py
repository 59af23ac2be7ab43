"""What stood at a revision, read from the lines of a log. PURE.

The snapshot is the one that the log's writer had, to its own clock (`Entry.seen_s`): whatever was
decided from it can be decided again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from msgspec import Struct

from state import keys
from state.codec import decode
from state.errors import CodecError
from state.eventlog.lines import Begin, Changed, Decided, Line, changes_of, restored
from state.model import CallId, Now, Ticket
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
    came: Ticket | None = None
    """Of a call that has no ticket in the snapshot: the one that it got first, soon after."""


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
        self._came: Ticket | None = None

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
            came=self._came,
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
            until = self._until = self._until or seen
            if self._call is None:
                return False
            has_ticket = self._call in self._snapshot.tickets
            if not has_ticket and self._came is None:
                self._came = _first_ticket(line, self._call, self._revision)
            # A decision may be noted a little later than the change that followed.
            is_found = self._decided is not None and (has_ticket or self._came is not None)
            return not is_found and seen.mono_s - until.mono_s < NEAR_S
        return True


def _first_ticket(line: Changed, call: CallId, revision: int) -> Ticket | None:
    """Return the ticket that a call gets in this line, after a revision."""
    key = keys.ticket(call)
    for change in changes_of(line, line.revision):
        if change.key == key and change.mod_revision > revision and change.value is not None:
            with contextlib.suppress(CodecError):
                return decode(Ticket, change.value, key)
    return None


NEAR_S = 5.0
"""Within so long after what followed a snapshot, the decisions on it have been noted, and seen."""
