"""`./everline status`."""

from __future__ import annotations

import contextlib
import time
from typing import Annotated

import cyclopts
from rich.console import Console
from rich.live import Live

from drills.cli.asking import Json, LabOption, ask_and_print, asking, print_json
from drills.cli.errors import Exit
from drills.cli.progress import console
from drills.desk import status_tables
from drills.desk.answers import Status
from drills.desk.asks import StatusAsk
from drills.desk.client import Line
from drills.setup.say import is_live

EVERY_S = 1.0
QUIET_EVERY_S = 5.0

Watch = Annotated[bool, cyclopts.Parameter(help="Look again every second, until Ctrl-C.")]


def status(*, json: Json = False, watch: Watch = False, lab: LabOption = None) -> int:
    """Show how sites that are up are: edges, etcd, queues, agents.

    Also says which records of the shared state cannot be read, by name.
    With --watch a table that keeps current; where nobody watches, a table
    every five seconds; with --json a line every second.

    For example:
      ./everline status
      ./everline status --watch
      ./everline status --json
    """
    if not watch:
        ask_and_print(StatusAsk(), Status, status_tables.status, lab=lab, json=json)
        return Exit.OK
    with asking(lab) as line, contextlib.suppress(KeyboardInterrupt):
        if json:
            _watch_json(line)
        elif is_live() and console().is_terminal:
            _watch_live(line)
        else:
            _watch_quietly(line)
    return Exit.OK


def _watch_live(line: Line) -> None:
    screen = Console(highlight=False)
    with Live(console=screen, auto_refresh=False, screen=True) as live:
        while True:
            answer = line.ask(StatusAsk(), Status)
            live.update(status_tables.wallboard(answer, rows=screen.height), refresh=True)
            time.sleep(EVERY_S)


def _watch_quietly(line: Line) -> None:
    while True:
        console().print(status_tables.status(line.ask(StatusAsk(), Status)))
        time.sleep(QUIET_EVERY_S)


def _watch_json(line: Line) -> None:
    while True:
        print_json(line.ask(StatusAsk(), Status), indent=0)
        time.sleep(EVERY_S)
