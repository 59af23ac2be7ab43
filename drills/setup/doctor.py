"""`./everline doctor`: the findings as a table or as JSON. Works before anything is installed."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from drills.setup import say
from drills.setup.checks import Finding, State, findings

if TYPE_CHECKING:
    from collections.abc import Iterable

COLOURS = {State.OK: "32", State.NOTE: "33", State.MISSING: "31;1"}


def report(*, as_json: bool = False) -> int:
    """Print what was found; return 1 if something needed is missing, else 0."""
    found = list(findings())
    lacking = [finding for finding in found if finding.state is State.MISSING]
    if as_json:
        rows = [finding._asdict() for finding in found]
        sys.stdout.write(json.dumps({"ready": not lacking, "findings": rows}, indent=2) + "\n")
    else:
        sys.stdout.write(table(found, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
        sys.stdout.write(_verdict(lacking))
    return 1 if lacking else 0


def table(found: Iterable[Finding], *, colour: bool = False) -> str:
    """Lay the findings out, one a row; what mends a thing stands under it."""
    rows = list(found)
    width = max(len(row.name) for row in rows)
    lines = []
    for row in rows:
        state = f"{row.state.value:<7}"
        if colour:
            state = f"\033[{COLOURS[row.state]}m{state}\033[0m"
        lines.append(f"{row.name:<{width}}  {state}  {row.found}")
        if row.mend and row.state is not State.OK:
            lines.append(f"{'':<{width}}  {'':<7}  -> {row.mend}")
    return "\n".join(lines) + "\n"


def _verdict(lacking: list[Finding]) -> str:
    if not lacking:
        return "\nReady.\n"
    mends = list(dict.fromkeys(finding.mend for finding in lacking))
    thing = "thing is" if len(lacking) == 1 else "things are"
    steps = "\n".join(f"  {mend}" for mend in mends)
    return f"\n{len(lacking)} {thing} missing. What mends it:\n{steps}\n"


def main(arguments: list[str]) -> int:
    """Be `./everline doctor [--json]` where the environment is not there yet."""
    if unknown := set(arguments) - {"--json"}:
        say.note(f"doctor knows --json, not {' '.join(sorted(unknown))}")
        return 2
    return report(as_json="--json" in arguments)
