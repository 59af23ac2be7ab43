"""What SIPp's files say: of statistics, one line a period, and of times, one an answer. PURE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

_SUCCEEDED, _FAILED = "SuccessfulCall(C)", "FailedCall(C)"
_CREATED = "TotalCallCreated"


class Sums(Struct, frozen=True, kw_only=True):
    """Since the beginning."""

    succeeded: int = 0
    failed: int = 0
    created: int = 0
    """Calls that it has begun."""


ENOUGH: Final = 0.8
"""Of the calls that SIPp was to place: on a busy machine it is told to stop before the last."""


def why_too_few(found: Sums, *, per_s: float, seconds: float) -> str:
    """Return why a load did not have the volume that was asked for; empty: it had, or none was."""
    wanted = round(per_s * seconds)
    if found.created >= ENOUGH * wanted:
        return ""
    return f"SIPp has placed {found.created} of {wanted} calls"


def sums(text: str) -> Sums:
    """Return what the last whole line says; nothing yet: zeros."""
    heading, *lines = text[: text.rfind("\n") + 1].splitlines() or [""]
    if not lines:
        return Sums()
    last = dict(zip(heading.split(";"), lines[-1].split(";"), strict=False))
    return Sums(
        succeeded=int(last.get(_SUCCEEDED) or 0),
        failed=int(last.get(_FAILED) or 0),
        created=int(last.get(_CREATED) or 0),
    )


def times_ms(lines: str) -> Iterator[float]:
    """Yield how long each answer took, of whole lines: when, the time, which timer."""
    for line in lines.splitlines():
        _, _, rest = line.partition(";")
        took, _, _ = rest.partition(";")
        if took.isdecimal():
            yield float(took)
