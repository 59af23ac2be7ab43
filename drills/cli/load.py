"""`./everline load`: people on sites that are up, or on ones that it brings up for the purpose."""

from __future__ import annotations

import contextlib
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
import msgspec

from drills.cli.asking import LabOption, asking
from drills.cli.entering import reachable
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import Task, console, progress
from drills.desk.asks import LoadAsk
from drills.desk.client import Line, connected, labs
from drills.desk.errors import NoLabError
from drills.setup.say import note
from loadtests.load.plan import Request, ShapeName

if TYPE_CHECKING:
    from loadtests.load.report import Report

UP_WITHIN_S = 120.0
DOWN_WITHIN_S = 30.0
LOOK_EVERY_S = 0.2
QUIET_S = 300.0
"""A load says every few seconds that it lives. To leave is to stop it, and hours with it: so one on
a machine that hardly gets to it is waited for. A lab that goes down is noticed at once."""
SEEDS = 1_000_000
KILLED_WITH_US = ("setpriv", "--pdeathsig", "TERM")

Shape = Annotated[
    ShapeName,
    cyclopts.Parameter(
        help="steady, day, flash-crowd, site-lost, nine (all agents back at 9:00), leak or soak."
    ),
]
Minutes = Annotated[float, cyclopts.Parameter(help="How long, calls' ends not counted. Default 3.")]
Users = Annotated[int, cyclopts.Parameter(help="Callers at once, at the peak. Default 12.")]
Agents = Annotated[int, cyclopts.Parameter(help="Agents of the load's own. Default 6.")]
Workers = Annotated[int, cyclopts.Parameter(help="Processes that play people. Default 1.")]
Sipp = Annotated[float, cyclopts.Parameter(help="Calls a second of SIPp beside them. Default 0.")]
Seed = Annotated[
    int | None,
    cyclopts.Parameter(
        help="Behaviour, and faults. Default 1; of soak and site-lost: drawn, and told."
    ),
]
Json = Annotated[Path | None, cyclopts.Parameter(help="Write the report to this file, as JSON.")]
Html = Annotated[Path | None, cyclopts.Parameter(help="Write Locust's page with charts there.")]
Limits = Annotated[
    Path | None, cyclopts.Parameter(help="A file of limits. Default: the shape's own.")
]


def load(  # noqa: PLR0913 - each an option of its own
    shape: Shape,
    /,
    *,
    minutes: Minutes = 3.0,
    users: Users = 12,
    agents: Agents = 6,
    workers: Workers = 1,
    sipp: Sipp = 0.0,
    seed: Seed = None,
    json: Json = None,
    html: Html = None,
    limits: Limits = None,
    lab: LabOption = None,
) -> int:
    """Let people load the sites: callers, agents, a manager, an engineer.

    Callers and agents have real telephones, the others use API, event
    stream and this command line. Uses the sites that ./everline up has
    brought up, or brings some up and takes them down again. Adds agents,
    two queues and two numbers of its own over the API, and takes them away.
    The shapes site-lost and soak break what they load, also sites that were
    up: by no guard's and nobody's leave. A soak draws reviewed drills by its
    seed, a minute or so apart, and leaves the end quiet.

    Exit code 0 only if all limits of the shape held (loadtests/load/limits).
    A load that was cut short, by Locust or by Ctrl-C, does not hold; its
    reports are written of what there was, and say why.

    For example:
      ./everline load day --minutes 5 --html day.html
      ./everline load flash-crowd --users 30 --workers 2
      ./everline load site-lost --minutes 2 --json lost.json
      ./everline load steady --minutes 0.5 --sipp 10
      ./everline load soak --minutes 120 --json soak.json
      ./everline load soak --minutes 1 --seed 7
    """
    request = Request(
        shape=shape,
        seconds=60.0 * minutes,
        users=users,
        agents=agents,
        workers=workers,
        sipp_per_s=sipp,
        seed=_drawn(shape) if seed is None else seed,
    )
    wrong = request.wrong_because()
    if wrong is not None:
        raise CommandError(wrong, Exit.USAGE)
    ask = LoadAsk(
        request=msgspec.to_builtins(request),
        json=reachable(json),
        html=reachable(html),
        limits="" if limits is None else str(limits.absolute()),
    )
    with _somewhere(lab) as line:
        report = _follow(line, ask, request)
    from loadtests.load.report import shown  # noqa: PLC0415 - only now is a table to be drawn

    console().print(shown(report))
    if report.unwritten:
        raise CommandError(f"load: the report cannot be written: {report.unwritten}", Exit.FAILED)
    for file in filter(None, (json, html)):
        note(f"written: {file}")
    return Exit.OK if report.held else Exit.FAILED


def _drawn(shape: ShapeName) -> int:
    """Draw a seed for a load that breaks something: each time something else, and repeatable."""
    if shape not in {ShapeName.SOAK, ShapeName.SITE_LOST}:
        return 1
    seed = secrets.randbelow(SEEDS)
    note(f"seed {seed}: --seed {seed} does it again")
    return seed


def _follow(line: Line, ask: LoadAsk, request: Request) -> Report:
    from loadtests.load.report import Report  # noqa: PLC0415 - see above

    with progress(f"load {request.shape}", total=round(request.seconds)) as task:
        at_s = 0.0
        for text in line.follow(ask, timeout_s=QUIET_S):
            told = msgspec.json.decode(text)
            match told["event"]:
                case "alive":
                    pass
                case "progress":
                    at_s = _advance(task, told, at_s)
                case "step":
                    note(str(told["what"]))
                case "failed":
                    raise CommandError(f"load: {told['why']}")
                case "done":
                    return msgspec.convert(told["report"], Report)
                case other:
                    raise CommandError(f"the load says {other!r}: bring the sites up anew")
    raise CommandError("the load ended without a report: see log/load.log of the lab")


def _advance(task: Task, told: dict[str, float], at_s: float) -> float:
    counts = (f"{told[name]} {name}" for name in ("users", "calls", "rows", "failed"))
    what = ", ".join(counts)
    task.advance(what, by=round(told["at_s"] - at_s))
    return told["at_s"]


@contextlib.contextmanager
def _somewhere(lab: int | None) -> Iterator[Line]:
    """Connect to the lab that is up; or bring one up, for the time of the block."""
    with contextlib.ExitStack() as stack:
        try:
            line = stack.enter_context(asking(lab))
        except NoLabError:
            if lab is not None:
                raise
            line = stack.enter_context(_brought_up())
        yield line


@contextlib.contextmanager
def _brought_up() -> Iterator[Line]:
    """Bring sites up by the command that people use, and take them down again."""
    command = (*KILLED_WITH_US, sys.executable, "-m", "drills", "up")
    with progress("bringing three sites up"):
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            _await_desk(process)
        except BaseException:
            _take_down(process)
            raise
    try:
        with connected(process.pid) as line:
            yield line
    finally:
        _take_down(process)


def _await_desk(process: subprocess.Popen[bytes]) -> None:
    ends_s = time.monotonic() + UP_WITHIN_S
    while process.pid not in {lab.launcher for lab in labs()}:
        if process.poll() is not None:
            said = process.stderr.read().decode(errors="replace") if process.stderr else ""
            last = said.strip().splitlines()[-1:] or ["it ended without a word"]
            raise CommandError(f"no sites came up: {last[0]}", Exit.SETUP)
        if time.monotonic() > ends_s:
            raise CommandError(f"no sites came up within {UP_WITHIN_S:g} s", Exit.SETUP)
        time.sleep(LOOK_EVERY_S)


def _take_down(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(DOWN_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
