"""Rests of which a sister tells, as a copy of one's own is to have them. PURE.

Each copy numbers what it takes in anew. So a sister's word that a rest was changed names a work
record by a revision that it does not have here; and she may tell of a rest that began long ago.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from edge.alone.moments import written_at_s
from state import keys
from state.codec import decode, encode
from state.errors import CodecError
from state.model import Presence, Work
from state.overlay import ALONE_FROM, Overlay
from state.raw import Change


class ToldRests:
    """Those of one time alone."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}
        """Key of a work record that she has written -> her revision of it, and that of the copy."""

    def clear(self) -> None:
        """Begin anew, with another copy."""
        self._known.clear()

    def taken(
        self, changes: Sequence[Change], overlay: Overlay, revision: int, now_s: float
    ) -> list[Change]:
        """Return what a sister tells, as it is to stand in the copy at a revision of that."""
        for change in changes:
            if change.key.startswith(keys.WORK) and change.mod_revision >= ALONE_FROM:
                self._known[change.key] = change.mod_revision, revision
        return [self._as_here(_so_far(change, now_s), overlay) for change in changes]

    def _as_here(self, change: Change, overlay: Overlay) -> Change:
        """Return a change of presence with the work record named as here."""
        if change.value is None or not change.key.startswith(keys.PRESENCE):
            return change
        try:
            said = decode(Presence, change.value, change.key)
        except CodecError:
            return change
        key = keys.work(said.agent)
        hers, here = self._known.get(key, (0, 0))
        own = overlay.record(key) if overlay.written.get(key) else None
        if said.rest_of < ALONE_FROM:
            return change
        if said.rest_of != hers:
            # Of what this edge has written she was told after that, and numbered it then.
            if own is None or own.mod_revision > said.rest_of:
                return change
            here = own.mod_revision
        return replace(change, value=encode(replace(said, rest_of=here)))


def _so_far(change: Change, now_s: float) -> Change:
    """Return a change with how much of a rest is over."""
    if change.value is None or not change.key.startswith(keys.WORK):
        return change
    try:
        work = decode(Work, change.value, change.key)
    except CodecError:
        return change
    late_s = now_s - written_at_s(change.mod_revision, now_s)
    rested_s = round(max(0.0, work.rested_s) + late_s, 3)
    return replace(change, value=encode(replace(work, rested_s=rested_s)))
