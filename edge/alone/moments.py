"""The revisions of a copy as moments of the host's monotonic clock. PURE.

The edges of a site share that clock, and so do the lives of an edge: what was written without a
quorum tells when, to whoever hears of it late.
"""

from __future__ import annotations

from typing import Final

from state.overlay import ALONE_FROM

_US: Final = 1_000_000


def revision_at(mono_s: float) -> int:
    """Return the first revision of a copy that is written at a moment."""
    return ALONE_FROM + int(mono_s * _US)


def written_at_s(revision: int, now_s: float) -> float:
    """Return when what has a revision was written; now, if it does not say."""
    return min(now_s, (revision - ALONE_FROM) / _US) if revision >= ALONE_FROM else now_s
