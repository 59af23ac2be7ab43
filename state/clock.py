"""Where `Now` comes from: the real clocks, or one that a test moves by hand."""

from __future__ import annotations

import time
from typing import Protocol

from state.model import Now

_NS_IN_MS = 1_000_000


class Clock(Protocol):
    """Tells the instant on both clocks."""

    def now(self) -> Now:
        """Return this instant. `mono_s` never goes back; `wall_ms` may."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Now:
        """Return this instant."""
        return Now(mono_s=time.monotonic(), wall_ms=time.time_ns() // _NS_IN_MS)


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, *, mono_s: float = 1_000.0, wall_ms: int = 1_700_000_000_000) -> None:
        self._now = Now(mono_s=mono_s, wall_ms=wall_ms)

    def now(self) -> Now:
        """Return the instant at which the clock stands."""
        return self._now

    def advance(self, seconds: float) -> Now:
        """Move both clocks on by `seconds` and return the new instant."""
        if seconds < 0:
            raise ValueError(f"a clock cannot be moved back by {-seconds} s")
        wall_ms = self._now.wall_ms + round(seconds * 1000)
        self._now = Now(mono_s=self._now.mono_s + seconds, wall_ms=wall_ms)
        return self._now
