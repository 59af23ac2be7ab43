"""`./everline drill`."""

from __future__ import annotations

import datetime as dt
import json as jsons
import sys
import time
from typing import Annotated

import cyclopts
import msgspec

from drills.cli.asking import print_json
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console
from drills.desk.tables import table
from drills.evidence import Evidence, TamperedError
from drills.experiment import Experiment, ExperimentError
from drills.lab.enter import enter
from drills.lab.errors import EnterError
from drills.library import experiment_of, experiments
from drills.page import lines, regressions
from drills.setup.say import note
from drills.shelf import PAGE, Shelf

app = cyclopts.App(
    name="drill",
    help="""List, run and report drills: break a lab on purpose, measure, keep evidence.

For example:
  ./everline drill list
  ./everline drill show site_killed
  ./everline drill run site_killed
  ./everline drill report
""",
    help_format="plaintext",
    default_parameter=cyclopts.Parameter(negative=(), show_default=False),
)

Name = Annotated[str, cyclopts.Parameter(help="A drill of the list, or an experiment's file.")]
Json = Annotated[bool, cyclopts.Parameter(help="Print JSON.")]
Seed = Annotated[int, cyclopts.Parameter(help="Another number, other callers. Default 1.")]


@app.command(name="list")
def list_() -> None:
    """List the reviewed drills, and how the last run of each went.

    For example:
      ./everline drill list
    """
    last = {each.experiment.name: each for each in _kept(Shelf())}
    rows = table("Drills", "drill", "what is broken", "last run", "")
    for name, experiment in _all().items():
        run = last.get(name)
        how = "" if run is None else "held" if run.held else "BROKEN"
        rows.add_row(name, experiment.title, "never" if run is None else run.run, how)
    console().print(rows)


@app.command
def show(name: Name, /, *, json: Json = False) -> None:
    """Show what a drill does: hypothesis, faults, limits, what is expected.

    For example:
      ./everline drill show site_killed
    """
    experiment = _one(name)
    if json:
        print_json(experiment, indent=2)
        return
    say = console().print
    say(f"{experiment.title}  ({experiment.name}, plan {experiment.plan_hash[:12]})", style="bold")
    say(experiment.hypothesis.strip() + "\n")
    before_s = experiment.load.before_s
    say(f"{experiment.load.calls} synthetic calls; the first fault {before_s:g} s in")
    for heading, told in (
        ("steady", [bound.told() for bound in experiment.steady]),
        ("faults", [f"at {fault.at_s:g} s: {fault.told()}" for fault in experiment.method]),
        ("stops at", [f"unless {bound.told()}" for bound in experiment.abort]),
        ("expected", [bound.told() for bound in experiment.expect]),
    ):
        for number, line in enumerate(told):
            say(f"{heading if number == 0 else '':10}{line}", highlight=False)


@app.command
def check(name: Name = "", /) -> int:
    """Check experiment files: all of the list, or one.

    For example:
      ./everline drill check
      ./everline drill check mine.toml
    """
    found = _all().values() if not name else [_one(name)]
    for experiment in found:
        note(f"{experiment.name}: sound, plan {experiment.plan_hash[:12]}")
    return Exit.OK


@app.command
def run(name: Name, /, *, seed: Seed = 1) -> int:
    """Carry a drill out in a lab of its own, with synthetic callers.

    Brings three sites up, lets callers in, waits for the steady state,
    breaks what the drill says, watches the limits, mends everything and
    takes all down again. The evidence is kept in .everline/drills.

    Exit code 0 only if every expectation held.

    For example:
      ./everline drill run site_killed
      ./everline drill run mine.toml --seed 7
    """
    status = run_once(_one(name), seed, Shelf())
    shelf = Shelf()
    runs = shelf.runs()
    if status in {Exit.OK, Exit.FAILED} and runs:
        _tell(shelf, runs[-1])
    return status


@app.command
def report(
    run: Annotated[str, cyclopts.Parameter(help="Which run. Default: the last.")] = "",
    /,
    *,
    json: Json = False,
    verify: Annotated[
        bool, cyclopts.Parameter(help="Check signatures, chain and files of all runs.")
    ] = False,
) -> int:
    """Report on a drill: what was expected, what was found.

    The page with charts, for managers and auditors, is report.html in the
    run's folder. Evidence that was changed is not shown: exit code 1.

    For example:
      ./everline drill report
      ./everline drill report --verify
      ./everline drill report --json
    """
    shelf = Shelf()
    runs = shelf.runs()
    if not runs:
        raise CommandError("no drill has been run here: ./everline drill list")
    chosen = run or runs[-1]
    if chosen not in runs:
        raise CommandError(f"there is no run {chosen!r}; the last are: {', '.join(runs[-5:])}")
    try:
        if verify:
            count = sum(1 for _ in shelf.read_all())
            note(f"{count} pieces of evidence are as they were written")
        if json:
            print_json(shelf.read(chosen), indent=2)
            return Exit.OK
        _tell(shelf, chosen)
    except TamperedError as error:
        raise CommandError(f"the evidence of {chosen} does not stand: {error}") from error
    return Exit.OK


def run_once(experiment: Experiment, seed: int, shelf: Shelf) -> int:
    """Carry a drill out; its evidence is the last on the shelf then."""
    began = dt.datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), dt.UTC)
    options = {
        "experiment": msgspec.to_builtins(experiment),
        "run": f"{began:%Y%m%d-%H%M%S}-{experiment.name}",
        "seed": seed,
        "home": str(shelf.home),
    }
    try:
        return enter("drills.drill", [jsons.dumps(options)])
    except EnterError as error:
        raise CommandError(str(error), Exit.SETUP) from error


def _tell(shelf: Shelf, chosen: str) -> None:
    evidence = shelf.read(chosen)
    before = [each for each in _kept(shelf, evidence.experiment.name) if each.run < chosen]
    say = console().print
    say(f"{evidence.experiment.title}: {evidence.run}", style="bold")
    say(f"{evidence.end}: {evidence.why}", highlight=False)
    for line in lines(evidence):
        say(line, style="red" if line.startswith("BROKEN") else "", highlight=False)
    for line in evidence.findings:
        say(f"finding: {line}", highlight=False)
    for line in regressions(evidence, before):
        say(f"worse than the last time: {line}", style="red", highlight=False)
    say(f"{shelf.folder(chosen) / PAGE}", style="dim", highlight=False, soft_wrap=True)


def _kept(shelf: Shelf, name: str = "") -> list[Evidence]:
    """Return the runs that can be believed, the oldest first."""
    found = []
    for each in shelf.runs():
        try:
            evidence = shelf.read(each)
        except (TamperedError, OSError):
            sys.stderr.write(f"everline: the evidence of {each} does not stand\n")
            continue
        if name in {"", evidence.experiment.name}:
            found.append(evidence)
    return found


def _one(name: str) -> Experiment:
    try:
        return experiment_of(name)
    except (ExperimentError, OSError) as error:
        raise CommandError(str(error), Exit.USAGE) from error


def _all() -> dict[str, Experiment]:
    try:
        return experiments()
    except ExperimentError as error:
        raise CommandError(str(error)) from error
