"""When a site serves alone, and when it stops: a function of what the store has proved. PURE.

The laws:

- A site is alone once nothing has proved its snapshot current for `ENTER_S`: neither a watch nor a
  listing, behind both of which there is a quorum. A leader's election (1 to 2 s) is shorter.
- So it is once the store has been full for `FULL_S`: it is read then, and takes no write.
- It is no longer alone once proofs have come for `LEAVE_S` on end, the store had room meanwhile
  and its own lease stands: a quorum that flickers does not make it change to and fro.
- Time in which this process did not run counts for nothing: one that was frozen has lost its calls
  by the law of leases, and hears of a quorum as soon as it looks.
- Nobody serves alone who has never seen a configuration.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

ENTER_S: Final = 3.0
FULL_S: Final = 2.0
LEAVE_S: Final = 1.0
FROZEN_S: Final = 1.0
"""So long between two looks, and the process was not running."""


class Mode(StrEnum):
    """By what a site serves."""

    QUORUM = "quorum"
    ALONE = "alone"
    MERGING = "merging"
    """A quorum is back, and what was done without it is being written."""


class Because(StrEnum):
    """Why a site serves alone."""

    NO_QUORUM = "no_quorum"
    STORE_FULL = "store_full"
    """etcd's quota of space is used up, so nothing can be written; see `state.space`."""


class Standing(Struct, frozen=True, kw_only=True):
    """The mode, and since when, on the monotonic clock."""

    mode: Mode = Mode.QUORUM
    since_s: float
    looked_s: float
    current_since_s: float | None = None
    """Since when proofs have come without a gap, and there was room; None: they do not."""
    because: Because | None = None
    """Why it is not QUORUM."""


class Seen(Struct, frozen=True, kw_only=True):
    """What the mode depends on."""

    age_s: float
    """Of the last proof that the snapshot is current; infinite: there was none."""
    is_configured: bool
    has_lease: bool
    """Whether the shared state shows this edge to live."""
    full_s: float | None = None
    """For how long the store has had no room; None: it has."""


def next_standing(standing: Standing, seen: Seen, now_s: float) -> Standing:
    """Return the standing after a look.

    MERGING ends by `merged`, or when proofs fail again.
    """
    if now_s - standing.looked_s > FROZEN_S and standing.mode is Mode.QUORUM:
        standing = replace(standing, since_s=now_s)
    standing = replace(standing, looked_s=now_s)
    is_current = seen.age_s <= ENTER_S and seen.full_s is None
    since_s = standing.current_since_s if standing.current_since_s is not None else now_s
    standing = replace(standing, current_since_s=since_s if is_current else None)
    match standing.mode:
        case Mode.QUORUM:
            because = _because(seen, now_s - standing.since_s)
            if because is not None and seen.is_configured:
                return replace(standing, mode=Mode.ALONE, since_s=now_s, because=because)
        case Mode.ALONE:
            if is_current and now_s - since_s >= LEAVE_S and seen.has_lease:
                return replace(standing, mode=Mode.MERGING)
            return replace(standing, because=_stands(seen) or standing.because)
        case Mode.MERGING:
            if not is_current:
                return replace(standing, mode=Mode.ALONE, because=_stands(seen))
    return standing


def _because(seen: Seen, looked_for_s: float) -> Because | None:
    """Return why to serve alone; None: by what is known, the store serves."""
    # An edge that has just started has not had the time to hear of anybody.
    if min(seen.age_s, looked_for_s) > ENTER_S:
        return Because.NO_QUORUM
    if seen.full_s is not None and min(seen.full_s, looked_for_s) > FULL_S:
        return Because.STORE_FULL
    return None


def _stands(seen: Seen) -> Because | None:
    """Return what keeps a site alone at this moment."""
    if seen.age_s > ENTER_S:
        return Because.NO_QUORUM
    return None if seen.full_s is None else Because.STORE_FULL


def merged(standing: Standing, now_s: float) -> Standing:
    """Return the standing once everything is written."""
    return replace(standing, mode=Mode.QUORUM, since_s=now_s, because=None)
