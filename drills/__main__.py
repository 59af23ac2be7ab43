"""`python -m drills COMMAND`, which is what `./everline COMMAND` becomes."""

from __future__ import annotations

import os
import sys

from drills.cli.app import main
from drills.cli.errors import Exit


def _run() -> int:
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough, as `| head` does; what is left has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    return code


if __name__ == "__main__":
    sys.exit(_run())
