"""Records as the store sees them: keys, bytes and revisions. PURE."""

from __future__ import annotations

from msgspec import Struct


class KeyValue(Struct, frozen=True, kw_only=True):
    """A key as it stands at some revision."""

    key: str
    value: bytes
    """Empty when only keys were asked for."""
    create_revision: int
    mod_revision: int
    version: int = 1
    """How often it was written since it was created."""
    lease: int = 0
    """The lease it lives under; 0: none."""


class Change(Struct, frozen=True, kw_only=True):
    """A key was written or deleted."""

    key: str
    value: bytes | None
    """None: deleted."""
    create_revision: int
    """0 for a deletion."""
    mod_revision: int
    """The revision of this change, for a deletion too."""
