"""What the commands of `./everline drill` share: parameters, and which drill is meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import cyclopts

from drills.cli.errors import CommandError, Exit
from drills.experiment import Experiment, ExperimentError
from drills.library import experiment_of, experiments

Name = Annotated[str, cyclopts.Parameter(help="A drill of the list, or an experiment's file.")]
Json = Annotated[bool, cyclopts.Parameter(help="Print JSON.")]
Keep = Annotated[Path, cyclopts.Parameter(help="Where evidence is kept. Default .everline/drills.")]
TheLab = Annotated[
    int | None,
    cyclopts.Parameter(
        name="--lab",
        help="Which sites that are up, by the number that status shows. Default: the only ones.",
    ),
]
SyntheticOnly = Annotated[
    bool,
    cyclopts.Parameter(
        help="With --live: spare real callers. Begins while none is on, stops when one comes."
    ),
]
Seed = Annotated[int, cyclopts.Parameter(help="Another number, other callers. Default 1.")]


def one(name: str) -> Experiment:
    """Return the drill of a name, or of a file. CommandError when there is none."""
    try:
        return experiment_of(name)
    except (ExperimentError, OSError) as error:
        raise CommandError(str(error), Exit.USAGE) from error


def every() -> dict[str, Experiment]:
    """Return the reviewed drills, by name. CommandError when one of the files is wrong."""
    try:
        return experiments()
    except ExperimentError as error:
        raise CommandError(str(error)) from error


@contextmanager
def on_disk(folder: Path) -> Iterator[None]:
    """Tell in a line what the disk of a folder refuses. CommandError."""
    try:
        yield
    except BrokenPipeError:
        raise  # of whoever reads what we print
    except OSError as error:
        raise CommandError(f"{error.filename or folder}: {error.strerror or error}") from error
