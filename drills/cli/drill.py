"""`./everline drill`."""

from __future__ import annotations

from typing import Annotated, Literal

import cyclopts

from drills.cli.asking import print_json
from drills.cli.drill_all import all_
from drills.cli.drill_keys import checked_by, see_that_it_signs
from drills.cli.drill_labs import run_some
from drills.cli.drill_live import Which, approve, ask, check_live, run_live
from drills.cli.drill_report import last, print_beside, report, tell
from drills.cli.drill_schedule import app as schedule_app
from drills.cli.drill_words import (
    Json,
    Keep,
    Name,
    Seed,
    SyntheticOnly,
    TheLab,
    every,
    on_disk,
    one,
)
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console
from drills.desk.tables import table
from drills.due import Due
from drills.evidence import verdict
from drills.lever import Lever
from drills.setup.say import note
from drills.shelf import HOME, Shelf

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
app.command(ask)
app.command(approve)
app.command(schedule_app)


@app.command(name="list")
def list_() -> None:
    """List the reviewed drills, and how the last run of each went.

    For example:
      ./everline drill list
    """
    shelf = Shelf()
    if shelf.runs():
        checked_by(shelf)
    rows = table("Drills", "drill", "what is broken", "last run", "")
    for name, experiment in every().items():
        run = last(shelf, name)
        how = "" if run is None else verdict(run)
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
    if experiment.aborts_after_s:
        say(f"An operator aborts it {experiment.aborts_after_s:g} s after its first fault.")
    for heading, told in (
        ("steady", [bound.told() for bound in experiment.steady]),
        ("needed", [bound.told() for bound in experiment.ready]),
        ("faults", [f"at {fault.at_s:g} s: {fault.told()}" for fault in experiment.method]),
        ("stops at", [f"unless {bound.told()}" for bound in experiment.abort]),
        ("expected", [bound.told() for bound in experiment.expect]),
    ):
        for number, line in enumerate(told):
            say(f"{heading if number == 0 else '':10}{line}", highlight=False)


@app.command
def check(
    name: Name = "",
    /,
    *,
    live: Annotated[
        bool, cyclopts.Parameter(help="Ask every guard whether it may be run on the sites now.")
    ] = False,
    synthetic_only: SyntheticOnly = False,
    lab: TheLab = None,
    keep: Keep = HOME,
) -> int:
    """Check experiment files: all of the list, or one. With --live, ask the guards.

    For example:
      ./everline drill check
      ./everline drill check mine.toml
      ./everline drill check site_killed --live
    """
    if live and not name:
        raise CommandError("say which drill: ./everline drill check NAME --live", Exit.USAGE)
    if live:
        which = Which(lab=lab, is_synthetic_only=synthetic_only)
        return check_live(one(name), Shelf(keep.absolute()), which)
    _check_not_live(lab, synthetic_only=synthetic_only)
    found = every().values() if not name else [one(name)]
    for experiment in found:
        note(f"{experiment.name}: sound, plan {experiment.plan_hash[:12]}")
    return Exit.OK


@app.command
def run(  # noqa: PLR0913 - the options of one command
    name: Name,
    /,
    *,
    seed: Seed | None = None,
    live: Annotated[
        bool, cyclopts.Parameter(help="On the sites that ./everline up has brought up.")
    ] = False,
    really: Annotated[
        bool, cyclopts.Parameter(help="With --live: break them, and do not only say what would be.")
    ] = False,
    approval: Annotated[
        str, cyclopts.Parameter(help="With --really: which approved request. Default: the newest.")
    ] = "",
    synthetic_only: SyntheticOnly = False,
    lab: TheLab = None,
    keep: Keep = HOME,
) -> int:
    """Carry a drill out in a lab of its own, with synthetic callers.

    Brings three sites up, lets callers in, waits for the steady state,
    breaks what the drill says, watches the limits, mends everything and
    takes all down again. The evidence is kept in .everline/drills.

    With --live the sites that are up are drilled: a dry run, which says
    what the guards decide and what would be broken, unless --really is
    given too. Then test calls, one a second, show what callers notice. It
    takes two people: drill ask, and drill approve by somebody else. Drills
    that only a lab can show are refused.

    The last line is the hash of the new piece of evidence: kept elsewhere,
    it shows that nothing was taken away (drill report --last-hash HASH).

    Exit code 0 only if every expectation held, or the guards allow it. With
    --live, of those that test calls can show: the report says "held in part"
    and names the others.

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
    if approval and not really:
        raise CommandError(
            "--approval is for --live --really: nothing else uses an approval up", Exit.USAGE
        )
    if live and seed is not None:
        raise CommandError(
            "--seed is for a lab of one's own: on sites that are up real people call", Exit.USAGE
        )
    if really or not live:
        see_that_it_signs(shelf)
    if live:
        which = Which(lab=lab, is_synthetic_only=synthetic_only)
        return run_live(experiment, shelf, really=really, approval=approval, which=which)
    _check_not_live(lab, synthetic_only=synthetic_only)
    status, found = run_some([Due(experiment=experiment, seed=1 if seed is None else seed)], shelf)
    for run in found:
        print_beside(shelf, run)
        tell(shelf, run)
    return status


def _check_not_live(lab: int | None, *, synthetic_only: bool) -> None:
    if synthetic_only:
        raise CommandError("--synthetic-only is for --live: a lab has no other callers", Exit.USAGE)
    if lab is not None:
        raise CommandError("--lab is for --live: what is not drilled live has its own", Exit.USAGE)


@app.command
def abort(*, keep: Keep = HOME) -> int:
    """Stop the drill that runs here: everything is mended, and evidence kept.

    Of a series (drill all) the next one begins then; the lever stops all.
    Ctrl-C in the drill's own terminal does the same, with no evidence but
    that it was begun. A drill on sites that are up is stopped without --keep, wherever its
    evidence goes.

    For example:
      ./everline drill abort
    """
    with on_disk(keep):
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

    With --keep: those that keep their evidence there. Drills on sites that
    are up, wherever they keep it, are stopped by the lever without --keep.

    For example:
      ./everline drill lever pull
      ./everline drill lever release
    """
    with on_disk(keep):
        hand = Lever(keep)
        if do == "pull":
            hand.pull()
        elif do == "release":
            hand.release()
    note("pulled: no drill may run" if hand.is_pulled else "released: drills may run")
    return Exit.OK
