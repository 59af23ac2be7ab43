"""How many people there are at each moment of a load. PURE.

A shape is a line of corners: at a share of the whole time so many callers of the most; between two
corners it is straight. So every shape is bounded in time and number, whatever is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from loadtests.load.plan import Request, ShapeName


class Corner(Struct, frozen=True):
    """A share of the time, and of the callers."""

    at: float
    callers: float


_CORNERS: Final[dict[ShapeName, tuple[Corner, ...]]] = {
    ShapeName.STEADY: (Corner(0.0, 0.3), Corner(0.1, 1.0), Corner(0.92, 1.0), Corner(1.0, 0.0)),
    # Erlang's daily profile: a peak at ten, lunch, a lower one at three, the evening.
    ShapeName.DAY: (
        Corner(0.0, 0.1), Corner(0.15, 0.6), Corner(0.25, 1.0), Corner(0.35, 0.9),
        Corner(0.48, 0.45), Corner(0.6, 0.75), Corner(0.7, 0.8), Corner(0.85, 0.3),
        Corner(1.0, 0.0),
    ),
    ShapeName.FLASH_CROWD: (
        Corner(0.0, 0.2), Corner(0.3, 0.2), Corner(0.31, 1.0), Corner(0.6, 1.0),
        Corner(0.65, 0.2), Corner(0.92, 0.2), Corner(1.0, 0.0),
    ),
    ShapeName.SITE_LOST: (
        Corner(0.0, 0.3), Corner(0.25, 1.0), Corner(0.85, 1.0), Corner(0.92, 0.3),
        Corner(1.0, 0.0),
    ),
    ShapeName.NINE: (Corner(0.0, 0.5), Corner(0.2, 1.0), Corner(0.9, 1.0), Corner(1.0, 0.0)),
    ShapeName.LEAK: (Corner(0.0, 0.5), Corner(0.95, 0.5), Corner(1.0, 0.0)),
    ShapeName.SOAK: (Corner(0.0, 0.5), Corner(0.95, 0.5), Corner(1.0, 0.0)),
}  # fmt: skip
_NINE_AT: Final = 0.3
"""The share of the time after which the agents come."""


def agents_from_s(request: Request) -> float:
    """Return how long after the beginning the agents are back, all at the same moment."""
    return request.seconds * _NINE_AT if request.shape is ShapeName.NINE else 0.0


def callers(request: Request, at_s: float) -> int | None:
    """Return how many callers there are `at_s` after the beginning; None: it is over."""
    share = at_s / request.seconds
    if share >= 1.0:
        return None
    return max(0, round(_between(_CORNERS[request.shape], share) * request.users))


def _between(corners: Sequence[Corner], share: float) -> float:
    before = corners[0]
    for corner in corners[1:]:
        if share <= corner.at:
            gone = (share - before.at) / (corner.at - before.at)
            return before.callers + gone * (corner.callers - before.callers)
        before = corner
    return before.callers


def caller_hours(request: Request) -> float:
    """Return for how many hours callers are there, all together."""
    corners = _CORNERS[request.shape]
    share = sum(
        (two.at - one.at) * (one.callers + two.callers) / 2 for one, two in pairwise(corners)
    )
    return share * request.users * request.seconds / 3600.0
