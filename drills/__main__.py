"""`python -m drills COMMAND`, which is what `./everline COMMAND` becomes."""

from __future__ import annotations

import sys

from drills.cli.app import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
