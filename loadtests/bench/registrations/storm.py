"""What a storm of registrations is, and what came of it. PURE.

The telephones are as ours are (`edge.phone.registration`): they prove themselves by digest, repeat
what is not answered (RFC 3261 timer E), give up after two seconds, wait longer each time, and wait
as long as a 503 says. Without jitter they all begin at the same instant, and wait to the same
instants: the worst that there is.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

EARLY_S: Final = (2.0, 3.0)
"""Telephones of ours ask their registrar so often if it is there; so they find out in turn."""
TIMEOUT_S: Final = 2.0
FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 8.0
REPEATS_S: Final = (0.5, 1.5)
"""When a request is sent again, after it was sent first (T1 is 500 ms)."""
STRETCH: Final = (1.0, 2.0)
"""By how much the time that a 503 names is drawn out."""


class Plan(Struct, frozen=True, kw_only=True):
    """What the telephones are told."""

    registrar: str
    names: tuple[str, ...]
    passwords: tuple[str, ...]
    has_jitter: bool
    seed: int


class Told(Struct, frozen=True, kw_only=True):
    """What the telephones tell when all are back, or it is enough."""

    began_ms: int
    back_s: tuple[float, ...]
    """When each was registered, counted from the beginning."""
    took_ms: tuple[float, ...]
    """From its first REGISTER to its 200, each: whoever was sent away has waited meanwhile."""
    missing: int
    sent: int
    """Requests that were sent, repeated ones not counted."""
    retransmissions: int
    refused: int
    """503 with Retry-After."""
    refused_twice: int
    """Telephones that were sent away more than once."""
    timeouts: int
    """Tries that were given up after `TIMEOUT_S`."""


def host(number: int) -> str:
    """Return the address of a telephone: each has its own, in 127.64.0.0/10."""
    return f"127.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def begins_s(dice: random.Random, *, has_jitter: bool) -> float:
    """Return when a telephone notices that it has to register."""
    return dice.uniform(0.0, dice.uniform(*EARLY_S)) if has_jitter else 0.0


def waits_s(failures: int, dice: random.Random, *, has_jitter: bool) -> float:
    """Return how long a telephone waits after so many tries that came to nothing."""
    longest_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**failures)
    return longest_s * (dice.uniform(0.5, 1.0) if has_jitter else 1.0)


def sent_away_s(retry_after_s: float, dice: random.Random, *, has_jitter: bool) -> float:
    """Return how long a telephone waits that was told to come back after so long."""
    return retry_after_s * (dice.uniform(*STRETCH) if has_jitter else 1.0)


def busiest_per_s(back_s: Sequence[float]) -> int:
    """Return how many were registered in the busiest second."""
    ordered = sorted(back_s)
    most, first = 0, 0
    for last, at_s in enumerate(ordered):
        while ordered[first] <= at_s - 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most
