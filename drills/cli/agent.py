"""`./everline agent list`, `ready`, `pause`, `wrap-up`, `code`."""

from __future__ import annotations

from typing import Annotated

import cyclopts
from rich.text import Text

from drills.cli.asking import Json, LabOption, ask_and_print
from drills.cli.errors import CommandError, Exit
from drills.desk import agent_tables
from drills.desk.answers import Agents, Wished, WrapUp
from drills.desk.asks import AgentsAsk, CodeAsk, WishAsk, WrapUpAsk
from drills.desk.call_answers import Coded
from edge.acd.attendance import RestChange
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


By = Annotated[str, cyclopts.Parameter(help="Who wants it, when it is not the agent.")]
Code = Annotated[str, cyclopts.Parameter(help="What it was about.")]
CallId_ = Annotated[str, cyclopts.Parameter(help="Which call. Default: the agent's last one.")]
Do = Annotated[RestChange, cyclopts.Parameter(help="What is to be done.")]
ByS = Annotated[
    float,
    cyclopts.Parameter(
        help="By how many seconds to extend. Default 30.",
        validator=cyclopts.validators.Number(gt=0, lte=3600),
    ),
]


@app.command(name="list")
def show(*, json: Json = False, lab: LabOption = None) -> int:
    """List the agents: home site, phone, state, calls done, skills.

    For example:
      ./everline agent list
      ./everline agent list --json
    """
    ask_and_print(AgentsAsk(), Agents, agent_tables.agents, lab=lab, json=json)
    return Exit.OK


@app.command
def ready(agent: Id, /, *others: Id, by: By = "", json: Json = False, lab: LabOption = None) -> int:
    """Let agents take calls.

    Waits until their home sites have taken it. Exit code 1 if something is
    still missing, such as a registered phone; it is said what.

    For example:
      ./everline agent ready alba
      ./everline agent ready alba bela carla
    """
    return _wish((agent, *others), Readiness.READY, "", by=by, json=json, lab=lab)


@app.command
def pause(
    agent: Id,
    /,
    *others: Id,
    reason: Why = "",
    by: By = "",
    json: Json = False,
    lab: LabOption = None,
) -> int:
    """Let agents take no calls until they are ready again.

    A call that they have goes on; they are paused after it.
    Waits until their home sites have taken it. Exit code 1 if something is
    still missing, such as a registered phone; it is said what.

    For example:
      ./everline agent pause alba
      ./everline agent pause alba bela --reason lunch
      ./everline agent pause alba --reason training --by supervisor-ruth
    """
    if len(reason) > MOST_REASON:
        raise CommandError(f"a reason has at most {MOST_REASON} characters", Exit.USAGE)
    return _wish((agent, *others), Readiness.PAUSED, reason, by=by, json=json, lab=lab)


@app.command(name="wrap-up")
def wrap_up(
    agent: Id, do: Do, /, *, s: ByS = 30.0, json: Json = False, lab: LabOption = None
) -> int:
    """End the rest that an agent has after a call, or prolong it.

    Their home edge does it. Exit code 1 if they do not rest.

    For example:
      ./everline agent wrap-up alba finish
      ./everline agent wrap-up alba extend --s 60
    """
    by_s = s if do is RestChange.EXTEND else 0.0
    ask = WrapUpAsk(agent=AgentId(agent), do=do, by_s=by_s)
    ask_and_print(ask, WrapUp, _rest, lab=lab, json=json)
    return Exit.OK


@app.command
def code(  # noqa: PLR0913  the parts of a word
    agent: Id,
    what: Code,
    /,
    *,
    call: CallId_ = "",
    by: By = "",
    json: Json = False,
    lab: LabOption = None,
) -> int:
    """Say what a call was about: one of the configured wrap-up codes.

    It stands beside the call's record; the last word counts. Exit code 1 if
    it is no such code, or the agent did not talk in that call.

    For example:
      ./everline agent code alba complaint
      ./everline agent code alba complaint --call f665358b
    """
    ask = CodeAsk(agent=AgentId(agent), code=what, call=call, by=by)
    ask_and_print(ask, Coded, _coded, lab=lab, json=json)
    return Exit.OK


def _coded(answer: Coded) -> Text:
    return Text(f"call {answer.call} of {answer.agent}: {answer.code}")


def _rest(answer: WrapUp) -> Text:
    return Text(f"{answer.agent} rests for {answer.left_s:.1f} s more")


def _wish(  # noqa: PLR0913  the parts of a wish
    ids: tuple[str, ...],
    readiness: Readiness,
    reason: str,
    *,
    by: str = "",
    json: bool,
    lab: int | None,
) -> int:
    if len(by) > MOST_REASON:
        raise CommandError(f"who wants it has at most {MOST_REASON} characters", Exit.USAGE)
    agents = tuple(AgentId(each) for each in ids)
    ask = WishAsk(agents=agents, readiness=readiness, reason=reason, by=by)
    answer = ask_and_print(ask, Wished, agent_tables.wished, lab=lab, json=json)
    return Exit.FAILED if any(each.missing for each in answer.wishes) else Exit.OK
