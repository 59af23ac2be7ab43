"""How a command has its work done in namespaces of its own, and which files that can write."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from drills.cli.errors import CommandError, Exit
from drills.demo.scenario import SITES
from drills.desk import doors
from drills.lab.enter import covered_by, enter
from drills.lab.errors import EnterError


def run_inside(module: str, argv: Sequence[str], *, inherited: Collection[int] = ()) -> int:
    """Run `python -m module argv...` inside; return its exit status. CommandError: it cannot be."""
    try:
        return enter(module, argv, inherited=inherited)
    except EnterError as error:
        raise CommandError(str(error), Exit.SETUP) from error


def run_sites(module: str, options: Mapping[str, object]) -> int:
    """Do the same for one that brings sites up: with a door to each site's API, and our pid."""
    with doors.outside(SITES) as opened:
        told = {**options, "launcher": os.getpid(), "doors": opened}
        return run_inside(module, [json.dumps(told)], inherited=opened.values())


def absolute(file: Path | None) -> Path | None:
    """Return where figures are to be written; None: nowhere. CommandError: it has no folder."""
    file = None if file is None else file.absolute()
    if file is not None and not file.parent.is_dir():
        raise CommandError(f"no such folder for the figures: {file.parent}", Exit.USAGE)
    return file


def reachable(file: Path | None) -> str:
    """Return the absolute name of a file that can be written from inside; empty: there is none.

    CommandError: it has no folder, or none that is in reach from there.
    """
    file = absolute(file)
    if file is not None:
        see_that_it_is_in_reach(file)
    return str(file or "")


def see_that_it_is_in_reach(path: Path) -> None:
    """Refuse what a lab would write into a folder of its own, and lose. CommandError."""
    own = covered_by(path)
    if own is not None:
        text = f"{path} is out of reach in there; choose a place outside {own}"
        raise CommandError(text, Exit.USAGE)
