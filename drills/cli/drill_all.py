"""`./everline drill all`."""

from __future__ import annotations

import json as jsons
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import cyclopts
import msgspec

from drills.cli.drill_words import Keep, every, one
from drills.cli.errors import CommandError, Exit
from drills.cli.progress import console
from drills.desk.tables import table
from drills.lab.enter import enter
from drills.lab.errors import EnterError
from drills.setup.say import note
from drills.shelf import HOME, Shelf, tamper
from drills.tally import Done, Due, Tally, done, in_one_lab, still_to_do, tally

MOST_MISSING = 3


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
    minutes: Annotated[
        float | None, cyclopts.Parameter(help="Begin no drill later. Default: until all are done.")
    ] = None,
    keep: Keep = HOME,
) -> int:
    """Carry all drills out, each as often as it says; sum up.

    Hours: a run takes the better part of a minute. Interrupted, it goes on
    where it was when it is called with the same file again. All drills are
    run once before any is run a second time, several in one lab where that
    is as it was after each. At the end evidence is tampered with, byte by
    byte in copies, to see that each change is found.

    Exit code 0 only if every expectation held in every run.

    For example:
      ./everline drill all --json drills.json
      ./everline drill all --json drills.json --minutes 5
      ./everline drill all site_killed site_frozen --repeats 3
    """
    wanted = [one(name) for name in names] or list(every().values())
    shelf = Shelf(keep.absolute())
    runs = _taken_up(json)
    clock = time.monotonic
    ends_s = None if minutes is None else clock() + minutes * 60
    missing = 0
    while due := list(still_to_do(wanted, runs, repeats)):
        left_s = None if ends_s is None else ends_s - clock()
        if left_s is not None and left_s <= 0:
            note(f"drill all: {len(due)} runs are left; the same command goes on with them")
            break
        status, found = run_some(in_one_lab(due), shelf, left_s)
        for run in found:
            evidence = shelf.read(run)
            runs.append(done(evidence))
            held = "held" if evidence.held else "BROKEN"
            note(f"drill all: {evidence.experiment.name}, {evidence.seed}: {held}")
        _write(json, tally(runs, 0, 0))
        if status not in {Exit.OK, Exit.FAILED}:
            return status
        if not found:
            # A lab that does not come up is no reason to give up hours of others.
            missing += 1
            note(f"drill all: {due[0].experiment.name}: no evidence; what it said is above")
            if missing >= MOST_MISSING:
                raise CommandError("no drill brings evidence any more; what they said is above")
    answer = tally(runs, *tamper(shelf, [each.run for each in runs]))
    _write(json, answer)
    _print_tally(answer)
    held_all = not missing and all(each.failed == 0 for each in answer.scenarios.values())
    return Exit.OK if held_all and answer.evidence.tamper_found else Exit.FAILED


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


def run_some(
    due: Sequence[Due], shelf: Shelf, begin_within_s: float | None = None
) -> tuple[int, list[str]]:
    """Carry drills out in one lab; return the exit status and the runs that are on the shelf.

    None is begun later than `begin_within_s`, nor in a lab that is not as it was.
    """
    options = {
        "due": msgspec.to_builtins(due),
        "home": str(shelf.home),
        "begin_within_s": begin_within_s,
    }
    before = set(shelf.runs())
    try:
        status = enter("drills.drill", [jsons.dumps(options)])
    except EnterError as error:
        raise CommandError(str(error), Exit.SETUP) from error
    return status, [run for run in shelf.runs() if run not in before]
