"""`./everline calls` and `./everline explain`."""

from __future__ import annotations

from typing import Annotated

import cyclopts

from drills.cli.asking import Json, LabOption, ask_and_print
from drills.cli.errors import Exit
from drills.desk import tables
from drills.desk.answers import Calls, Explained
from drills.desk.asks import CallsAsk, ExplainAsk

MOST = 10_000

Last = Annotated[
    int,
    cyclopts.Parameter(
        help="How many. Default 20.", validator=cyclopts.validators.Number(gte=1, lte=MOST)
    ),
]
Call = Annotated[
    str, cyclopts.Parameter(help="How the call's id begins. Default: the newest decided call.")
]


def calls(*, last: Last = 20, json: Json = False, lab: LabOption = None) -> int:
    """List the calls: those that run, then those that are over.

    The newest first, each with its id, of which the beginning will do
    for ./everline explain.

    For example:
      ./everline calls
      ./everline calls --last 5
      ./everline calls --json
    """
    ask_and_print(CallsAsk(last=last), Calls, tables.calls, lab=lab, json=json)
    return Exit.OK


def explain(call: Call = "", /, *, json: Json = False, lab: LabOption = None) -> int:
    """Say why a call got its agent, or gets none.

    Of a call that is over, the decision is made once more on the shared
    state as it stood then, which the edges keep in their event logs: every
    agent, with the score that outdid theirs or what kept them out. Where no
    log goes back so far, it says what the call's record keeps. For a call
    that runs, it is everybody's account as things are now.

    For example:
      ./everline explain
      ./everline explain 3f2a91
      ./everline explain 3f2a91 --json
    """
    ask_and_print(ExplainAsk(call=call), Explained, tables.explained, lab=lab, json=json)
    return Exit.OK
