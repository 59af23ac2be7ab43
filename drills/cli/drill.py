"""`./everline drill`."""

from __future__ import annotations

import asyncio
import datetime as dt
import json as jsons
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
import msgspec

from drills.cli.asking import print_json
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console
from drills.course import FaultError
from drills.desk.tables import table
from drills.drill import live as live_drill
from drills.evidence import Evidence, TamperedError
from drills.experiment import Experiment, ExperimentError, aimed
from drills.guards import Facts, decide
from drills.lab.enter import enter
from drills.lab.errors import EnterError
from drills.lever import Lever
from drills.library import experiment_of, experiments
from drills.page import lines, page, regressions
from drills.setup.say import note
from drills.shelf import HOME, PAGE, Shelf, tamper
from drills.tally import Done, Tally, done, still_to_do, tally
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

MOST_MISSING = 3

Name = Annotated[str, cyclopts.Parameter(help="A drill of the list, or an experiment's file.")]
Json = Annotated[bool, cyclopts.Parameter(help="Print JSON.")]
Keep = Annotated[Path, cyclopts.Parameter(help="Where evidence is kept. Default .everline/drills.")]
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
    experiment = _one(name)
    if really and not live:
        raise CommandError(
            "--really is for --live: a lab of one's own is broken anyway", Exit.USAGE
        )
    if live:
        return _live(experiment, shelf, really=really)
    run = _run_name(experiment)
    status = run_once(experiment, run, seed, shelf)
    if run in shelf.runs():
        _tell(shelf, run)
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
        run = _run_name(experiment)
        evidence = live_drill.evidence_of(run, shelf.last_hash(), experiment, ground, course)
        before = [each for each in _kept(shelf, experiment.name) if each.run < run]
        shelf.put(evidence, {}, page(evidence, before))
    _tell(shelf, run)
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


@app.command(name="all")
def all_(
    names: Annotated[
        tuple[str, ...], cyclopts.Parameter(help="Only these drills. Default: all.")
    ] = (),
    /,
    *,
    json: Annotated[
        Path | None, cyclopts.Parameter(help="The file for the sums, and to go on from.")
    ] = None,
    repeats: Annotated[
        int | None, cyclopts.Parameter(help="How often each. Default: as each drill says.")
    ] = None,
    keep: Keep = HOME,
) -> int:
    """Carry all drills out, each as often as it says; sum up.

    Hours: each run takes about a minute. Interrupted, it goes on where it
    was when it is called with the same file again. All drills are run once
    before any is run a second time. At the end evidence is tampered with,
    byte by byte in copies, to see that each change is found.

    Exit code 0 only if every expectation held in every run.

    For example:
      ./everline drill all --json drills.json
      ./everline drill all site_killed site_frozen --repeats 3
    """
    wanted = [_one(name) for name in names] or list(_all().values())
    shelf = Shelf(keep.absolute())
    runs = _taken_up(json)
    missing = 0
    for experiment, seed in still_to_do(wanted, runs, repeats):
        run = _run_name(experiment)
        status = run_once(experiment, run, seed, shelf)
        if status not in {Exit.OK, Exit.FAILED}:
            return status
        if run not in shelf.runs():
            # A lab that does not come up is no reason to give up hours of others.
            missing += 1
            note(f"drill all: {experiment.name}, {seed}: no evidence; what it said is above")
            if missing >= MOST_MISSING:
                raise CommandError("no drill brings evidence any more; what they said is above")
            continue
        evidence = shelf.read(run)
        runs.append(done(evidence))
        note(f"drill all: {experiment.name}, {seed}: {'held' if evidence.held else 'BROKEN'}")
        _write(json, tally(runs, 0, 0))
    answer = tally(runs, *tamper(shelf, [each.run for each in runs]))
    _write(json, answer)
    _print_tally(answer)
    held = not missing and all(each.failed == 0 for each in answer.scenarios.values())
    return Exit.OK if held and answer.evidence.tamper_found else Exit.FAILED


def _taken_up(file: Path | None) -> list[Done]:
    if file is None or not file.exists():
        return []
    try:
        return list(msgspec.json.decode(file.read_bytes(), type=Tally).runs)
    except (OSError, msgspec.MsgspecError) as error:
        raise CommandError(f"{file} cannot be gone on from: {error}", Exit.USAGE) from error


def _write(file: Path | None, answer: Tally) -> None:
    if file is not None:
        part = file.with_suffix(".part")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(answer), indent=2) + b"\n")
        part.replace(file)


def _print_tally(answer: Tally) -> None:
    rows = table(
        "Drills", "drill", "runs", "failed", "recovery", "untrue agent", "ledger", "broken"
    )
    for name, each in answer.scenarios.items():
        rows.add_row(
            name,
            str(each.runs),
            str(each.failed),
            "-" if each.rto_s.max is None else f"{each.rto_s.max:.2f} s",
            "-" if each.untrue_agent_s.max is None else f"{each.untrue_agent_s.max:.1f} s",
            "exact" if each.ledger_exact else "NOT EXACT",
            "; ".join(f"{what} ({count})" for what, count in each.broken.items()),
            style="red" if each.failed else "",
        )
    console().print(rows)
    found = "all found" if answer.evidence.tamper_found else "NOT ALL FOUND"
    console().print(f"{answer.evidence.tampered} changed bytes: {found}")


@app.command
def report(
    run: Annotated[str, cyclopts.Parameter(help="Which run. Default: the last.")] = "",
    /,
    *,
    json: Json = False,
    verify: Annotated[
        bool, cyclopts.Parameter(help="Check signatures, chain and files of all runs.")
    ] = False,
    pdf: Annotated[
        Path | None, cyclopts.Parameter(help="Write the page to this file, by Chromium.")
    ] = None,
    keep: Keep = HOME,
) -> int:
    """Report on a drill: what was expected, what was found.

    The page with charts, for managers and auditors, is report.html in the
    run's folder. Evidence that was changed is not shown: exit code 1.

    For example:
      ./everline drill report
      ./everline drill report --verify
      ./everline drill report --json
      ./everline drill report --pdf drill.pdf
    """
    shelf = Shelf(keep)
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
        if pdf is not None:
            _print(shelf, chosen, pdf.absolute())
    except TamperedError as error:
        raise CommandError(f"the evidence of {chosen} does not stand: {error}") from error
    return Exit.OK


def _print(shelf: Shelf, chosen: str, file: Path) -> None:
    """Print the page of evidence that stands, made anew, to a PDF."""
    before = [
        each for each in _kept(shelf, shelf.read(chosen).experiment.name) if each.run < chosen
    ]
    with tempfile.TemporaryDirectory(prefix="everline-page-") as folder:
        source = Path(folder) / PAGE
        source.write_text(page(shelf.read(chosen), before))
        command = (
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-pdf-header-footer",
        )
        target = (f"--user-data-dir={folder}/profile", f"--print-to-pdf={file}", source.as_uri())
        try:
            subprocess.run((*command, *target), check=True, capture_output=True, timeout=60)
        except FileNotFoundError:
            raise CommandError("chromium is missing: ./everline setup", Exit.SETUP) from None
        except (subprocess.SubprocessError, OSError) as error:
            raise CommandError(f"chromium could not print the page: {error}") from error
    note(f"the page is in {file}")


def run_once(experiment: Experiment, run: str, seed: int, shelf: Shelf) -> int:
    """Carry a drill out; its evidence is on the shelf then, under the run's name."""
    options = {
        "experiment": msgspec.to_builtins(experiment),
        "run": run,
        "seed": seed,
        "home": str(shelf.home),
    }
    try:
        return enter("drills.drill", [jsons.dumps(options)])
    except EnterError as error:
        raise CommandError(str(error), Exit.SETUP) from error


def _run_name(experiment: Experiment) -> str:
    began = dt.datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), dt.UTC)
    return f"{began:%Y%m%d-%H%M%S}-{experiment.name}"


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
