"""Runs a module under a sampling profiler: `python -m loadtests.bench.sampler OUT MODULE ARGS...`.

A timer of the process's CPU time interrupts it a thousand times a CPU second; each time the stack
of the main thread is counted. At the end the counts go to OUT as JSON: stack -> samples, a stack
as `file:function` from the outside in, joined by `;`. Costs some per cent, and tells C from Python
only by the line that called it.
"""

from __future__ import annotations

import atexit
import json
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

PERIOD_S: Final = 0.001
DEEPEST: Final = 40


def main() -> None:
    """Run the module named on the command line."""
    out, module, *argv = sys.argv[1:]
    counts: Counter[tuple[object, ...]] = Counter()

    def sample(_number: int, frame: FrameType | None) -> None:
        stack: list[object] = []
        while frame is not None and len(stack) < DEEPEST:
            stack.append(frame.f_code)
            frame = frame.f_back
        counts[tuple(stack)] += 1

    def write() -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        rows = {";".join(_name(code) for code in reversed(stack)): n for stack, n in counts.items()}
        Path(out).write_text(json.dumps(rows))

    atexit.register(write)
    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, PERIOD_S, PERIOD_S)
    sys.argv = [module, *argv]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _name(code: object) -> str:
    file, function = getattr(code, "co_filename", "?"), getattr(code, "co_qualname", "?")
    return f"{file}:{function}"


if __name__ == "__main__":
    main()
