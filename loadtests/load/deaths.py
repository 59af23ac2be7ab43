"""Which of the center's processes ended of their own accord while it was loaded. PURE.

The lab begins one that dies anew at once, and nobody who calls need notice: a crash would be no
more than a shorter life of what is followed for its growth.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from drills.fault import FaultKind
from loadtests.load.complaints import SETTLES_MS
from loadtests.load.faults import Done
from loadtests.load.growth import Round

_OF_SITES: Final = frozenset({FaultKind.KILL_SITE, FaultKind.FREEZE_SITE})
_OF_PROCESSES: Final = frozenset({FaultKind.KILL, FaultKind.HOLD_DOWN})
LEAST_S: Final = 15.0
"""Of a life that counts by itself: a program may run another of its own name for a moment."""
LOOP, LOOP_S = 3, 60.0
"""So many shorter ones, begun one after the other within so long, are a program that crashes as
often as it is begun."""
LOOK_MS: Final = 2_000
"""A look bears the time at which it begins, and on a busy machine reads of a process a second
later: who is not there any more may have been ended meanwhile."""


def deaths(rounds: Sequence[Round], faults: Sequence[Done], began_ms: int) -> tuple[str, ...]:
    """Return who ended, and when, without a fault that ends it.

    `began_ms`: wall clock, at the zero of the clock of the samples. Who is gone in the last round
    alone counts as well: nothing is taken down before the looks are over.
    """
    found = []
    short: dict[str, set[float]] = {}
    begins_s = _at_s(rounds[0]) if rounds else 0.0
    for program, pid, first_s, last_s, gone_s in _ends(rounds):
        from_ms, to_ms = (began_ms + 1000 * each for each in (last_s, gone_s))
        if any(
            each.from_ms <= to_ms + LOOK_MS and from_ms <= each.until_ms + SETTLES_MS
            for each in faults
            if _ends_it(each, program)
        ):
            continue
        if last_s - first_s >= LEAST_S:
            found.append(f"{program} {pid} ended {last_s - begins_s:.0f} s after the first look")
        else:
            # Those of one moment are one life: Kamailio is many processes.
            short.setdefault(program, set()).add(first_s)
    return (*found, *_loops(short, begins_s))


def _loops(short: Mapping[str, Collection[float]], begins_s: float) -> Iterator[str]:
    """Yield each program that has begun again and again, by the beginnings of its short lives."""
    for program, beginnings in short.items():
        times = sorted(beginnings)
        loops = zip(times, times[LOOP - 1 :], strict=False)
        first_s = next((first for first, last in loops if last - first <= LOOP_S), None)
        if first_s is not None:
            yield (
                f"{program} began {len(times)} times and never lived for {LEAST_S:g} s, "
                f"from {first_s - begins_s:.0f} s after the first look on"
            )


def _ends(rounds: Sequence[Round]) -> Iterator[tuple[str, int, float, float, float]]:
    """Yield program, PID, when it was seen first and last, and when it was seen no more."""
    seen: dict[tuple[str, int], tuple[float, float]] = {}
    times = [_at_s(each) for each in rounds if each]
    for at_s, each in zip(times, filter(None, rounds), strict=True):
        for program, by_pid in each.items():
            for pid in by_pid:
                first_s, _ = seen.get((program, pid), (at_s, at_s))
                seen[program, pid] = (first_s, at_s)
    for (program, pid), (first_s, last_s) in seen.items():
        if (gone := bisect_right(times, last_s)) < len(times):
            yield program, pid, first_s, last_s, times[gone]


def _at_s(each: Round) -> float:
    return max((sample.at_s for by_pid in each.values() for sample in by_pid.values()), default=0.0)


def _ends_it(done: Done, program: str) -> bool:
    fault = done.fault
    if done.problem:
        return False
    return fault.kind in _OF_SITES or (
        # Processes are named after what they are: edge-a1, etcd-b, control-plane-c.
        fault.kind in _OF_PROCESSES and fault.target.startswith(program.replace("_", "-") + "-")
    )
