"""PURE. How the shared state's own store stands, as a value."""

from __future__ import annotations

from msgspec import Struct

from state.members import EtcdMember
from state.space import Space


class Room(Struct, frozen=True, kw_only=True):
    """How it stands, as one control plane was told last."""

    quota_bytes: int
    space: Space | None = None
    """Of the member that is asked first; None: none has said."""
    no_room_since_ms: int | None = None
    """Since when it is nearly full, or full; None: it has room."""
    members: tuple[EtcdMember, ...] = ()
    """Empty: nobody knows who they are, or none answers."""

    @property
    def taken(self) -> float:
        """The share of the quota that is taken."""
        return 0.0 if self.space is None else self.space.share(self.quota_bytes)
