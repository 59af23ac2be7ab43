"""How often a duty is done that costs more the more there is. PURE."""

from __future__ import annotations

from typing import Final

MOST: Final = 0.1
"""Of the time, what one such duty may take."""


def pause_s(usual_s: float, took_s: float) -> float:
    """Return how long to wait until the next time, if the last one took so long.

    The usual pause while it costs little. In a center of a hundred thousand agents looking at them
    all takes a second, and doing that every other second would leave the calls half an edge.
    """
    return max(usual_s, took_s * (1.0 - MOST) / MOST)
