"""`./everline prove`."""

from __future__ import annotations

import json as jsons
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import cyclopts

from drills.cli.entering import absolute, reachable, run_inside
from drills.cli.errors import CommandError, Exit
from drills.demo.scenario import FEWEST_CALLS
from drills.prove.history import FaultKind
from drills.prove.mutants import MUTANTS
from drills.setup.pyenv import ROOT

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
Mutant = Annotated[
    tuple[str, ...],
    cyclopts.Parameter(
        name="--mutant",
        help="Plant only this bug; give it once for each. Default: all.",
        negative="",
    ),
]
Minutes = Annotated[
    float | None,
    cyclopts.Parameter(
        help="Begin nothing that would end later; go on another time with --resume. Default: all.",
        validator=cyclopts.validators.Number(gt=0),
    ),
]
Resume = Annotated[
    bool,
    cyclopts.Parameter(
        help="Go on where the run that wrote the file of --json was broken off.", negative=""
    ),
]

Calls = Annotated[
    int,
    cyclopts.Parameter(
        help="recordings: how many calls. Default 60.",
        validator=cyclopts.validators.Number(gte=FEWEST_CALLS, lte=2000),
    ),
]
Faults = Annotated[
    tuple[FaultKind, ...],
    cyclopts.Parameter(
        name="--fault",
        help="Only these faults; give it once for each. Default: all.",
        negative="",
    ),
]
What = Annotated[
    Literal["history", "policies", "recordings"],
    cyclopts.Parameter(help="What to prove. Default history."),
]


def prove(  # noqa: PLR0913 - the options of one command
    what: What = "history",
    /,
    *,
    ops: Ops = 10_000,
    seed: Seed = 1,
    json: Json = None,
    mutants: Mutants = True,
    mutant: Mutant = (),
    minutes: Minutes = None,
    resume: Resume = False,
    fault: Faults = (),
    calls: Calls = 60,
) -> int:
    """Break three sites at random, record everything, check the history.

    Real etcd members, real edges, real gates; callers and agents are
    played. Edges and members are killed and frozen, sites cut off, watch
    events lost, clocks set wrong, disks slowed. The recorded history must
    show no agent in two calls, no call with two agents, no stale token
    let through, nobody overtaken, nobody given who cannot do what is
    asked for, nothing stuck, one end for each call.

    Then bugs are planted, one after the other, to see the checker find
    each. The long run is --ops 100000, about half an hour on two cores;
    --minutes and --resume make it in pieces, with one file of figures. A
    violation names the seed that shows it again.

    Exit code 0 only if nothing was violated and every bug was caught; 4 if
    so far all is well and --minutes were up before all was done.

    `policies` decides every case of policies/cases.yaml, asks a control
    plane for it wherever an endpoint exists, breaks each line and condition
    of the policy in turn, and tells what no case noticed, and which cases
    are decided in the enforcer only and why.

    `recordings` lets callers in while recorders, edges, relays and control
    planes are killed and stores taken away at random; then every recording
    of an answered call has to open and be heard, or say what is missing, or
    its recorder must have been seen away; no file may hold a sound in the
    clear; copies are changed in every way, and each change has to be found;
    some callers are erased, and nothing of them may open, at no site and
    from no older backup; at last a site is destroyed with its keys, and what it had
    counted as copied has to be heard elsewhere.
    --calls, default 60.

    For example:
      ./everline prove
      ./everline prove --ops 100000 --seed 7 --json figures.json
      ./everline prove --ops 3000 --no-mutants
      ./everline prove --ops 100000 --json figures.json --minutes 6 --resume
      ./everline prove --ops 3000 --no-mutants --fault cut_off --fault kill_edge
      ./everline prove --ops 0 --mutant old_token --mutant no_floor
      ./everline prove policies --json figures.json
      ./everline prove recordings --calls 200 --json figures.json
    """
    if what == "policies":
        return _policies(absolute(json))
    file = reachable(json)
    if what == "recordings":
        options: dict[str, object] = {"calls": calls, "seed": seed, "json": file}
        return run_inside("drills.prove.recordings", [jsons.dumps(options)])
    if resume and not file:
        raise CommandError("--resume goes on with the file of --json: name it", Exit.USAGE)
    options = {
        "operations": ops,
        "seed": seed,
        "json": file,
        "mutants": _planted(mutant) if mutants else [],
        "minutes": minutes,
        "resume": resume,
        "faults": list(fault),
    }
    return run_inside("drills.prove", [jsons.dumps(options)])


def _policies(file: Path | None) -> int:
    words = [] if file is None else ["--json", str(file)]
    program = [sys.executable, "tests/policies/prove.py", *words]
    return subprocess.run(program, cwd=ROOT, check=False).returncode


def _planted(asked: tuple[str, ...]) -> list[str]:
    names = [mutant.name for mutant in MUTANTS]
    for name in asked:
        if name not in names:
            raise CommandError(f"no bug {name}; there are {', '.join(names)}", Exit.USAGE)
    return [name for name in names if not asked or name in asked]
