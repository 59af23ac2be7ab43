"""Whether something grows that should not: memory, descriptors, threads, sockets. PURE.

Each life of a process is followed by itself: one that a fault has ended begins anew, smaller. What
is told of a life is a slope with the bounds between which it lies, and not the difference of two
moments: its first third and its first minutes are left out (it starts, caches fill, tables are
read), the rest is cut into blocks,
and a line is laid through their means. Means of blocks, because neighbouring samples resemble each
other and would make the bounds look closer than they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import mean
from typing import Final

from msgspec import Struct

WHAT: Final = ("memory_mb", "descriptors", "threads", "sockets")
HELD: Final = ("tickets", "calls", "legs", "media_calls")
CENTER: Final = "center"
"""Stands among the programs for what they hold together."""
_WARMING: Final = 1 / 3
WARMING_S: Final = 180.0
"""So long at least of a life, where the whole was followed for three times as long: within its
first minutes a control plane's pools of workers and readers fill, and the news that it keeps,
which is no leak and would look like one in a short life."""
_BLOCKS: Final = 8
_T_99: Final = {2: 6.965, 3: 4.541, 4: 3.747, 5: 3.365, 6: 3.143}
"""Student's t by degrees of freedom: above it lies one in a hundred."""
LEAST_SAMPLES: Final = 12
"""Of one life: fewer say nothing of a slope."""


class Sample(Struct, frozen=True, kw_only=True):
    """One process at one moment."""

    at_s: float
    memory_mb: float
    """Resident, proportional: what is shared counts once."""
    descriptors: int
    threads: int
    sockets: int
    """Of every kind: with them go the ports."""


class Held(Struct, frozen=True, kw_only=True):
    """What a whole center held for calls at one moment."""

    at_s: float
    tickets: int
    calls: int
    legs: int
    media_calls: int


Round = Mapping[str, Mapping[int, Sample]]
"""At one moment: program -> PID -> sample."""


class Slope(Struct, frozen=True, kw_only=True):
    """How something of one process went; a unit an hour. 98 of 100 lie between `low` and `high`."""

    per_h: float
    low_per_h: float
    high_per_h: float
    followed_s: float
    first: float
    last: float
    """Means of the first and the last block."""

    @property
    def surely(self) -> float:
        """Return by how much it has grown at least while it was followed; 0: not surely at all."""
        return max(0.0, self.low_per_h) * self.followed_s / 3600.0


def slope(
    samples: Sequence[Sample] | Sequence[Held], what: str, warming_s: float = 0.0
) -> Slope | None:
    """Return how it went over one life after `warming_s`; None: too short a life to tell."""
    if len(samples) < LEAST_SAMPLES:
        return None
    cold = sum(1 for each in samples if each.at_s < samples[0].at_s + warming_s)
    warm = samples[max(cold, round(len(samples) * _WARMING)) :]
    if len(warm) < LEAST_SAMPLES * (1 - _WARMING):
        return None
    count = min(_BLOCKS, len(warm) // 2)
    bounds = [round(len(warm) * number / count) for number in range(count + 1)]
    blocks = [warm[begin:end] for begin, end in pairwise(bounds)]
    times = [mean(each.at_s for each in block) for block in blocks]
    values = [float(mean(getattr(each, what) for each in block)) for block in blocks]
    per_s, error_s = _line(times, values)
    reach_s = _T_99[count - 2] * error_s
    return Slope(
        per_h=3600 * per_s,
        low_per_h=3600 * (per_s - reach_s),
        high_per_h=3600 * (per_s + reach_s),
        followed_s=warm[-1].at_s - warm[0].at_s,
        first=values[0],
        last=values[-1],
    )


def _line(times: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return the slope by least squares, and its standard error."""
    middle, height = mean(times), mean(values)
    spread = sum((at - middle) ** 2 for at in times)
    pairs = list(zip(times, values, strict=True))
    per_s = sum((at - middle) * (value - height) for at, value in pairs) / spread
    left = sum((value - height - per_s * (at - middle)) ** 2 for at, value in pairs)
    return per_s, (left / (len(times) - 2) / spread) ** 0.5


def lives(rounds: Iterable[Round]) -> dict[str, list[list[Sample]]]:
    """Return the lives of each program's processes: their samples, in order."""
    found: dict[str, dict[int, list[Sample]]] = {}
    for each in rounds:
        for program, processes in each.items():
            for pid, sample in processes.items():
                found.setdefault(program, {}).setdefault(pid, []).append(sample)
    return {program: list(by_pid.values()) for program, by_pid in found.items()}


def worst(rounds: Iterable[Round]) -> dict[str, dict[str, Slope]]:
    """Return, by program and what is held, how it went in the life in which it surely grew most.

    A program without a life that is long enough is left out.
    """
    found: dict[str, dict[str, Slope]] = {}
    by_program = lives(rounds)
    times = [each.at_s for all_of in by_program.values() for life in all_of for each in life]
    warming_s = min(WARMING_S, (max(times) - min(times)) / 3) if times else 0.0
    for program, samples in by_program.items():
        for what in WHAT:
            each_life = (slope(life, what, warming_s) for life in samples)
            slopes = [each for each in each_life if each is not None]
            if slopes:
                most = max(slopes, key=lambda each: (each.surely, each.per_h))
                found.setdefault(program, {})[what] = most
    return found


def center(looks: Sequence[Held]) -> dict[str, dict[str, Slope]]:
    """Return how it went what a center holds, as if it were a program; empty: too few looks."""
    slopes = {what: slope(looks, what) for what in HELD}
    found = {what: each for what, each in slopes.items() if each is not None}
    return {CENTER: found} if found else {}


def figures(found: Mapping[str, Mapping[str, Slope]]) -> dict[str, float]:
    """Return them by name: `growth.PROGRAM.WHAT` is what it surely grew by."""
    told: dict[str, float] = {}
    for program, by_what in found.items():
        for what, each in by_what.items():
            name = f"growth.{program}.{what}"
            told |= {
                name: round(each.surely, 2),
                f"{name}_per_h": round(each.per_h, 2),
                f"{name}_per_h_low": round(each.low_per_h, 2),
                f"{name}_per_h_high": round(each.high_per_h, 2),
            }
    return told
