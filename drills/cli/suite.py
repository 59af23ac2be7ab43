"""`./everline test`: every check and every test, in groups, with a table of times at the end."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import cyclopts
from msgspec import Struct
from msgspec.structs import replace

from drills.cli import lane
from drills.cli.errors import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drills.cli.lane import Say

BIN = Path(sys.executable).parent

GO_ON = "--continue-on-collection-errors"

PYTEST_NOTHING_COLLECTED = 5
PYTEST_FAILED = 1
MOST_AGAIN = 5
"""Tests on real servers that fail once may run once more, if they are no more than this."""
PYTEST_SPOKE = frozenset({0, 1, 2})
"""Exit codes after which the report is true: all passed, some failed, some could not be read."""


class Group(NamedTuple):
    """One command of the run. A check prints only when it fails; tests print as they go."""

    name: str
    command: tuple[str, ...]
    is_tests: bool = False
    real: bool = False
    """Whether real servers share the machine with whatever else it does: see `both`."""
    yields: bool = False
    """Whether it only computes, and lets whatever waits for servers have the machine first."""
    lane: str = ""
    """Groups of one lane run one after the other, lanes side by side."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What a group came to. A check that fails counts as one failure."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    spent_s: float = 0.0
    note: str = ""
    again: int = 0
    """Of the passed, how many did so only at their second try."""
    may_try_again: bool = False
    """Whether tests failed, and nothing else."""


FIRST, SECOND = "first", "second"
"""The lanes. Both mostly wait for servers, and the lab's stand in network namespaces of their own:
they meet nothing of each other's but the processors."""
CHECKS = tuple(
    Group(name, (str(BIN / words[0]), *words[1:]), yields=True, lane=SECOND)
    for name, *words in (
        ("ruff check", "ruff", "check", "."),
        ("ruff format", "ruff", "format", "--check", "."),
        ("mypy", "mypy"),
        ("import contracts", "lint-imports", "--no-logo"),
    )
)
NEEDS_NOTHING = ("-m", "not parts and not lab")
APART = tuple(f"tests/{each}" for each in ("control_plane", "sip", "state", "steering"))
"""Whose hermetic tests run in the second lane, so that both take about as long."""
HERMETIC = Group(
    "hermetic tests",
    (*NEEDS_NOTHING, *(f"--ignore={each}" for each in APART)),
    is_tests=True,
    yields=True,
    lane=FIRST,
)
PARTS = Group(
    "tests on real parts", ("-m", "parts and not lab"), is_tests=True, real=True, lane=FIRST
)
LAB = Group("tests in the lab", ("-m", "lab"), is_tests=True, real=True, lane=SECOND)
HERMETIC_APART = Group(
    "hermetic tests, second lane",
    (*NEEDS_NOTHING, *APART),
    is_tests=True,
    yields=True,
    lane=SECOND,
)


Paths = Annotated[
    tuple[Path, ...],
    cyclopts.Parameter(help="Only the tests of these files or folders, whatever they need."),
]
Fast = Annotated[bool, cyclopts.Parameter(help="The checks and the hermetic tests.")]
Parts = Annotated[bool, cyclopts.Parameter(help="The tests that start one or two real servers.")]
Lab = Annotated[bool, cyclopts.Parameter(help="The tests that need the whole lab.")]
Only = Annotated[
    str, cyclopts.Parameter(name="-k", help="Only tests that match this expression of pytest.")
]


def run(
    paths: Paths = (),
    /,
    *,
    fast: Fast = False,
    parts: Parts = False,
    lab: Lab = False,
    k: Only = "",
) -> int:
    """Check and test everything, or the parts of it that are named.

    ruff, mypy and the import contracts, then the hermetic tests (no
    network), then those that start single servers; beside all of these, in
    a second lane, those in the lab of three sites, then other hermetic
    ones. Each line says whose it is. Nothing stops at the first failure. Up
    to five failed tests of real servers run once more when all else is
    done, and are named.

    The last line sums up: "N passed, N failed"; a failed check counts as a
    failure. Exit code 0 only if nothing failed and something was tested.

    For example:
      ./everline test
      ./everline test --fast
      ./everline test --parts -k rtpengine
      ./everline test tests/setup
    """
    for path in paths:
        if not path.exists():
            raise CommandError(f"no such test file or folder: {path}", Exit.USAGE)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # `sh -c '... &'` makes it ignored
    groups = choose(paths, fast=fast, parts=parts, lab=lab, only=k)
    began = time.monotonic()
    outcomes = asyncio.run(run_all(groups))
    return _close(outcomes, time.monotonic() - began)


def choose(
    paths: tuple[Path, ...], *, fast: bool, parts: bool, lab: bool, only: str
) -> list[Group]:
    """Return the groups that the command line asks for, in the order they run."""
    if paths:
        chosen = [Group("tests", tuple(str(path.resolve()) for path in paths), is_tests=True)]
    elif fast or parts or lab:
        chosen = [
            *((*CHECKS, HERMETIC) if fast else ()),
            *((PARTS,) if parts else ()),
            *((LAB,) if lab else ()),
            *((HERMETIC_APART,) if fast else ()),
        ]
    else:
        chosen = [*CHECKS, HERMETIC, PARTS, LAB, HERMETIC_APART]
    if not only:
        return chosen
    return [
        group._replace(command=(*group.command, "-k", only)) for group in chosen if group.is_tests
    ]


async def run_all(groups: list[Group]) -> list[Outcome]:
    """Run each lane's groups one after the other, the lanes side by side; then second tries."""
    lanes = dict.fromkeys(group.lane for group in groups)
    with tempfile.TemporaryDirectory(prefix="everline-test-") as name:
        folder = Path(name)
        found: dict[str, Outcome] = {}

        async def one_lane(which: str) -> None:
            say = lane.labelled(which) if len(lanes) > 1 else None
            for group in groups:
                if group.lane == which:
                    found[group.name] = await _run(group, folder, say)

        async with asyncio.TaskGroup() as side_by_side:
            for each in lanes:
                side_by_side.create_task(one_lane(each))
        for group in groups:
            found[group.name] = await try_again(group, found[group.name], folder)
        return [found[group.name] for group in groups]


async def _run(group: Group, folder: Path, say: Say | None) -> Outcome:
    (say or lane.plain)(f"== {group.name}\n")
    began = time.monotonic()
    try:
        outcome = await (run_tests if group.is_tests else _run_check)(group, folder, say)
    except OSError as error:  # what cannot even be started has not passed
        outcome = Outcome(name=group.name, failed=1, note=f"FAILED: {error}")
    return replace(outcome, spent_s=time.monotonic() - began)


async def _run_check(group: Group, folder: Path, say: Say | None) -> Outcome:
    output: list[str] = []
    if await lane.run(group.command, folder, output.append, yields=group.yields) == 0:
        return Outcome(name=group.name, note="clean")
    (say or lane.plain)("".join(output))
    return Outcome(name=group.name, failed=1, note="FAILED")


async def run_tests(group: Group, folder: Path, say: Say | None = None, *more: str) -> Outcome:
    """Run a group's tests, with `more` of pytest's options; what it remembers is in `folder`."""
    mine = folder / group.name
    mine.mkdir(exist_ok=True)
    report = mine / "report.xml"
    report.unlink(missing_ok=True)
    options = ("-q", "-o", f"cache_dir={mine}/cache", GO_ON, f"--junitxml={report}")
    command = (sys.executable, "-P", "-m", "pytest", *options, *group.command, *more)
    code = await lane.run(command, mine, say, yields=group.yields)
    return read(group.name, code, report)


async def try_again(group: Group, first: Outcome, folder: Path) -> Outcome:
    """Run those tests on real servers that failed once more, with the machine to themselves."""
    if not (group.real and first.may_try_again and 0 < first.failed <= MOST_AGAIN):
        return first
    lane.plain(f"== {group.name}: those that failed, once more\n")
    began = time.monotonic()
    words = ("--last-failed", "--last-failed-no-failures=none")
    second = await run_tests(group, folder, None, *words)
    return replace(both(first, second), spent_s=first.spent_s + time.monotonic() - began)


def both(first: Outcome, second: Outcome) -> Outcome:
    """Return what a group came to whose failed tests ran once more.

    A test on real servers, whose deadlines are seconds, fails when the machine stands still for
    some of them. One that fails twice has failed; one that passes then is counted as passed, and
    named in the table: it is to be looked at.
    """
    if second.failed or second.passed != first.failed:
        return replace(first, note="FAILED, also at a second try")
    note = f"passed, {second.passed} of them only at a second try: see above"
    return replace(
        first, passed=first.passed + second.passed, failed=0, again=second.passed, note=note
    )


def read(name: str, code: int, report: Path) -> Outcome:
    """Turn pytest's exit code and its JUnit report into an outcome.

    A pytest that ended otherwise than by its tests (a crash, a bad option) is a failure too.
    """
    if code == PYTEST_NOTHING_COLLECTED:
        return Outcome(name=name, note="no tests")
    try:
        suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - pytest wrote it
    except (OSError, ET.ParseError):
        return Outcome(name=name, failed=1, note=f"FAILED: pytest ended with {code}")

    def count(*fields: str) -> int:
        return sum(int(suite.get(field, 0)) for suite in suites for field in fields)

    failed, skipped = count("failures", "errors"), count("skipped")
    passed = max(count("tests") - failed - skipped, 0)
    if code not in PYTEST_SPOKE or bool(code) != bool(failed) or not (passed + failed + skipped):
        note = f"FAILED: pytest ended with {code}"
        return Outcome(name=name, passed=passed, failed=failed + 1, skipped=skipped, note=note)
    note = "FAILED" if failed else "passed"
    return Outcome(
        name=name,
        passed=passed,
        failed=failed,
        skipped=skipped,
        note=note,
        may_try_again=code == PYTEST_FAILED,
    )


def _close(outcomes: list[Outcome], spent_s: float) -> int:
    width = max(len(outcome.name) for outcome in outcomes)
    sys.stdout.write("\n")
    for outcome in outcomes:
        counts = f"{outcome.passed:6d} passed {outcome.failed:4d} failed"
        row = f"{outcome.name:<{width}}  {outcome.spent_s:7.1f} s {counts}  {outcome.note}"
        sys.stdout.write(row + "\n")
    sys.stdout.write(f"{'':<{width}}  {spent_s:7.1f} s\n")
    line, code = verdict(outcomes)
    sys.stdout.write(f"{line}\n")
    return code


def verdict(outcomes: Iterable[Outcome]) -> tuple[str, Exit]:
    """Sum the groups up in one line, and say how the run ends. No test at all is a failure."""
    rows = list(outcomes)
    passed, failed, skipped = (
        sum(row.passed for row in rows),
        sum(row.failed for row in rows),
        sum(row.skipped for row in rows),
    )
    again = sum(row.again for row in rows)
    line = f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")
    line += f", {again} only at a second try" if again else ""
    return line, Exit.OK if passed and not failed else Exit.FAILED
