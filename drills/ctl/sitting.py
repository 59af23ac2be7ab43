"""Asks whoever sits at the terminal. What it asks goes to standard error: answers may go elsewhere.

Asked within asyncio, whose first Ctrl-C only cancels the task: that waits for an end of the
reading that never comes. Here Ctrl-C ends the reading.
"""

from __future__ import annotations

import getpass
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from drills.cli.errors import CommandError, Exit


def password() -> str:
    """Return a password. Raise `CommandError` where nobody types one, KeyboardInterrupt."""
    try:
        with _interruptible():
            return getpass.getpass()
    except EOFError as error:
        text = "nobody typed a password: --password-file FILE, or set EVERLINE_PASSWORD"
        raise CommandError(text, Exit.USAGE) from error


def says_yes(question: str) -> bool:
    """Tell whether somebody says yes; the end of input is a no. Raise KeyboardInterrupt."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    try:
        with _interruptible():
            said = input("")
    except EOFError:
        sys.stderr.write("\n")
        return False
    return said.strip().lower() in {"y", "yes"}


@contextmanager
def _interruptible() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
