"""How a drill of the calendar is begun: by the command that a person would type."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Container
from pathlib import Path

from drills.cli.drill_live import blackouts_now, forbidden_because
from drills.cli.drill_words import one
from drills.cli.errors import Exit
from drills.cli.lane import ROPE
from drills.evidence import verdict
from drills.lever import Lever
from drills.schedule.book import Book
from drills.schedule.calendar import Calendar, Entry
from drills.schedule.outcomes import Became, Ended
from drills.sealing import TamperedError
from drills.setup.pyenv import ROOT
from drills.shelf import HOME, Shelf
from drills.signing import SigningError


class Starting:
    """Begins drills, and says what became of each."""

    def __init__(self, home: Path) -> None:
        self._home = home

    async def waits_because(self, entry: Entry, _calendar: Calendar) -> str | None:
        """Return why it may not begin now."""
        return await asyncio.to_thread(self._waits_because, entry)

    def _waits_because(self, entry: Entry) -> str | None:
        # A drill on sites that are up goes by what lies in their own place, too.
        for home in dict.fromkeys((self._home, HOME) if entry.is_live else (self._home,)):
            lever = Lever(home)
            if lever.is_pulled:
                return "the safety lever is pulled"
            if lever.is_running():
                return "another drill runs"
        try:
            experiment = one(entry.drill)
            if black := blackouts_now(experiment, Book(self._home), is_live=entry.is_live):
                return f"blackout: {', '.join(black)}"
            return forbidden_because(experiment) if entry.is_live else None
        except Exception as error:  # noqa: BLE001 - whatever it is, the drill waits and it is told
            return str(error)

    async def carry_out(self, entry: Entry) -> Ended:
        """Carry it out; when this ends before it, it is told to mend everything and end."""
        before = frozenset(Shelf(self._home).runs(entry.drill))
        words = ["drill", "run", entry.drill, "--keep", str(self._home)]
        words += ["--live", "--really"] if entry.is_live else []
        # Its own session: Ctrl-C is passed on once, since a second one would keep it from mending.
        program = (*ROPE, sys.executable, "-m", "drills", *words)
        child = await asyncio.create_subprocess_exec(*program, cwd=ROOT, start_new_session=True)
        try:
            status = await child.wait()
        except asyncio.CancelledError:
            child.send_signal(signal.SIGINT)
            await child.wait()
            raise
        return self._shown(entry, before, status)

    def _shown(self, entry: Entry, before: Container[str], status: int) -> Ended:
        """Return what the evidence shows that came, if any did."""
        shelf = Shelf(self._home)
        new = [run for run in shelf.runs(entry.drill) if run not in before]
        if not new and status != Exit.OK:
            why = f"it brought no evidence (exit code {status}): schedule run has said why"
            return Ended(became=Became.BROKEN, why=why)
        with contextlib.suppress(TamperedError, SigningError, OSError):
            for brought in map(shelf.peek, new):
                if not brought.was_begun:
                    return Ended(became=Became.NOT_BEGUN, why=brought.why)
                if brought.was_stopped:
                    return Ended(became=Became.STOPPED, why=brought.why)
                if status == Exit.OK and brought.unjudged:
                    return Ended(became=Became.HELD, why=verdict(brought))
        if status == Exit.OK:
            return Ended(became=Became.HELD, why="all held")
        return Ended(
            became=Became.BROKEN, why=f"it did not hold: ./everline drill report {new[-1]}"
        )
