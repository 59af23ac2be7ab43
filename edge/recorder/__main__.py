"""`python -m edge.recorder --config FILE`: one site's recorder; see `program`."""

from __future__ import annotations

import sys

from state import start

if __name__ == "__main__":
    start.begin()
    from edge.recorder.program import main  # once nothing is collected

    sys.exit(main())
