"""PURE. What an agent keys on the telephone to pause the recording, and to go on with it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

WITHIN_S: Final = 3.0
"""Between the two keys of a code."""


class Code(StrEnum):
    """Feature codes, as they are keyed."""

    PAUSE = "*1"
    RESUME = "*2"
    PAUSE_FOR_KEYS = "*3"
    """As the first, and the agent does not hear a caller who keys tones."""


class Keyed(Struct, frozen=True):
    """The first key of a code, and when."""

    key: str = ""
    at_s: float = 0.0


NOTHING: Final = Keyed()


def keyed(before: Keyed, key: str, now_s: float) -> tuple[Keyed, Code | None]:
    """Return what to remember after a key, and the code that it has completed, if any."""
    both = before.key + key
    if now_s - before.at_s <= WITHIN_S and both in Code._value2member_map_:
        return NOTHING, Code(both)
    return Keyed(key, now_s), None
