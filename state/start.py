"""How every process of ours starts: nothing is collected until it is about to serve. PURE.

    start.begin()                    # first of all, before the rest is imported
    from edge.program import main    # it calls `start.settle()` once what stays is made
    start.keep()                     # and once the shared state has been read

While a program is imported nearly all that is made stays, and Python's collector looks through it
again and again: a quarter of the processor time of a start, which a site that was killed waits for.
"""

from __future__ import annotations

import gc
import sys
from typing import Final

THRESHOLDS: Final = (20_000, 20, 20)
"""A call, and a request, makes thousands of short-lived values and few cycles; 700 would look at
them too often."""


def begin() -> None:
    """Collect nothing until `settle`."""
    gc.disable()
    # structlog takes it, where it is installed, for tracebacks in colour, and by its ways a hundred
    # modules more: a fifth of an edge's imports. Our logs are lines of JSON.
    sys.modules["rich"] = None  # type: ignore[assignment] # "no such module" (import system, 5.3.1)


def settle() -> None:
    """Collect from now on, but never look at what is there already.

    It stays, and to look through it takes as long as many requests, in which nobody is served. Nor
    is it looked through now: the few cycles among it cost less memory than that would cost time.
    """
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()


def keep() -> None:
    """Never look at what has come to be there since, either: the shared state, once it is read.

    To look through that of 10,000 agents took 30 to 70 ms, of 50,000 some 450, and a Kamailio that
    hears nothing of its edge for 500 takes it for dead. What is replaced later is let go of all the
    same: by its count of references.
    """
    gc.freeze()
