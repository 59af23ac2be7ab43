"""`./everline doctor`."""

from __future__ import annotations

from typing import Annotated

import cyclopts

from drills.setup import doctor as body

Json = Annotated[
    bool, cyclopts.Parameter(help="Print JSON: whether all is ready, and each finding.")
]


def doctor(*, json: Json = False) -> int:
    """Say what this machine lacks, and the command that mends it.

    Changes nothing, and works before anything is installed.
    Exit code 0 if nothing needed is missing, else 1.

    For example:
      ./everline doctor
      ./everline doctor --json
    """
    return body.report(as_json=json)
