"""`./everline callback list`, `cancel`."""

from __future__ import annotations

from typing import Annotated

import cyclopts

from drills.cli.asking import Json, LabOption, ask_and_print
from drills.cli.errors import Exit
from drills.desk import call_tables
from drills.desk.asks import CallbacksAsk, CancelCallbackAsk
from drills.desk.call_answers import Callbacks

HELP = """\
List who is to be called back, or call somebody back no more.

A caller whom a queue has sent away to be called back, or who was cut off
and does not call again, is dialled when an agent is free, at the place
that they had, if the queue's call_back and the trunk's dial_out allow it
and a control plane has looked that they have not said no.

For example:
  ./everline callback list
  ./everline callback cancel f665358b
"""

app = cyclopts.App(name="callback", help=HELP, help_format="plaintext")
app["--help"].group = "Options"

Call = Annotated[str, cyclopts.Parameter(help="The lost call, as much of its id as is enough.")]


@app.command(name="list")
def show(*, json: Json = False, lab: LabOption = None) -> int:
    """List who is to be called back, in the order in which they came.

    For example:
      ./everline callback list
      ./everline callback list --json
    """
    ask_and_print(CallbacksAsk(), Callbacks, call_tables.callbacks, lab=lab, json=json)
    return Exit.OK


@app.command
def cancel(call: Call, /, *, json: Json = False, lab: LabOption = None) -> int:
    """Call somebody back no more. If they call by themselves, they have their place all the same.

    Exit code 1 if nobody is to be called back for that call, or they are being
    called at this moment.

    For example:
      ./everline callback cancel f665358b
    """
    ask_and_print(
        CancelCallbackAsk(call=call), Callbacks, call_tables.callbacks, lab=lab, json=json
    )
    return Exit.OK
