"""`./everline prove`."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import Annotated

import cyclopts

from drills.cli.errors import CommandError, Exit
from drills.lab.enter import enter
from drills.lab.errors import EnterError

Ops = Annotated[
    int,
    cyclopts.Parameter(
        help="How many operations at least. Default 10000.",
        validator=cyclopts.validators.Number(gte=0),
    ),
]
Seed = Annotated[int, cyclopts.Parameter(help="Other faults, other people. Default 1.")]
Json = Annotated[Path | None, cyclopts.Parameter(help="Write the figures to this file, as JSON.")]
Mutants = Annotated[
    bool,
    cyclopts.Parameter(help="Plant bugs afterwards (default), or not.", negative="--no-mutants"),
]


def prove(*, ops: Ops = 10_000, seed: Seed = 1, json: Json = None, mutants: Mutants = True) -> int:
    """Break three sites at random, record everything, check the history.

    Real etcd members, real edges, real gates; callers and agents are
    played. Edges and members are killed and frozen, sites cut off, watch
    events lost, clocks set wrong, disks slowed. The recorded history must
    show no agent in two calls, no call with two agents, no stale token
    let through, nobody overtaken, nothing stuck, one end for each call.

    Then bugs are planted, one after the other, to see the checker find
    each. The long run is --ops 100000, about a quarter of an hour; a
    violation names the seed that shows it again.

    Exit code 0 only if nothing was violated and every bug was caught.

    For example:
      ./everline prove
      ./everline prove --ops 100000 --seed 7 --json figures.json
      ./everline prove --ops 3000 --no-mutants
    """
    file = None if json is None else json.absolute()
    if file is not None and not file.parent.is_dir():
        raise CommandError(f"no such folder for the figures: {file.parent}", Exit.USAGE)
    if file is not None and file.is_relative_to("/run"):
        raise CommandError(f"{file} is out of the lab's sight; choose a file outside /run")
    options = {"operations": ops, "seed": seed, "json": str(file or ""), "mutants": mutants}
    try:
        return enter("drills.prove", [jsons.dumps(options)])
    except EnterError as error:
        raise CommandError(str(error), Exit.SETUP) from error
