"""What many slices say together. PURE."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from msgspec import Struct


class Spread(Struct, frozen=True, kw_only=True):
    """A median with the slices around it. One slice may be disturbed; the median is not."""

    median: float
    least: float
    most: float
    slices: int

    def as_json(self, digits: int = 3) -> dict[str, float]:
        """Return it for `--json`."""
        return {
            "median": round(self.median, digits),
            "min": round(self.least, digits),
            "max": round(self.most, digits),
            "slices": self.slices,
        }


def spread(values: Iterable[float]) -> Spread:
    """Return the median, least and most. ValueError if there are no values."""
    found = list(values)
    if not found:
        raise ValueError("no slice was measured")
    return Spread(median=median(found), least=min(found), most=max(found), slices=len(found))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the least value that `share` (0 to 1) of all do not exceed; NaN if there are none."""
    if not values:
        return math.nan
    place = math.ceil(share * len(values)) - 1
    return sorted(values)[max(0, place)]


def paired_ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Return the spread of over[i] / under[i], slices taken one right after the other.

    What disturbs the machine for longer than a slice disturbs both of a pair alike.
    """
    return spread(a / b for a, b in zip(over, under, strict=True))
