"""What stops drills from outside: the safety lever, a request to abort, and that one runs already.

Files in the folder where evidence is kept. The lever stays until it is released; a request to abort
is for the drills that run when it is made.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from drills.course import ASKED, PULLED
from drills.only_one import only_one
from drills.setup.pyenv import ROOT

HOME: Final = ROOT / ".everline" / "drills"
"""Where evidence is kept."""
_LEVER: Final = "lever"
_ABORT: Final = "abort"
_LOCK: Final = "running"

Requests: TypeAlias = tuple[int, int]
"""When it was asked last, in nanoseconds: to abort all drills, and those of one lab."""


class Lever:
    """The files of one folder."""

    def __init__(self, home: Path, lab: str = "") -> None:
        """`lab`: of several labs side by side, the one whose own drills stop by `abort`."""
        self._home = home
        self._own = f"{_ABORT}-{lab}" if lab else _ABORT
        self._asked_ns = self._requests()

    @property
    def home(self) -> Path:
        """Return the folder."""
        return self._home

    @property
    def is_pulled(self) -> bool:
        """Whether no drill may run."""
        return (self._home / _LEVER).exists()

    def stopped_because(self) -> str | None:
        """Return why a drill that began when this was made has to stop; None: it has not."""
        if self.is_pulled:
            return PULLED
        return ASKED if self._requests() != self._asked_ns else None

    def pull(self) -> None:
        """Stop every drill, and let none begin. OSError: the disk; one that is pulled stays so."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._home / _LEVER).touch(mode=0o600)

    def release(self) -> None:
        """Let drills begin again."""
        (self._home / _LEVER).unlink(missing_ok=True)

    def abort(self) -> Requests:
        """Stop the drills that run, or those of the lab that this is of; return which this is."""
        self._touch(self._own)
        return self._requests()

    def forget(self, request: Requests) -> None:
        """Take a request for answered, so that the next drill is not meant; a later one stands."""
        if self._requests() == request:
            self._asked_ns = request

    def over(self) -> None:
        """Take all requests until now for answered: the drill that they were for is over."""
        self._asked_ns = self._requests()

    def running(self) -> AbstractContextManager[bool]:
        """Be the one drill that runs until the block ends; False: there is another."""
        return only_one(self._home / _LOCK)

    def is_running(self) -> bool:
        """Tell whether a drill runs."""
        with self.running() as is_alone:
            return not is_alone

    def _touch(self, name: str) -> None:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._home / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)

    def _requests(self) -> Requests:
        """Return when somebody asked last to abort all drills, and those of this lab."""
        return self._asked_at(_ABORT), self._asked_at(self._own)

    def _asked_at(self, name: str) -> int:
        with suppress(FileNotFoundError):
            return (self._home / name).stat().st_mtime_ns
        return 0
