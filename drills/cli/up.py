"""`./everline up` and `./everline call`."""

from __future__ import annotations

from typing import Annotated

import cyclopts

from drills.cli.asking import LabOption, asking
from drills.cli.entering import run_sites
from drills.cli.errors import Exit
from drills.demo import calling
from drills.desk.asks import PlaceAsk
from drills.setup.say import note

Did = Annotated[str, cyclopts.Parameter(help="The number to dial, such as 15550100.")]
First = Annotated[str, cyclopts.Parameter(help="The site that the carrier tries first. Default a.")]
Database = Annotated[
    str,
    cyclopts.Parameter(help="URL of the API's database. Default: a file that goes with the lab."),
]
TalkS = Annotated[float, cyclopts.Parameter(help="How long to talk: up to 3600 s. Default 5.")]


def up(*, database: Database = "") -> int:
    """Bring three sites up with a call center in them, until Ctrl-C.

    The demo's queues and agents, idle and ready, and a control plane at
    every site. Prints the addresses, where the API's first password is,
    and what to type next. Ctrl-C takes everything down, and with it what
    the API has kept, unless --database names an empty PostgreSQL database
    that is reached by a Unix socket outside /run.

    For example:
      ./everline up
      ./everline call 15550100      (in another terminal)
      ./everline status --watch     (in yet another)
    """
    return run_sites("drills.demo.up", {"database": database})


def call(did: Did, /, *, first: First = "a", talk: TalkS = 5.0, lab: LabOption = None) -> int:
    """Place a test call into the sites that ./everline up has brought up.

    A caller behind the carrier dials the number, waits for an agent, talks
    and hangs up; each step is printed as it happens. Ctrl-C hangs up.
    Exit code 0 if an agent was heard.

    For example:
      ./everline call 15550100
      ./everline call 15550102 --first c --talk 20
    """
    with asking(lab) as line:
        try:
            heard = calling.place(line, PlaceAsk(did=did, first=first, talk_s=talk))
        except KeyboardInterrupt:
            note("hung up")
            return Exit.INTERRUPTED
    return Exit.OK if heard else Exit.FAILED
