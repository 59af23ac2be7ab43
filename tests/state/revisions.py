"""What tells snapshots and listings apart: which keys there are, and of which revision."""

from __future__ import annotations

from collections.abc import Iterable

from state.raw import KeyValue
from state.snapshot import Snapshot


def revisions(held: Snapshot | Iterable[KeyValue]) -> dict[str, int]:
    """Return the mod_revision of each key."""
    records = held.raw.values() if isinstance(held, Snapshot) else held
    return {record.key: record.mod_revision for record in records}
