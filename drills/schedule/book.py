"""Keeps the calendar, and the log of what became of each window, in the folder of the evidence."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from drills.only_one import only_one
from drills.schedule.calendar import Blackout, Calendar, Entry, wrong_because
from drills.schedule.errors import CalendarError
from drills.schedule.outcomes import Outcome
from state.codec import UNREADABLE

_CALENDAR: Final = "calendar.json"
_LOG: Final = "calendar.log"
_LOCK: Final = "calendar.lock"
_KEEPER: Final = "keeper.lock"


class Book:
    """The files of one folder."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def read(self) -> Calendar:
        """Return the calendar; an empty one if there is none.

        CalendarError when it is damaged, or somebody has written what makes no sense into it.
        """
        calendar = self._decoded()
        things: tuple[Entry | Blackout, ...] = (*calendar.entries, *calendar.blackouts)
        for thing in things:
            wrong = wrong_because(thing)
            if wrong is not None:
                raise CalendarError(
                    f"{self._home / _CALENDAR}, {thing.name}: {wrong}: mend it, or say"
                    f" ./everline drill schedule remove {thing.name}"
                )
        return calendar

    def _decoded(self) -> Calendar:
        path = self._home / _CALENDAR
        try:
            return msgspec.json.decode(path.read_bytes(), type=Calendar)
        except FileNotFoundError:
            return Calendar()
        except UNREADABLE as error:
            raise CalendarError(f"{path} is damaged ({error}): mend it, or delete it") from error

    def add(self, thing: Entry | Blackout) -> None:
        """Add an entry or a blackout. CalendarError: it makes no sense, or its name is taken."""
        wrong = wrong_because(thing)
        if wrong is not None:
            raise CalendarError(f"{thing.name}: {wrong}")
        with self._changing() as calendar:
            if thing.name in calendar.names:
                raise CalendarError(
                    f"there is a {thing.name} already: remove it, or take another name"
                )
            if isinstance(thing, Entry):
                self._write(msgspec.structs.replace(calendar, entries=(*calendar.entries, thing)))
            else:
                blackouts = (*calendar.blackouts, thing)
                self._write(msgspec.structs.replace(calendar, blackouts=blackouts))

    def remove(self, name: str) -> None:
        """Remove an entry or a blackout. CalendarError names those that there are."""
        with self._changing() as calendar:
            if name not in calendar.names:
                known = ", ".join(calendar.names) or "none"
                raise CalendarError(f"there is no {name!r} in the calendar; there are: {known}")
            left = Calendar(
                entries=tuple(each for each in calendar.entries if each.name != name),
                blackouts=tuple(each for each in calendar.blackouts if each.name != name),
            )
            self._write(left)

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return what became of windows, the oldest first; a line that is cut short is left out."""
        found = []
        try:
            lines = (self._home / _LOG).read_bytes().splitlines()
        except FileNotFoundError:
            return ()
        for line in lines:
            try:
                found.append(msgspec.json.decode(line, type=Outcome))
            except UNREADABLE:
                continue
        return tuple(found)

    def note(self, outcome: Outcome) -> None:
        """Write down what became of a window, on the disk before anything else is done."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._home / _LOG).open("ab") as file:
            # After a line that a crash cut short a new one begins.
            start = b"\n" if file.tell() and not _ends_line(self._home / _LOG) else b""
            file.write(start + msgspec.json.encode(outcome) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def keeping(self) -> AbstractContextManager[bool]:
        """Be the one who starts drills until the block ends; False: there is another."""
        return only_one(self._home / _KEEPER)

    @contextmanager
    def _changing(self) -> Iterator[Calendar]:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._home / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._decoded()

    def _write(self, calendar: Calendar) -> None:
        part = self._home / f"{_CALENDAR}.part"
        part.write_bytes(msgspec.json.format(msgspec.json.encode(calendar), indent=2) + b"\n")
        part.replace(self._home / _CALENDAR)


def _ends_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
