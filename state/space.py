"""How much room the shared state has left, and what to do about it. PURE.

etcd has a quota of bytes. Once its database has come to it, it takes no more writes, whoever asks,
while reads, watches, leases that stand and deletions go on, until somebody has compacted and
defragmented it and disarmed its alarm. Compacting alone makes no room: a file keeps its size. And
etcd 3.4 counts nothing for what stands nested in a transaction: where several go as one request
(`state.etcd.joined`) they pass, alarm or not. So one's own writes do not tell whether it is full.
"""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

from msgspec import Struct

from state import keys
from state.store import Exists, Put

QUOTA_BYTES: Final = 8 << 30
"""What our members are given (`--quota-backend-bytes`). etcd 3.4 and 3.5 do not tell theirs."""
NEARLY_FULL: Final = 0.8
"""From this share of the quota on somebody has to be told."""
MEND: Final = "./everline state mend"
"""What makes room."""
REMEDY: Final = f"compact it, defragment each member, disarm the alarm: {MEND}"


class Space(Struct, frozen=True, kw_only=True):
    """How full one member's database is, by its own word."""

    size_bytes: int
    """Of the file: what counts against the quota."""
    used_bytes: int
    """The part of it in which something stands; a defragmentation leaves about that."""
    quota_bytes: int = 0
    """0: it does not say."""
    is_full: bool = False
    """Whether the alarm stands, for which no member takes any write."""

    def share(self, quota_bytes: int = QUOTA_BYTES) -> float:
        """Return how much of the quota is taken; the given one, where the member says none."""
        return self.size_bytes / (self.quota_bytes or quota_bytes)

    def is_nearly_full(self, quota_bytes: int = QUOTA_BYTES) -> bool:
        """Tell whether to make room before there is none."""
        return self.is_full or self.share(quota_bytes) >= NEARLY_FULL


@runtime_checkable
class Roomy(Protocol):
    """A store that can be asked whether it has room."""

    async def space(self) -> Space:
        """Return how full it is. Raises StoreError."""
        ...

    async def takes_writes(self) -> bool:
        """Ask whether it has room, by a write that is never done. Raises StoreError."""
        ...


UNDONE: Final = (Exists(key=keys.NEVER),), (Put(key=keys.NEVER, value=b""),)
"""Conditions and writes: etcd refuses what would write if the conditions held, before it looks."""
