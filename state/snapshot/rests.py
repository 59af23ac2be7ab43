"""Since when a rest runs that this process did not see begin. PURE."""

from __future__ import annotations

from typing import Final

from state.codec import Record
from state.model import Work

RESTS_ON_S: Final = 5.0
"""So much of a rest that was found is counted again: by so much clocks may differ, and nobody rests
too short."""


def runs_from_s(value: Record, seen_s: float, wall_ms: int) -> float:
    """Return from which monotonic instant the durations of a record that was found are counted.

    Of a work record: from when the offer ended, by the wall clock of its writer and this one. Else
    every agent would rest anew, however long ago they had, when an edge is started. A clock that is
    wrong ends a rest early once, or has it counted again; no other duration hangs on it. What was
    over when it was written is over.
    """
    if not isinstance(value, Work):
        return seen_s
    ago_s = (wall_ms - value.ended_ms) / 1000.0 - RESTS_ON_S
    return seen_s - max(0.0, value.rested_s, min(ago_s, value.rest_s))
