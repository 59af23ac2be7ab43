"""`python -m control_plane --config FILE`: one control plane; see `program`."""

from __future__ import annotations

import sys

from state import start

if __name__ == "__main__":
    start.begin()
    from control_plane.program import main  # once nothing is collected

    sys.exit(main())
