"""Stretches of time, and what is left of them where others are. PURE.

From, to: any one unit; the end may be infinite. What ends where it begins is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

Stretch: TypeAlias = tuple[float, float]


def joined(stretches: Iterable[Stretch], *, over: float = 0.0) -> tuple[Stretch, ...]:
    """Return them in order, as one where they meet or no more than `over` is between them."""
    found: list[Stretch] = []
    for begins, ends in sorted(each for each in stretches if each[0] < each[1]):
        if found and begins <= found[-1][1] + over:
            found[-1] = (found[-1][0], max(found[-1][1], ends))
        else:
            found.append((begins, ends))
    return tuple(found)


def both(some: Iterable[Stretch], others: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Return where one of the first and one of the others is."""
    kept = joined(others)
    return joined((max(one[0], other[0]), min(one[1], other[1])) for one in some for other in kept)


def without(some: Iterable[Stretch], others: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Return where one of the first is and none of the others."""
    edges = [float("-inf"), *(at for each in joined(others) for at in each), float("inf")]
    return both(some, zip(edges[::2], edges[1::2], strict=True))
