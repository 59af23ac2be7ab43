"""The end of `./everline drill all`: a table of drills, and what has to be known beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from drills import endless
from drills.cli.progress import console
from drills.desk.tables import table
from drills.desk.words import lasting
from drills.tally import Most, Tally


def print_tally(answer: Tally, in_vain: Sequence[str], done_since: Sequence[str]) -> None:
    """Print the sums of each drill, what the evidence is worth, and what is left."""
    rows = table(
        "Drills", "drill", "runs", "failed", "recovery", "untrue agent", "ledger", "broken"
    )
    for name, each in answer.scenarios.items():
        rows.add_row(
            name,
            str(each.runs),
            str(each.failed),
            _seconds(each.rto_s, 2),
            _seconds(each.untrue_agent_s, 1),
            "-" if not each.runs else "exact" if each.ledger_exact else "NOT EXACT",
            "; ".join(f"{what} ({count})" for what, count in each.broken.items()),
            style="red" if each.failed else "",
        )
    say = console().print
    say(rows)
    found = "all found" if answer.evidence.tamper_found else "NOT ALL FOUND"
    say(f"{answer.evidence.tampered} changed bytes: {found}")
    if fallen := answer.evidence.fallen:
        say(f"Evidence that does not stand, of {len(fallen)} of these runs:", style="red")
        for run, why in fallen.items():
            say(f"  {run}: {why}", highlight=False, markup=False)
    error = answer.evidence.rto_error_ms.max
    told = "not known everywhere" if error is None else f"at most {error:.1f} ms from the capture's"
    if error == math.inf:
        told = "one of telephones and capture knows of no recovery"
    say(f"Recovery times: {told}")
    total = answer.total
    _print_listed(
        "Not begun, or stopped or interrupted, which is no failure, and due again:", in_vain
    )
    _print_listed(
        "Stopped or interrupted, and done again since, which the figures above do not show:",
        done_since,
    )
    worse = [each.run for each in answer.runs if each.worse]
    if worse:
        say(
            f"Worse than comparable runs before them, which alone is no failure: {', '.join(worse)}"
            " (./everline drill report RUN)",
            style="yellow",
        )
    if len(total.codes) > 1:
        told = ", ".join(f"{count} of {code}" for code, count in total.codes.items())
        say(f"Made with {len(total.codes)} versions of the code: {told}", style="yellow")
    say(
        f"{total.done} of {total.due} runs done, {total.held} held, {total.done - total.held}"
        f" broken, {total.due - total.done} left; {lasting(total.took_s)}, labs included"
        + (f"; {total.labs_lost} labs did not come up" if total.labs_lost else ""),
        style="" if total.held == total.due else "red",
    )


def _seconds(most: Most, places: int) -> str:
    if most.max is None:
        return "-"
    return f"{most.max:.{places}f} s" if math.isfinite(most.max) else endless.WORDS


def _print_listed(heading: str, lines: Sequence[str]) -> None:
    if lines:
        for told in (heading, *(f"  {each}" for each in lines)):
            console().print(told)
