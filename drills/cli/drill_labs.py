"""Labs for drills: one here, or several side by side, each held by a process of its own.

A lab's launcher takes signals, and so is the main thread of its process: a second lab needs a
second process. All of them end with this one, by whatever it ends.
"""

from __future__ import annotations

import json as jsons
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import Self

import msgspec

from drills.cli.entering import run_inside, see_that_it_is_in_reach
from drills.cli.errors import CommandError, Exit
from drills.due import Due
from drills.lab.enter import enter
from drills.lab.errors import EnterError
from drills.lever import Lever
from drills.setup.say import note
from drills.shelf import Shelf

MODULE = "drills.drill"
ROPE = ("setpriv", "--pdeathsig", "TERM", "--")
"""Our death, even by kill -9, is a SIGTERM to who holds a lab. No SIGINT: shells have what they
start in the background ignore that, until the holder asks for it."""
HOLDER = (sys.executable, "-m", __name__)
"""What holds one lab of several."""
ANOTHER = "another drill runs here: ./everline drill abort stops it"


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A lab that is down again."""

    due: tuple[Due, ...]
    """What was asked of it."""
    status: int
    runs: tuple[str, ...]
    """What it has put on the shelf."""


def run_some(
    due: Sequence[Due], shelf: Shelf, begin_within_s: float | None = None
) -> tuple[int, list[str]]:
    """Carry drills out in one lab; return the exit status and the runs that are on the shelf.

    None is begun later than `begin_within_s`, nor in a lab that is not as it was. CommandError:
    another drill runs, whose guard would have each of these refused when its callers have come.
    """
    see_that_it_is_in_reach(shelf.home)
    if Lever(shelf.home).is_running():
        raise CommandError(ANOTHER)
    before = set(shelf.runs())
    status = run_inside(MODULE, [_options(due, shelf, begin_within_s)])
    return status, [run for run in shelf.runs() if run not in before]


class SideBySide:
    """So many labs at most at a time. Use as a context manager, in which no other drill runs."""

    def __init__(self, shelf: Shelf, most: int) -> None:
        self._shelf = shelf
        self._most = most
        self._threads = ThreadPoolExecutor(most)
        self._going: dict[Future[int], tuple[str, tuple[Due, ...]]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._known = set(shelf.runs())
        self._is_over = False
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Be the only one who drills here. CommandError: somebody else does, or no lab can."""
        see_that_it_is_in_reach(self._shelf.home)
        if not self._held.enter_context(Lever(self._shelf.home).running()):
            self._held.close()
            raise CommandError(ANOTHER)
        self._shelf.clear_away()
        return self

    def __exit__(self, *_: object) -> None:
        """Have every lab taken down, and wait for that."""
        self._is_over = True
        for process in list(self._processes.values()):
            process.send_signal(signal.SIGTERM)
        self._threads.shutdown()
        self._held.close()

    @property
    def busy(self) -> frozenset[tuple[str, int]]:
        """Drills and seeds that some lab is to carry out."""
        batches = (due for _, due in self._going.values())
        return frozenset((each.experiment.name, each.seed) for due in batches for each in due)

    @property
    def under_way(self) -> int:
        """How many runs are still to come from the labs that are up."""
        brought = sum(run not in self._known for run in self._shelf.runs())
        return max(0, len(self.busy) - brought)

    def has_room_for(self, due: Due) -> bool:
        """Whether a lab may be brought up for it now.

        One that asks for a machine with time has that alone: the others rest meanwhile.
        """
        if due.is_alone:
            return not self._going
        is_taken = any(each.is_alone for _, asked in self._going.values() for each in asked)
        return len(self._going) < self._most and not is_taken

    def begin(self, due: tuple[Due, ...], begin_within_s: float | None) -> None:
        """Have drills carried out in a lab of their own."""
        taken = {lab for lab, _ in self._going.values()}
        lab = next(name for name in map(str, range(1, self._most + 1)) if name not in taken)
        options = _options(due, self._shelf, begin_within_s, lab)
        self._going[self._threads.submit(self._hold, lab, options)] = lab, due

    def ended(self) -> Ended:
        """Wait until a lab is down again. One has to have begun."""
        future = next(iter(wait(self._going, return_when=FIRST_COMPLETED).done))
        _, due = self._going.pop(future)
        asked = {(each.experiment.name, each.seed) for each in due}
        runs = []
        for run in self._shelf.runs():
            if run not in self._known:
                evidence = self._shelf.read(run)
                if (evidence.experiment.name, evidence.seed) in asked:
                    runs.append(run)
        self._known |= set(runs)
        return Ended(due=due, status=future.result(), runs=tuple(runs))

    def _hold(self, lab: str, options: str) -> int:
        # This thread lasts as long as the process: its end is what the rope tells.
        with subprocess.Popen((*ROPE, *HOLDER, options)) as process:
            self._processes[lab] = process
            if self._is_over:
                process.send_signal(signal.SIGTERM)
            status = process.wait()
            del self._processes[lab]
        return 128 - status if status < 0 else status


def _options(due: Sequence[Due], shelf: Shelf, begin_within_s: float | None, lab: str = "") -> str:
    return jsons.dumps(
        {
            "due": msgspec.to_builtins(due),
            "home": str(shelf.home),
            "begin_within_s": begin_within_s,
            "lab": lab,
        }
    )


def main() -> int:
    """Hold one lab of several."""
    try:
        return enter(MODULE, [sys.argv[1]])
    except EnterError as error:
        note(str(error))
        return Exit.SETUP


if __name__ == "__main__":
    sys.exit(main())
