"""What SIPp's file of statistics says: semicolons, a heading, one line a period. PURE."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

_SUCCEEDED, _FAILED, _TIME = "SuccessfulCall(C)", "FailedCall(C)", "ResponseTime1(P)"
_CREATED = "TotalCallCreated"


class Sums(Struct, frozen=True, kw_only=True):
    """Since the beginning, but for the time: that of the last period."""

    succeeded: int = 0
    failed: int = 0
    created: int = 0
    """Calls that it has begun."""
    mean_ms: float = 0.0


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
        mean_ms=_milliseconds(last.get(_TIME, "")),
    )


def _milliseconds(clock: str) -> float:
    """Read `00:00:01:500000`: hours, minutes, seconds and microseconds."""
    parts = clock.split(":")
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):  # noqa: PLR2004
        return 0.0
    hours, minutes, seconds, micros = map(int, parts)
    return 1000.0 * (3600 * hours + 60 * minutes + seconds) + micros / 1000.0
