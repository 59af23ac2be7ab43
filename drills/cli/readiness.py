"""`./everline readiness`."""

from __future__ import annotations

import contextlib
import time
from typing import Annotated

import cyclopts
from rich.console import Console
from rich.live import Live

from drills.cli.asking import Json, LabOption, asking, print_json
from drills.cli.errors import Exit
from drills.cli.progress import console
from drills.desk.answers import Readiness
from drills.desk.asks import ReadinessAsk
from drills.desk.client import Line
from drills.desk.readiness import shown
from drills.setup.say import is_live

EVERY_S = 3.0
QUIET_EVERY_S = 15.0

Watch = Annotated[
    bool,
    cyclopts.Parameter(
        help="Look again every 3 s, until Ctrl-C; where nobody watches, every 15 s."
    ),
]


def readiness(*, json: Json = False, watch: Watch = False, lab: LabOption = None) -> int:
    """Say what would happen if a site died now, for each site.

    From what came in the last ten minutes and who is there at this moment:
    the agents who would be left for each queue, the wait and the service
    level that Erlang's formula gives, and what the real matcher makes of
    imagined callers who come as often. The quorum is reckoned by etcd's
    members, each of which is asked. Exit code 1 is the alarm: there is a
    site whose loss could not be borne, or etcd is over 80 % of its quota;
    once that is full, each site serves alone.

    For example:
      ./everline readiness
      ./everline readiness --watch
      ./everline readiness --json
    """
    with asking(lab) as line, contextlib.suppress(KeyboardInterrupt):
        if not watch:
            answer = line.ask(ReadinessAsk(), Readiness)
            if json:
                print_json(answer, indent=2)
            else:
                console().print(shown(answer))
            return Exit.OK if answer.is_well else Exit.FAILED
        if json:
            _watch_json(line)
        elif is_live() and console().is_terminal:
            _watch_live(line)
        else:
            _watch_quietly(line)
    return Exit.OK


def _watch_json(line: Line) -> None:
    while True:
        print_json(line.ask(ReadinessAsk(), Readiness), indent=0)
        time.sleep(EVERY_S)


def _watch_quietly(line: Line) -> None:
    while True:
        console().print(shown(line.ask(ReadinessAsk(), Readiness)))
        time.sleep(QUIET_EVERY_S)


def _watch_live(line: Line) -> None:
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            live.update(shown(line.ask(ReadinessAsk(), Readiness)), refresh=True)
            time.sleep(EVERY_S)
