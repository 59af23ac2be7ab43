"""Whether something grows that should not: memory, descriptors, threads, ports, tickets. PURE.

Counted at the same low load, before and after: what a busy hour leaves behind is a leak, what it
needs while it is busy is none. Memory is also followed by its slope over the second half, once
caches are full.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, median

from msgspec import Struct

_SHARE = 0.2
"""Of the samples: so many at the beginning, and at the end, are compared."""


class Sample(Struct, frozen=True, kw_only=True):
    """All processes of one program at one moment."""

    at_s: float
    processes: int
    memory_mb: float
    """Resident, proportional: what is shared counts once."""
    descriptors: int
    threads: int
    sockets: int
    """Of every kind: with them go the ports."""


class Growth(Struct, frozen=True, kw_only=True):
    """How much more there was at the end than at the beginning, for each process."""

    memory_mb: float
    memory_mb_per_h: float
    """By the second half's slope."""
    descriptors: float
    threads: float
    sockets: float


def growth(samples: Sequence[Sample]) -> Growth:
    """Return how much more the last samples have than the first. ValueError: fewer than two."""
    if len(samples) < 2:  # noqa: PLR2004
        raise ValueError("two samples at least are needed to see whether something grows")
    few = max(1, round(len(samples) * _SHARE))
    first, last = samples[:few], samples[-few:]

    def more(name: str) -> float:
        before, after = (
            median(getattr(each, name) / max(1, each.processes) for each in part)
            for part in (first, last)
        )
        return float(after - before)

    return Growth(
        memory_mb=round(more("memory_mb"), 2),
        memory_mb_per_h=round(3600 * _slope(samples[len(samples) // 2 :]), 2),
        descriptors=more("descriptors"),
        threads=more("threads"),
        sockets=more("sockets"),
    )


def _slope(samples: Sequence[Sample]) -> float:
    """Return megabytes a second for each process, by least squares."""
    if len(samples) < 2:  # noqa: PLR2004
        return 0.0
    times = [each.at_s for each in samples]
    sizes = [each.memory_mb / max(1, each.processes) for each in samples]
    middle, size = mean(times), mean(sizes)
    spread = sum((at - middle) ** 2 for at in times)
    pairs = zip(times, sizes, strict=True)
    return sum((at - middle) * (mb - size) for at, mb in pairs) / spread if spread else 0.0


def figures(found: Mapping[str, Growth]) -> dict[str, float]:
    """Return them by name: `growth.PROGRAM.WHAT`."""
    return {
        f"growth.{program}.{what}": getattr(each, what)
        for program, each in found.items()
        for what in Growth.__struct_fields__
    }


def by_program(rounds: Iterable[Mapping[str, Sample]]) -> dict[str, list[Sample]]:
    """Return each program's samples in order; those of which nothing ran are left out."""
    found: dict[str, list[Sample]] = {}
    for each in rounds:
        for program, sample in each.items():
            if sample.processes:
                found.setdefault(program, []).append(sample)
    return found
