"""`./everline state show`, `mend`."""

from __future__ import annotations

import cyclopts

from drills.cli.asking import Json, LabOption, asking, print_json
from drills.cli.errors import Exit
from drills.cli.progress import console
from drills.desk.asks import RoomAsk
from drills.desk.rooms import Rooms, shown

HELP = """\
Say how much room the shared state has, or make some.

etcd takes no more writes once its database has come to its quota. Then
every site serves alone, with its own agents, until there is room.

For example:
  ./everline state show
  ./everline state mend
"""
MEND_S = 600.0

app = cyclopts.App(name="state", help=HELP, help_format="plaintext")
app["--help"].group = "Options"


@app.command
def show(*, json: Json = False, lab: LabOption = None) -> int:
    """Say how full each member of etcd is.

    Exit code 1 if a member is silent, or over 80 % of its quota.

    For example:
      ./everline state show
      ./everline state show --json
    """
    return _ask(RoomAsk(), json=json, lab=lab)


@app.command
def mend(*, json: Json = False, lab: LabOption = None) -> int:
    """Make room: compact, defragment the members one by one, end the alarm.

    Who leads comes last, and hands that over first. A member answers nobody
    while it is defragmented, some seconds for each GB or more: the others
    go on. Where one is silent nothing is done, unless nothing can be written
    anyway.

    For example:
      ./everline state mend
    """
    return _ask(RoomAsk(is_to_make=True), json=json, lab=lab)


def _ask(ask: RoomAsk, *, json: bool, lab: int | None) -> int:
    with asking(lab) as line:
        answer = line.ask(ask, Rooms, timeout_s=MEND_S if ask.is_to_make else 15.0)
    if json:
        print_json(answer, indent=2)
    else:
        console().print(shown(answer))
    return Exit.OK if answer.is_well else Exit.FAILED
