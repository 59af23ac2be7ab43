"""One number for all that a mirror holds: two who know the same at a revision have the same. PURE.

It is a sum, so whoever follows the store needs to look at what has changed alone. Against chance,
not against malice.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_BYTES: Final = 8


class Digest:
    """What is held, as a number: keys, each with the revision by which it was written."""

    def __init__(self, held: Iterable[tuple[str, int]] = ()) -> None:
        self._sum = 0
        self.add(held)

    def add(self, records: Iterable[tuple[str, int]]) -> None:
        """Take in keys with their mod_revisions that are held from now on."""
        self._sum += sum(_weight(key, mod_revision) for key, mod_revision in records)

    def drop(self, key: str, mod_revision: int) -> None:
        """Take out a key that is held no longer, or not with that mod_revision."""
        self._sum -= _weight(key, mod_revision)

    def __str__(self) -> str:
        return f"{self._sum % (1 << 8 * _BYTES):0{2 * _BYTES}x}"


def _weight(key: str, mod_revision: int) -> int:
    # A key that is no UTF-8 comes with surrogates (`state.etcd.wire`).
    named = f"{key} {mod_revision}".encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(named, digest_size=_BYTES).digest())
