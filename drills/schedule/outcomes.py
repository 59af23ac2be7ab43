"""PURE. What becomes of a window: begin now, wait, or say that it is over and why.

Nothing is caught up: a window that has passed is told as missed, once, and the drill is done in the
next one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable, Iterator
from enum import StrEnum

from msgspec import Struct

from drills.schedule.calendar import Entry, Span, outcome_key


class Became(StrEnum):
    """What became of a window."""

    BEGUN = "begun"
    """The drill was begun, and its end has not been seen."""
    HELD = "held"
    BROKEN = "broken"
    NOT_BEGUN = "not begun"
    """It was called in its window, and could not begin: what it needs was not there."""
    STOPPED = "stopped"
    """Somebody stopped it half-way."""
    MISSED = "missed"
    """It passed without the drill."""


class Ended(Struct, frozen=True, kw_only=True):
    """What became of a drill that was carried out, and why."""

    became: Became
    why: str


class Outcome(Struct, frozen=True, kw_only=True):
    """One line of the calendar's log."""

    key: str
    entry: str
    at_ms: int
    became: Became
    why: str


class Due(Struct, frozen=True, kw_only=True):
    """A window that is open and of which nothing has become yet."""

    entry: Entry
    window: Span

    @property
    def key(self) -> str:
        """Return under which name its outcome is kept."""
        return outcome_key(self.entry.name, self.window)


def open_windows(entries: Iterable[Entry], done: Container[str], now: dt.datetime) -> Iterator[Due]:
    """Yield those in which a drill may begin now, each entry's newest window alone."""
    moment = dt.timedelta(seconds=1)
    for entry in entries:
        windows = [
            window for window in entry.windows(now, now + moment) if window.begin >= entry.made
        ]
        if windows and outcome_key(entry.name, windows[-1]) not in done:
            yield Due(entry=entry, window=windows[-1])


def missed_windows(
    entries: Iterable[Entry], done: Container[str], since: dt.datetime, now: dt.datetime
) -> Iterator[Due]:
    """Yield the windows since then that are over, and of which nothing has become."""
    for entry in entries:
        for window in entry.windows(max(since, entry.made), now):
            if window.end > now or window.begin < entry.made:
                continue
            if outcome_key(entry.name, window) not in done:
                yield Due(entry=entry, window=window)
