"""Whether Locust's people came for as long as they were to. PURE.

Locust's exit code does not tell: a load whose last worker was lost ends at once and in order, with
the tables of the few seconds until then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct

BEGINS_WITHIN_S: Final = 120.0
"""So long Locust waits for its workers' telephones: each process of them has a minute to start, and
a worker half a minute before it."""

STOOD_STILL_S: Final = 20.0
"""No look at the shape for so long: until then nobody came or went, whatever it says."""


class Ran(Struct, frozen=True, kw_only=True):
    """What the master knows at the end."""

    ran_s: float
    """How far it got in the shape's time."""
    stood_still_s: float
    """The longest time between two looks at the shape."""
    workers_lost: int
    """So many at once were not heard of for half a minute; also if they came back."""
    never_began: str = ""
    """Why its time never began; empty: it did."""
    began_ms: int = 0
    """When its time began, by the wall clock; 0: it never did."""
    runnable_per_core: float | None = None
    """The most processes that ran or waited for a processor, of five seconds; None: unknown."""


def why_incomplete(ran: Ran | None, seconds: float) -> str | None:
    """Return why the tables are not those of a load of `seconds`; None: they are.

    `ran` is None if the master has left nothing.
    """
    if ran is None:
        return "Locust ended before it had told anything"
    if ran.never_began:
        return ran.never_began
    if ran.workers_lost:
        return (
            f"Locust heard no more of {ran.workers_lost} of its workers, "
            f"and ended after {ran.ran_s:.0f} of {seconds:g} s"
        )
    if ran.ran_s < seconds:
        return f"Locust ended after {ran.ran_s:.0f} of {seconds:g} s"
    if ran.stood_still_s > STOOD_STILL_S:
        return f"Locust stood still for {ran.stood_still_s:.0f} s"
    return None


def why_not_begun(
    workers: int, ready: Collection[int], said: Mapping[int, str], waited_s: float
) -> str:
    """Return why a load whose time has not begun never will; empty: it may yet.

    `ready`: the workers whose callers have telephones; `said`: what those say who cannot get any.
    """
    if said:
        return "; ".join(f"worker {number}: {why}" for number, why in sorted(said.items()))
    late = [str(number) for number in range(workers) if number not in ready]
    if late and waited_s > BEGINS_WITHIN_S:
        return f"the callers of worker {', '.join(late)} have no telephones after {waited_s:.0f} s"
    return ""


def log_lines(text: str) -> list[str]:
    """Return the lines of Locust's log, and of tracebacks, without its tables."""
    found: list[str] = []
    is_traceback = False
    for line in text.splitlines():
        is_traceback = line.startswith("Traceback") or (is_traceback and not line.startswith("["))
        if is_traceback or line.startswith("["):
            found.append(line)
    return found
