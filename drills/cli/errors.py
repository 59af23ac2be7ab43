"""How a command ends: its exit codes, and the errors that become one line and a code."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `./everline`; every command keeps to them."""

    OK = 0
    FAILED = 1
    """A test, a check or a claim did not hold."""
    USAGE = 2
    """The command line makes no sense."""
    SETUP = 3
    """This machine cannot run it, or could not be set up."""
    UNFINISHED = 4
    """All went well as far as it came, and its time was up: called again, it goes on."""
    INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot go on. The text is one line that names the thing and the way out."""

    def __init__(self, text: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(text)
        self.code = code
