"""Finds the highest clean rate: climbs until nothing holds, then tries between the last two.

One look is no figure, as a neighbour may have been busy meanwhile: further ones begin where the
first ended, and their median is told with its spread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from loadtests.bench.stats import Spread, spread

TryRate = Callable[[float], Awaitable[str]]
"""Runs a slice at a rate; returns what was not clean, nothing if all was."""


class Climb(Struct, frozen=True, kw_only=True):
    """How far it went."""

    highest: float
    """The highest clean rate; 0 if not even the first was."""
    ended_by: str
    """What was not clean at the rate that did not hold."""


class Climbs(Struct, frozen=True, kw_only=True):
    """Several looks for the same."""

    each: tuple[Climb, ...]

    @property
    def highest(self) -> Spread:
        """Return the highest clean rate."""
        return spread(each.highest for each in self.each)

    @property
    def ended_by(self) -> str:
        """Return what was not clean above the middle one of the rates that held."""
        by_rate = sorted(self.each, key=lambda each: each.highest)
        return by_rate[(len(by_rate) - 1) // 2].ended_by


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


async def one_more(
    before: Sequence[Climb],
    try_rate: TryRate,
    rungs: Rungs,
    tell: Callable[[str], object] = lambda _: None,
) -> Climb:
    """Look for the highest clean rate once more; `before`: what has been found so far.

    From where the first look ended, if it found any: up by half steps, or down by wider and wider
    ones. So it takes a few slices, and finds what that one would have found to the same half step.
    """
    if not before or not before[0].highest:
        return await climb(try_rate, rungs, tell)
    first, step = before[0].highest, rungs.growth**0.5
    highest, rate = 0.0, first
    while True:
        if rate > rungs.most:
            return Climb(highest=highest, ended_by=f"no rate above {highest:.0f} was tried")
        if dirt := await _dirt_at(try_rate, rate, rungs.tries, tell):
            break
        highest, rate = rate, rate * step
    ended_by = f"{rate:.0f}/s: {dirt}"
    while not highest and rate > first / 8:
        rate, step = rate / step, step * step
        if dirt := await _dirt_at(try_rate, rate, rungs.tries, tell):
            ended_by = f"{rate:.0f}/s: {dirt}"
        else:
            highest = rate
    return Climb(highest=highest, ended_by=ended_by)


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
