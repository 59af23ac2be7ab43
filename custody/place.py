"""PURE. Where a segment belongs: what is bound into its key, so that it opens nowhere else."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

_VERSION: Final = b"everline recording 1"
CHANNELS: Final = "caller,agent"
"""Left and right."""


class Place(Struct, frozen=True, kw_only=True):
    """One segment of one recording."""

    tenant: str
    call: str
    recording: str
    segment: int
    key_id: str

    def bound(self) -> bytes:
        """Return all of it, each part with its length: no two places give the same bytes."""
        parts = (
            self.tenant,
            self.call,
            self.recording,
            CHANNELS,
            str(self.segment),
            self.key_id,
        )
        encoded = [part.encode() for part in parts]
        return _VERSION + b"".join(len(part).to_bytes(4) + part for part in encoded)
