"""From `./everline COMMAND` to `.venv/bin/python -m drills COMMAND`, installing what is missing.

The shell launcher runs this with the system's Python. If all is there it costs some tens of
milliseconds and replaces itself by the command; the process id stays the same all the way.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from drills.setup import packages, say
from drills.setup.errors import InterruptedSetupError, SetupError, not_writable, stop_politely
from drills.setup.pyenv import Environment, ensure_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
JOURNAL = ROOT / ".everline" / "setup" / "installing"
EXIT_SETUP = 3
EXIT_INTERRUPTED = 130

COMMANDS_WITHOUT_SETUP = frozenset({"", "--help", "-h", "help", "--version", "version"})
"""They tell about Everline, and must not install anything; nor must `doctor` and `lock`."""

FIRST_HELP = Path(__file__).parent / "first_help.txt"


def main(argv: list[str]) -> int:
    """Set up as far as `argv` needs it, and become the command; return only if there is none."""
    command = argv[0] if argv else ""
    try:
        if is_set_up():
            become(argv)
        if command in COMMANDS_WITHOUT_SETUP:
            return _tell(argv)
        if command in {"doctor", "lock"}:
            return _run_bare(argv)
        set_up()
        become(argv)
    except InterruptedSetupError as error:
        say.note(str(error))
        return EXIT_INTERRUPTED
    except SetupError as error:
        say.note(str(error))
        return EXIT_SETUP
    except KeyboardInterrupt:
        say.note("stopped; run it again to go on where this left off")
        return EXIT_INTERRUPTED


def is_set_up() -> bool:
    """Whether there is nothing to install: looks at a stamp, a directory and a journal."""
    return Environment().is_ready() and not JOURNAL.exists() and not packages.missing()


def set_up() -> None:
    """Install what is missing, one launcher at a time."""
    from drills.setup.debian import clean_up, ensure_packages  # noqa: PLC0415 - rarely needed

    stop_politely()
    with _alone():
        clean_up()
        ensure_packages()
        ensure_environment()


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the set-up's lock; the kernel lets go of it however we end."""
    path = ROOT / ".everline" / "setup" / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except PermissionError as error:
        raise not_writable(error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say.note("waiting for another set-up in this directory")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def become(argv: list[str]) -> NoReturn:
    """Replace this process by the command."""
    python = str(Environment().python)
    os.environ.pop("PYTHONPATH", None)
    os.execv(python, [python, "-P", "-m", "drills", *argv])  # noqa: S606 - no shell wanted


def _tell(argv: list[str]) -> int:
    """Answer --help and --version: fully if the environment is there, else with the first page."""
    if Environment().is_ready():
        become(argv)
    sys.stdout.write(FIRST_HELP.read_text())
    return 0


def _run_bare(argv: list[str]) -> int:
    """Run a command that works before anything is installed."""
    if Environment().is_ready():
        become(argv)
    from drills.setup import doctor, lock  # noqa: PLC0415 - rarely needed

    return {"doctor": doctor.main, "lock": lock.main}[argv[0]](argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
