"""The revisions of a copy as moments of the host's monotonic clock. PURE.

The edges of a site share that clock, and so do the lives of an edge: what was written without a
quorum tells when, to whoever hears of it late.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from state import keys
from state.codec import decode, encode
from state.errors import CodecError
from state.model import Work
from state.overlay import ALONE_FROM
from state.raw import Change

_US: Final = 1_000_000


def revision_at(mono_s: float) -> int:
    """Return the first revision of a copy that is written at a moment."""
    return ALONE_FROM + int(mono_s * _US)


def written_at_s(revision: int, now_s: float) -> float:
    """Return when what has a revision was written; now, if it does not say."""
    return min(now_s, (revision - ALONE_FROM) / _US) if revision >= ALONE_FROM else now_s


def with_rest_so_far(change: Change, now_s: float) -> Change:
    """Return a change that a sister has told with how much of a rest is over: she may be late."""
    if change.value is None or not change.key.startswith(keys.WORK):
        return change
    try:
        work = decode(Work, change.value, change.key)
    except CodecError:
        return change
    late_s = now_s - written_at_s(change.mod_revision, now_s)
    rested_s = round(max(0.0, work.rested_s) + late_s, 3)
    return replace(change, value=encode(replace(work, rested_s=rested_s)))
