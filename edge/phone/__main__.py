"""`python -m edge.phone`: phones that do what they are told; see `program`."""

from __future__ import annotations

import sys

from state import start

if __name__ == "__main__":
    start.begin()
    from edge.phone.program import main  # once nothing is collected

    sys.exit(main())
