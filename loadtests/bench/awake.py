"""Keeps the processors awake while something is measured.

A virtual processor that halts is given to its neighbours, who take its caches with them: what wakes
up next pays for it, and a call at a low rate costs twice what it costs at a high one. One idler on
each processor, which runs only when nothing else wants to (SCHED_IDLE), keeps it from halting, as
a busy site's own load does.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

LONGEST_S = 1800
"""An idler ends by itself after this long, whatever becomes of us."""
_IDLER = f"""
import os, time
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
ends = time.monotonic() + {LONGEST_S}
while time.monotonic() < ends:
    for _ in range(100_000):
        pass
"""


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """Run one idler for each processor that we may use."""
    idlers = [
        subprocess.Popen((sys.executable, "-S", "-c", _IDLER))  # noqa: S603 - our own words
        for _ in os.sched_getaffinity(0)
    ]
    try:
        yield
    finally:
        for idler in idlers:
            idler.kill()
            idler.wait()
