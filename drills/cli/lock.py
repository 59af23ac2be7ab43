"""`./everline lock`."""

from __future__ import annotations

from typing import Annotated

import cyclopts

from drills.setup import lock as body

Upgrade = Annotated[bool, cyclopts.Parameter(help="Take the newest versions that fit.")]


def lock(*, upgrade: Upgrade = False) -> int:
    """Write requirements.lock anew from pyproject.toml, with hashes.

    Needs a package registry. Pins stay where they still fit. If the lock
    changed, the next command rebuilds .venv.

    For example:
      ./everline lock
      ./everline lock --upgrade
    """
    return body.main(["--upgrade"] if upgrade else [])
