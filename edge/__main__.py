"""`python -m edge --config FILE`: one edge process; see `program`."""

from __future__ import annotations

import sys

from state import start

if __name__ == "__main__":
    start.begin()
    from edge.program import main  # once nothing is collected

    sys.exit(main())
