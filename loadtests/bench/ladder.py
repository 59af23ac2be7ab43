"""Finds the highest clean rate: climbs until nothing holds, then tries between the last two."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

TryRate = Callable[[float], Awaitable[str]]
"""Runs a slice at a rate; returns what was not clean, nothing if all was."""


class Climb(Struct, frozen=True, kw_only=True):
    """How far it went."""

    highest: float
    """The highest clean rate; 0 if not even the first was."""
    ended_by: str
    """What was not clean at the rate that did not hold."""


class Rungs(Struct, frozen=True, kw_only=True):
    """Which rates are tried; a benchmark's effort is one."""

    first_rate: float
    growth: float
    tries: int = 2
    """A rung holds if one of so many slices is clean: others' noise is no fault of ours."""
    most: float


async def climb(
    try_rate: TryRate, rungs: Rungs, tell: Callable[[str], object] = lambda _: None
) -> Climb:
    """Climb from the first rate; then try once half-way between the last two rungs.

    If the first does not hold, it goes down. `tell` hears how each slice went.
    """
    first = rungs.first_rate
    highest, rate = 0.0, first
    lowest = ""
    """What was not clean at the lowest rate that did not hold."""
    while True:
        dirt = await _dirt_at(try_rate, rate, rungs.tries, tell)
        if dirt and highest == 0.0 and rate > first / 8:
            lowest = f"{rate:.0f}/s: {dirt}"
            rate /= 2
            if rate <= first / 8:
                return Climb(highest=0.0, ended_by=dirt)
            continue
        if dirt:
            break
        highest, rate = rate, rate * rungs.growth
        if highest < first:
            return Climb(highest=highest, ended_by=lowest)
        if rate > rungs.most:
            return Climb(highest=highest, ended_by=f"no rate above {highest:.0f} was tried")
    between = (highest * rate) ** 0.5
    if highest and not await _dirt_at(try_rate, between, rungs.tries, tell):
        highest = between
    return Climb(highest=highest, ended_by=f"{rate:.0f}/s: {dirt}")


async def _dirt_at(
    try_rate: TryRate, rate: float, tries: int, tell: Callable[[str], object]
) -> str:
    dirt = ""
    for _ in range(tries):
        dirt = await try_rate(rate)
        tell(f"{rate:.0f}/s {dirt or 'clean'}")
        if not dirt:
            return ""
    return dirt
