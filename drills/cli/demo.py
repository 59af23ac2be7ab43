"""`./everline demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cyclopts

from drills.cli.entering import reachable, run_sites
from drills.demo.scenario import FEWEST_CALLS

MOST = 1000

Calls = Annotated[
    int,
    cyclopts.Parameter(
        help="How many callers. Default 72.",
        validator=cyclopts.validators.Number(gte=FEWEST_CALLS, lte=MOST),
    ),
]
Seed = Annotated[
    int, cyclopts.Parameter(help="Another number, another day at the call center. Default 1.")
]
Json = Annotated[Path | None, cyclopts.Parameter(help="Write the figures to this file, as JSON.")]
Keep = Annotated[
    bool, cyclopts.Parameter(help="Leave the sites up afterwards, until Ctrl-C; keep the logs.")
]


def demo(*, calls: Calls = 72, seed: Seed = 1, json: Json = None, keep: Keep = False) -> int:
    """Bring three sites up, let callers in, kill a site half-way, count.

    Real calls with real audio, queued and routed by skill to agents at
    three sites. Half-way, the site that holds the etcd leader is killed.
    Then tables say what became of every call, and whether each claim
    held. Takes about a minute and a half; leaves nothing running.

    Exit code 0 only if every claim held. If one did not, the logs and
    figures are kept in .everline/demo.

    For example:
      ./everline demo
      ./everline demo --calls 120 --seed 7
      ./everline demo --json figures.json
    """
    options = {"calls": calls, "seed": seed, "json": reachable(json), "keep": keep}
    return run_sites("drills.demo", options)
