"""What made a snapshot new, and who is told of it. PURE."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from state.codec import Record
from state.keys import Kind
from state.model import Entry
from state.snapshot.snapshot import Snapshot


class Delta(Struct, frozen=True, kw_only=True):
    """What a change did to one record, decoded. Keys that are none of ours make no delta."""

    kind: Kind
    id: str
    before: Entry[Record] | None
    """None: it was absent, or could not be read."""
    after: Entry[Record] | None
    """None: it is gone, or cannot be read."""


Listener = Callable[[Snapshot, tuple[Delta, ...]], None]
"""Is told of a new snapshot and of what made it new."""
