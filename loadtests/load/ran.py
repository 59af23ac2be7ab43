"""Whether Locust's people came for as long as they were to. PURE.

Locust's exit code does not tell: a load whose last worker was lost ends at once and in order, with
the tables of the few seconds until then.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

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


def why_incomplete(ran: Ran | None, seconds: float) -> str | None:
    """Return why the tables are not those of a load of `seconds`; None: they are.

    `ran` is None if the master has left nothing.
    """
    if ran is None:
        return "Locust ended before it had told anything"
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


def log_lines(text: str) -> list[str]:
    """Return the lines of Locust's log, and of tracebacks, without its tables."""
    found: list[str] = []
    is_traceback = False
    for line in text.splitlines():
        is_traceback = line.startswith("Traceback") or (is_traceback and not line.startswith("["))
        if is_traceback or line.startswith("["):
            found.append(line)
    return found
