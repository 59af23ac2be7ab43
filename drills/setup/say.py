"""Says what set-up is doing: a line that rewrites itself on a terminal, a plain log elsewhere.

All of it goes to standard error, since standard output belongs to the command.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

BAR = 24
NOTE_WIDTH = 40


def is_live() -> bool:
    """Whether a person watches: a terminal, and neither CI nor NO_COLOR nor a dumb TERM says no."""
    quiet = os.environ.get("CI") or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stderr.isatty() and not quiet


def note(text: str) -> None:
    """Say one line."""
    sys.stderr.write(f"everline: {text}\n")
    sys.stderr.flush()


class Step:
    """One thing that takes a while. Use as a context; `show` as often as you like."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._live = is_live()
        self._began = 0.0

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._live:
            self.show(0.0, "")
        else:
            note(f"{self.title} ...")
        return self

    def show(self, share: float, what: str) -> None:
        """Show that `share` (0..1) is done and what is at hand; nothing where nobody watches."""
        if not self._live:
            return
        full = round(BAR * min(max(share, 0.0), 1.0))
        bar = "#" * full + "." * (BAR - full)
        spent = time.monotonic() - self._began
        line = f"\r\033[Keverline: {self.title} [{bar}] {spent:4.0f} s  {what[:NOTE_WIDTH]}"
        sys.stderr.write(line)
        sys.stderr.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        spent = time.monotonic() - self._began
        if self._live:
            sys.stderr.write("\r\033[K")
        note(f"{self.title}: {'done' if kind is None else 'stopped'} after {spent:.1f} s")
