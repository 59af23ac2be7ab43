"""`./everline drill`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import cyclopts

from drills.cli.asking import print_json
from drills.cli.drill_all import all_, run_some
from drills.cli.drill_report import kept, print_beside, report, tell
from drills.cli.drill_words import Json, Keep, Name, Seed, every, one
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console
from drills.course import FaultError
from drills.desk.tables import table
from drills.drill import live as live_drill
from drills.experiment import Experiment, aimed
from drills.guards import Facts, decide
from drills.lever import Lever
from drills.page import page
from drills.setup.say import note
from drills.shelf import HOME, Shelf, run_name
from drills.tally import Due
from state.clock import SystemClock

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

app.command(all_, name="all")
app.command(report)


@app.command(name="list")
def list_() -> None:
    """List the reviewed drills, and how the last run of each went.

    For example:
      ./everline drill list
    """
    last = {each.experiment.name: each for each in kept(Shelf())}
    rows = table("Drills", "drill", "what is broken", "last run", "")
    for name, experiment in every().items():
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
    experiment = one(name)
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
    found = every().values() if not name else [one(name)]
    for experiment in found:
        note(f"{experiment.name}: sound, plan {experiment.plan_hash[:12]}")
    return Exit.OK


@app.command
def run(
    name: Name,
    /,
    *,
    seed: Seed = 1,
    live: Annotated[
        bool, cyclopts.Parameter(help="On the sites that ./everline up has brought up.")
    ] = False,
    really: Annotated[
        bool, cyclopts.Parameter(help="With --live: break them, and do not only say what would be.")
    ] = False,
    keep: Keep = HOME,
) -> int:
    """Carry a drill out in a lab of its own, with synthetic callers.

    Brings three sites up, lets callers in, waits for the steady state,
    breaks what the drill says, watches the limits, mends everything and
    takes all down again. The evidence is kept in .everline/drills.

    With --live the sites that are up are drilled: a dry run, which says
    what the guards decide and what would be broken, unless --really is
    given too. Then test calls, one a second, show what callers notice.

    Exit code 0 only if every expectation held, or the guards allow it.

    For example:
      ./everline drill run site_killed
      ./everline drill run mine.toml --seed 7
      ./everline drill run site_killed --live
      ./everline drill run site_killed --live --really
    """
    shelf = Shelf(keep.absolute())
    experiment = one(name)
    if really and not live:
        raise CommandError(
            "--really is for --live: a lab of one's own is broken anyway", Exit.USAGE
        )
    if live:
        return _live(experiment, shelf, really=really)
    status, found = run_some([Due(experiment=experiment, seed=seed)], shelf)
    for run in found:
        print_beside(shelf, run)
        tell(shelf, run)
    return status


def _live(experiment: Experiment, shelf: Shelf, *, really: bool) -> int:
    """Drill the sites that are up, or say what that would be."""
    hand = Lever(shelf.home)
    with hand.running() as is_alone:
        faults = live_drill.DeskFaults(None)
        ground = live_drill.LiveGround(None, hand, is_alone, SystemClock(), faults)
        try:
            if not really:
                return _dry_run(experiment, *asyncio.run(_asked(ground)))
            course = asyncio.run(
                live_drill.carry_out(experiment, ground, lambda text: note(f"drill: {text}"))
            )
        except FaultError as error:
            raise CommandError(str(error)) from error
        run = run_name(experiment.name)
        evidence = live_drill.evidence_of(run, shelf.last_hash(), experiment, ground, course)
        before = [each for each in kept(shelf, experiment.name) if each.run < run]
        shelf.put(evidence, {}, page(evidence, before))
    tell(shelf, run)
    return Exit.OK if evidence.held else Exit.FAILED


async def _asked(ground: live_drill.LiveGround) -> tuple[Facts, str | None]:
    return await ground.facts(), await ground.leader()


def _dry_run(experiment: Experiment, facts: Facts, leader: str | None) -> int:
    say = console().print
    if leader is None:
        raise CommandError("no member of etcd leads: nothing may be broken now")
    method = [aimed(fault, leader, tuple(map(str, facts.sites))) for fault in experiment.method]
    verdicts = decide(experiment, method, facts)
    say(f"Dry run of {experiment.name} (plan {experiment.plan_hash[:12]}): nothing is broken.")
    for fault in method:
        say(f"would do   at {fault.at_s:g} s: {fault.told()}", highlight=False)
    for verdict in verdicts:
        word = "allows it " if verdict.allows else "FORBIDS it"
        style = "" if verdict.allows else "red"
        say(f"{word} {verdict.guard}: {verdict.why}", style=style, highlight=False)
    allowed = all(verdict.allows for verdict in verdicts)
    say("To break them: the same with --really." if allowed else "It may not be run now.")
    return Exit.OK if allowed else Exit.FAILED


@app.command
def abort(*, keep: Keep = HOME) -> int:
    """Stop the drill that runs here: everything is mended, and evidence kept.

    Ctrl-C in the drill's own terminal does the same, without evidence.

    For example:
      ./everline drill abort
    """
    lever = Lever(keep)
    if not lever.is_running():
        note("no drill runs here")
        return Exit.FAILED
    lever.abort()
    note("the drill will stop within a second and mend everything")
    return Exit.OK


@app.command
def lever(
    do: Annotated[
        Literal["show", "pull", "release"], cyclopts.Parameter(help="What to do. Default show.")
    ] = "show",
    /,
    *,
    keep: Keep = HOME,
) -> int:
    """Pull the safety lever, which stops all drills and lets none begin.

    For example:
      ./everline drill lever pull
      ./everline drill lever release
    """
    hand = Lever(keep)
    if do == "pull":
        hand.pull()
    elif do == "release":
        hand.release()
    note("pulled: no drill may run" if hand.is_pulled else "released: drills may run")
    return Exit.OK
