"""Starts the drills of the calendar, each in its window; tells what was missed, catches none up.

It decides about windows alone. Whether a drill may begin, whoever starts it says; it says so again
by its own guards.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Final, Protocol

from drills.schedule.book import Book
from drills.schedule.calendar import Calendar, Entry, Span
from drills.schedule.errors import CalendarError
from drills.schedule.outcomes import Became, Due, Ended, Outcome, missed_windows, open_windows
from state.clock import Clock

LOOK_EVERY_S: Final = 10.0
LOOK_BACK: Final = dt.timedelta(days=31)
"""What passed longer ago is not told any more."""
NOBODY: Final = "nobody kept the calendar then"


class Starter(Protocol):
    """Begins drills."""

    async def waits_because(self, entry: Entry, calendar: Calendar, /) -> str | None:
        """Return why the drill of an entry may not begin now; None: it may."""
        ...

    async def carry_out(self, entry: Entry, /) -> Ended:
        """Carry it out; return what became of it."""
        ...


class Keeper:
    """Keeps one calendar."""

    def __init__(
        self, book: Book, starter: Starter, clock: Clock, tell: Callable[[str], None]
    ) -> None:
        self._book = book
        self._starter = starter
        self._clock = clock
        self._tell = tell
        self._waits: dict[str, str] = {}
        """Why a window that is open has not been used."""
        self._fault = ""
        self._looked: dt.datetime | None = None
        """When somebody looked last for what was missed."""
        self._busy: tuple[str, Span] | None = None
        """Which drill was carried out last, and when."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(LOOK_EVERY_S)

    async def turn(self) -> None:
        """Look once: tell what was missed, begin what may begin."""
        try:
            await self._look(self._book.read())
        except CalendarError as error:
            self._say_fault(str(error))
        except OSError as error:
            # What cannot be written down is not begun; there may be room again.
            self._say_fault(f"the calendar cannot be kept: {error}")
        else:
            self._fault = ""

    async def _look(self, calendar: Calendar) -> None:
        done = {each.key for each in self._book.outcomes()}
        now = self._now()
        since = max(now - LOOK_BACK, self._looked or now - LOOK_BACK)
        for due in missed_windows(calendar.entries, done, since, now):
            why = self._waits.get(due.key) or self._busy_in(due.window) or NOBODY
            self._note(due, Became.MISSED, why)
            self._waits.pop(due.key, None)
        self._looked = now
        for due in open_windows(calendar.entries, done, now):
            if await self._use(due, calendar):
                # It has taken minutes: which windows are open now is to be seen anew.
                return

    def _busy_in(self, window: Span) -> str | None:
        """Return why nobody could use a window, if another drill went on in it."""
        if self._busy is None or not window.touches(self._busy[1].begin, self._busy[1].end):
            return None
        return f"{self._busy[0]} was carried out then"

    async def _use(self, due: Due, calendar: Calendar) -> bool:
        """Carry it out, if it may begin; return whether that was so."""
        why = await self._starter.waits_because(due.entry, calendar)
        if why is not None:
            if self._waits.get(due.key) != why:
                self._tell(f"{due.entry.name} waits: {why}")
            self._waits[due.key] = why
            return False
        self._waits.pop(due.key, None)
        # Written down first: whoever kills this finds it begun, and does not begin it again.
        self._note(due, Became.BEGUN, f"{due.entry.drill} was begun")
        begin = self._now()
        ended = await self._starter.carry_out(due.entry)
        self._busy = due.entry.name, Span(begin=begin, end=self._now())
        self._note(due, ended.became, ended.why)
        return True

    def _note(self, due: Due, became: Became, why: str) -> None:
        self._book.note(
            Outcome(
                key=due.key,
                entry=due.entry.name,
                at_ms=self._clock.now().wall_ms,
                became=became,
                why=why,
            )
        )
        begin = due.window.begin.isoformat(timespec="minutes")
        self._tell(f"{due.entry.name}, window of {begin}: {became}: {why}")

    def _say_fault(self, text: str) -> None:
        if text != self._fault:
            self._tell(text)
        self._fault = text

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock.now().wall_ms / 1000, dt.UTC)
