"""Where labs listen: a socket for each, named after its launcher, in the checkout.

The lab's processes have a /run and a network of their own; the checkout is what both sides see.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from drills.lab.lab import PROJECT

SOCKETS = PROJECT / ".everline" / "up"


def socket_path(launcher: int) -> Path:
    """Return where the lab of that launcher listens."""
    return SOCKETS / f"{launcher}.sock"


def password_path(launcher: int) -> Path:
    """Return where the password of that lab's first administrator stands while it is up."""
    return SOCKETS / f"{launcher}.password"


def ca_path(launcher: int) -> Path:
    """Return where the certificate of that lab's authority stands while it is up."""
    return SOCKETS / f"{launcher}.ca.pem"


@contextlib.contextmanager
def within_reach(path: Path) -> Iterator[str]:
    """Give a name of the socket that is short: a socket's address has at most 107 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
