"""What stops drills from outside: the safety lever, a request to abort, and that one runs already.

Files in the folder where evidence is kept. The lever stays until it is released; a request to abort
is for the drills that run when it is made.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

from drills.only_one import only_one
from drills.setup.pyenv import ROOT

HOME: Final = ROOT / ".everline" / "drills"
"""Where evidence is kept."""
_LEVER: Final = "lever"
_ABORT: Final = "abort"
_LOCK: Final = "running"


class Lever:
    """The files of one folder."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._asked_ns = self._abort_ns()

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
            return "the safety lever was pulled"
        return "an operator aborted it" if self._abort_ns() != self._asked_ns else None

    def pull(self) -> None:
        """Stop every drill, and let none begin."""
        self._touch(_LEVER)

    def release(self) -> None:
        """Let drills begin again."""
        (self._home / _LEVER).unlink(missing_ok=True)

    def abort(self) -> int:
        """Stop the drills that run; return which request this is."""
        self._touch(_ABORT)
        return self._abort_ns()

    def forget(self, request: int) -> None:
        """Take a request for answered, so that the next drill is not meant; a later one stands."""
        if self._abort_ns() == request:
            self._asked_ns = request

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

    def _abort_ns(self) -> int:
        with suppress(FileNotFoundError):
            return (self._home / _ABORT).stat().st_mtime_ns
        return 0
