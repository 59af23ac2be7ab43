"""`./everline agent list`, `ready`, `pause`."""

from __future__ import annotations

from typing import Annotated

import cyclopts

from drills.cli.asking import Json, LabOption, ask_and_print
from drills.cli.errors import CommandError, Exit
from drills.desk import tables
from drills.desk.answers import Agents, Wished
from drills.desk.asks import AgentsAsk, WishAsk
from state.model import AgentId, Readiness

MOST_REASON = 80

HELP = """\
List the agents of sites that are up; let them be ready, or pause them.

What an agent wishes to be is written to the shared state; the edges of
the agent's home site take it up, if the agent's phone is registered there.

For example:
  ./everline agent list
  ./everline agent pause alba --reason lunch
  ./everline agent ready alba
"""

app = cyclopts.App(name="agent", help=HELP, help_format="plaintext")
app["--help"].group = "Options"

Id = Annotated[str, cyclopts.Parameter(help="Whom, as ./everline agent list names them.")]
Why = Annotated[str, cyclopts.Parameter(help="Why, in a few words, for whoever looks.")]


@app.command(name="list")
def show(*, json: Json = False, lab: LabOption = None) -> int:
    """List the agents: home site, phone, state, calls done, skills.

    For example:
      ./everline agent list
      ./everline agent list --json
    """
    ask_and_print(AgentsAsk(), Agents, tables.agents, lab=lab, json=json)
    return Exit.OK


@app.command
def ready(agent: Id, /, *others: Id, json: Json = False, lab: LabOption = None) -> int:
    """Let agents take calls.

    Waits until their home sites have taken it. Exit code 1 if something is
    still missing, such as a registered phone; it is said what.

    For example:
      ./everline agent ready alba
      ./everline agent ready alba bela carla
    """
    return _wish((agent, *others), Readiness.READY, "", json=json, lab=lab)


@app.command
def pause(
    agent: Id, /, *others: Id, reason: Why = "", json: Json = False, lab: LabOption = None
) -> int:
    """Let agents take no calls until they are ready again.

    A call that they have goes on; they are paused after it.
    Waits until their home sites have taken it. Exit code 1 if something is
    still missing, such as a registered phone; it is said what.

    For example:
      ./everline agent pause alba
      ./everline agent pause alba bela --reason lunch
    """
    if len(reason) > MOST_REASON:
        raise CommandError(f"a reason has at most {MOST_REASON} characters", Exit.USAGE)
    return _wish((agent, *others), Readiness.PAUSED, reason, json=json, lab=lab)


def _wish(
    ids: tuple[str, ...], readiness: Readiness, reason: str, *, json: bool, lab: int | None
) -> int:
    agents = tuple(AgentId(each) for each in ids)
    ask = WishAsk(agents=agents, readiness=readiness, reason=reason)
    answer = ask_and_print(ask, Wished, tables.wished, lab=lab, json=json)
    return Exit.FAILED if any(each.missing for each in answer.wishes) else Exit.OK
