"""`./everline prove policies`: every case in the enforcer and through the doors, and mutants."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog
from rich.console import Console
from rich.table import Table

from control_plane import proof
from control_plane.app import ROUTES
from control_plane.proof import Proof

if TYPE_CHECKING:
    from tests.policies.doors import Driven
ROOT = Path(__file__).parents[2]


def main() -> int:
    """Prove the policy that stands in the checkout; exit code 1 when a case fails."""
    parser = argparse.ArgumentParser(prog="./everline prove policies", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    # Packages of others are called `tests` too: this one is meant.
    ours = types.ModuleType("tests")
    ours.__path__ = [str(ROOT / "tests")]
    sys.modules["tests"] = ours
    from tests.policies import doors  # noqa: PLC0415 - not before that

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    cases = proof.load(proof.POLICIES / "cases.yaml")
    driven, left = asyncio.run(doors.drive(cases))
    undriven = doors.half_driven(ROUTES, driven.by_door)
    decided = proof.run(proof.POLICIES)
    failed = [*decided.failed, *driven.failed]
    figures = {
        "cases": decided.cases,
        "doors": len(driven.allowed & driven.denied),
        "failed": failed,
        "mutants": decided.mutants,
        "survivors": list(decided.survivors),
        "mutation_score": round(decided.mutation_score, 4),
        "through": ["enforcer", *driven.doors],
        "requests": driven.requests,
        "undriven": list(undriven),
        "enforcer_only": left | {name: why for (name, _), why in doors.ENFORCER_ONLY.items()},
    }
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    _show(decided, driven, undriven, left)
    return 1 if failed or undriven else 0


def _show(decided: Proof, driven: Driven, undriven: tuple[str, ...], left: dict[str, str]) -> None:
    console = Console()
    table = Table(show_header=False)
    for name, value in (
        ("cases", str(decided.cases)),
        ("driven through " + " and ".join(driven.doors), str(decided.cases - len(left))),
        ("requests", str(driven.requests)),
        ("endpoints that let in and refuse", str(len(driven.allowed & driven.denied))),
        ("mutants", str(decided.mutants)),
        ("mutation score", f"{decided.mutation_score:.4f}"),
    ):
        table.add_row(name, value)
    console.print(table)
    reasons = Table("decided in the enforcer only, because", "cases")
    for why in sorted(set(left.values())):
        reasons.add_row(why, str(list(left.values()).count(why)))
    console.print(reasons)
    for title, lines in (
        ("failed", (*decided.failed, *driven.failed)),
        ("not driven", undriven),
        ("unnoticed", decided.survivors),
    ):
        for line in lines:
            console.print(f"{title}: {line}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
