"""Runs an edge under a sampling profiler: `python -m loadtests.bench.sampler OUT ARGS...`.

A timer of the process's CPU time interrupts it (a thousand times a CPU second, or as often as the
kernel's own tick allows); each time the stack of the main thread is counted. SIGUSR1 empties the
counts: what follows is to be measured. At the end a `Sampled` goes to OUT as JSON. Costs some per
cent, and tells C from Python only by the line that called it.
"""

from __future__ import annotations

import atexit
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from loadtests.bench.stopwatch import Stopwatch

PERIOD_S: Final = 0.001
DEEPEST: Final = 60


class Sampled(msgspec.Struct, frozen=True, kw_only=True):
    """What came out."""

    stacks: dict[str, int]
    """Samples by stack: `file:function` from the outside in, joined by `;`."""
    calls: dict[str, dict[str, float]]
    """The instants of each call (`loadtests.bench.steps`)."""


def main() -> None:
    """Run the edge with the arguments on the command line."""
    out, *argv = sys.argv[1:]
    counts: Counter[tuple[object, ...]] = Counter()
    watch = Stopwatch()
    watch.start()

    def sample(_number: int, frame: FrameType | None) -> None:
        stack: list[object] = []
        while frame is not None and len(stack) < DEEPEST:
            stack.append(frame.f_code)
            frame = frame.f_back
        counts[tuple(stack)] += 1

    def empty(_number: int, _frame: FrameType | None) -> None:
        counts.clear()
        watch.empty()

    def write() -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        rows: Counter[str] = Counter()
        for stack, samples in counts.items():
            rows[";".join(_name(code) for code in reversed(stack))] += samples
        Path(out).write_bytes(msgspec.json.encode(Sampled(stacks=rows, calls=watch.calls)))

    atexit.register(write)
    signal.signal(signal.SIGUSR1, empty)
    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, PERIOD_S, PERIOD_S)
    sys.argv = ["edge", *argv]
    runpy.run_module("edge", run_name="__main__", alter_sys=True)


def _name(code: object) -> str:
    file, function = getattr(code, "co_filename", "?"), getattr(code, "co_qualname", "?")
    return f"{file}:{function}"


if __name__ == "__main__":
    main()
