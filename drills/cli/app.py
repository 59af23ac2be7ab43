"""The table of commands. A command's module is imported when it is called: help stays quick."""

from __future__ import annotations

import sys
from typing import NamedTuple

import cyclopts

from drills.cli.errors import CommandError, Exit
from drills.lab.errors import EnterError, LabError
from drills.setup.errors import SetupError

HELP = """\
Everline: a virtual call center over three sites that keeps answering
when one goes down.

Exit codes: 0 all held; 1 a test, a check or a claim did not hold;
2 wrong usage; 3 this machine cannot run it or could not be set up;
4 time was up before all was done (`bench all`, `prove --minutes`);
130 interrupted.

For example:
  ./everline demo
  ./everline doctor
  ./everline test --fast
  ./everline test --help
"""


class Command(NamedTuple):
    """One command: its name, the function that is it, and its line in the list."""

    name: str
    target: str
    line: str


COMMANDS = (
    Command("demo", "drills.cli.demo:demo", "Three sites, real calls, one site killed half-way."),
    Command("up", "drills.cli.up:up", "Bring three sites up, until Ctrl-C."),
    Command("call", "drills.cli.up:call", "Place a test call into sites that are up."),
    Command("status", "drills.cli.status:status", "Show how sites that are up are."),
    Command("agent", "drills.cli.agent:app", "List agents; ready, pause, end rests."),
    Command("callback", "drills.cli.callback:app", "List who is to be called back; cancel."),
    Command("calls", "drills.cli.calls:calls", "List the calls, running and over."),
    Command("explain", "drills.cli.calls:explain", "Say why a call got its agent, or gets none."),
    Command("report", "drills.cli.calls:report", "Report how callers were served, by queue."),
    Command("recordings", "drills.cli.recordings:app", "List, show, verify, reconcile them."),
    Command("audit", "drills.cli.audit:app", "Check the audit log, export it; make its keys."),
    Command("readiness", "drills.cli.readiness:readiness", "Say what would happen if a site died."),
    Command("state", "drills.cli.state:app", "Say how full etcd is; make room."),
    Command("ctl", "drills.cli.ctl:app", "Ask a control plane: queues, customers, plans, ..."),
    Command("replay", "drills.cli.replay:replay", "Run a recorded day again under other rules."),
    Command("bench", "drills.cli.bench:bench", "Measure what a call costs on this machine."),
    Command("load", "drills.cli.load:load", "Let callers, agents and managers load the sites."),
    Command("drill", "drills.cli.drill:app", "List, run and report drills: break a lab, measure."),
    Command("prove", "drills.cli.prove:prove", "Break sites at random; check the history."),
    Command("test", "drills.cli.suite:run", "Check and test everything, or some of it."),
    Command("doctor", "drills.cli.doctor:doctor", "Say what is missing, and what mends it."),
    Command("setup", "drills.cli.setup:setup", "Install what is missing, and stop there."),
    Command("completion", "drills.cli.completion:completion", "Let your shell complete all this."),
    Command("lock", "drills.cli.lock:lock", "Resolve the dependencies anew, with hashes."),
)


def build(called: str | None = "") -> cyclopts.App:
    """Return the application with every command registered and none imported.

    The line of the list would also stand in for the docstring as the help of the command itself;
    so the command that is `called` is registered without it. None: whichever may be.
    """
    app = cyclopts.App(
        name="./everline",
        help=HELP,
        help_format="plaintext",
        version=_version,
        default_parameter=cyclopts.Parameter(negative=(), show_default=False),
    )
    for place, command in enumerate(COMMANDS):
        line = None if called in {None, command.name} else command.line
        app.command(command.target, name=command.name, help=line, sort_key=place)
    app["--help"].group = app["--version"].group = "Options"
    return app


def main(argv: list[str]) -> int:
    """Run one command line and return its exit code; errors are one line on standard error."""
    try:
        result = build(argv[0] if argv else "")(
            argv, exit_on_error=False, result_action="return_value"
        )
    except cyclopts.CycloptsError:
        return Exit.USAGE  # cyclopts has said what is wrong
    except CommandError as error:
        return _fail(str(error), error.code)
    except LabError as error:
        return _fail(str(error), Exit.SETUP if isinstance(error, EnterError) else Exit.FAILED)
    except SetupError as error:
        return _fail(str(error), Exit.SETUP)
    except KeyboardInterrupt:
        return _fail("interrupted", Exit.INTERRUPTED)
    return result if isinstance(result, int) else Exit.OK


def _fail(text: str, code: Exit) -> Exit:
    sys.stderr.write(f"everline: {text}\n")
    return code


def _version() -> str:
    import tomllib  # noqa: PLC0415 - only for this
    from pathlib import Path  # noqa: PLC0415

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    return f"everline {project['project']['version']}"
