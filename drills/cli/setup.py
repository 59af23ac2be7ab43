"""`./everline setup`: the launcher has done it all before this runs."""

from __future__ import annotations

import sys

from drills.setup import bootstrap


def setup() -> int:
    """Install what is missing, and stop there.

    Debian packages (as root or through sudo; no service of theirs is
    started or enabled) and the Python environment in .venv. Every command
    that needs something does this by itself; a second run has nothing to do.

    For example:
      ./everline setup
    """
    bootstrap.set_up()
    sys.stdout.write("Everything is installed. What next: ./everline --help\n")
    return 0
