"""Figures of what never came to an end: a caller who waited for ever, agents who never came back.

JSON has no word for it and says null, as of what nobody has measured. So who writes figures down
writes beside them which of them are endless, and who reads them puts that back. PURE.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Final

WORDS: Final = "without end"
SHORT: Final = "no end"


def names(figures: Mapping[str, float | None]) -> tuple[str, ...]:
    """Return which of these are endless, in order."""
    return tuple(sorted(name for name, value in figures.items() if value == math.inf))


def restored(
    figures: Mapping[str, float | None], endless: Container[str]
) -> dict[str, float | None]:
    """Return the figures as they were before they were written down."""
    return {name: math.inf if name in endless else value for name, value in figures.items()}
