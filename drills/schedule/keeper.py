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
from drills.schedule.calendar import Calendar, Entry
from drills.schedule.errors import CalendarError
from drills.schedule.outcomes import Became, Due, Outcome, missed_windows, open_windows
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

    async def carry_out(self, entry: Entry, /) -> bool:
        """Carry it out; return whether all that was expected held."""
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

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(LOOK_EVERY_S)

    async def turn(self) -> None:
        """Look once: tell what was missed, begin what may begin."""
        try:
            calendar = self._book.read()
        except CalendarError as error:
            self._say_fault(str(error))
            return
        self._fault = ""
        done = {each.key for each in self._book.outcomes()}
        now = self._now()
        for due in missed_windows(calendar.entries, done, now - LOOK_BACK, now):
            why = self._waits.pop(due.key, NOBODY)
            self._note(due, Became.MISSED, why)
        for due in open_windows(calendar.entries, done, now):
            await self._use(due, calendar)

    async def _use(self, due: Due, calendar: Calendar) -> None:
        why = await self._starter.waits_because(due.entry, calendar)
        if why is not None:
            if self._waits.get(due.key) != why:
                self._tell(f"{due.entry.name} waits: {why}")
            self._waits[due.key] = why
            return
        self._waits.pop(due.key, None)
        # Written down first: whoever kills this finds it begun, and does not begin it again.
        self._note(due, Became.BEGUN, f"{due.entry.drill} was begun")
        held = await self._starter.carry_out(due.entry)
        why = "all held" if held else "it did not hold: ./everline drill report"
        self._note(due, Became.HELD if held else Became.BROKEN, why)

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
