"""`./everline test`: every check and every test, in groups, with a table of times at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import cyclopts
from msgspec import Struct
from msgspec.structs import replace

from drills.cli.errors import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

ROPE = ("setpriv", "--pdeathsig", "INT", "--")
"""Our death, even by kill -9, is a SIGINT to the tool."""
GRACE_S = 30.0
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


CHECKS = (
    Group("ruff check", (str(BIN / "ruff"), "check", ".")),
    Group("ruff format", (str(BIN / "ruff"), "format", "--check", ".")),
    Group("mypy", (str(BIN / "mypy"),)),
    Group("import contracts", (str(BIN / "lint-imports"), "--no-logo")),
)
HERMETIC = Group("hermetic tests", ("-m", "not parts and not lab"), is_tests=True)
PARTS = Group("tests on real parts", ("-m", "parts and not lab"), is_tests=True, real=True)
LAB = Group("tests in the lab", ("-m", "lab"), is_tests=True, real=True)


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

    First ruff, mypy and the import contracts, then the tests: hermetic
    ones (no network), then those that start single servers, then those in
    the lab of three sites. Nothing stops at the first failure. Up to five
    failed tests of real servers run once more, and are named.

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
    outcomes = [_run(group) for group in groups]
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
        ]
    else:
        chosen = [*CHECKS, HERMETIC, PARTS, LAB]
    if not only:
        return chosen
    return [
        group._replace(command=(*group.command, "-k", only)) for group in chosen if group.is_tests
    ]


def _run(group: Group) -> Outcome:
    sys.stdout.write(f"== {group.name}\n")
    sys.stdout.flush()
    began = time.monotonic()
    outcome = run_tests(group) if group.is_tests else _run_check(group)
    return replace(outcome, spent_s=time.monotonic() - began)


def _run_check(group: Group) -> Outcome:
    code, output = _spawn(group.command, catch=True)
    if code == 0:
        return Outcome(name=group.name, note="clean")
    sys.stdout.write(output + "\n")
    return Outcome(name=group.name, failed=1, note="FAILED")


def run_tests(group: Group) -> Outcome:
    """Run a group's tests; those on real servers that fail, once more."""
    with tempfile.TemporaryDirectory(prefix="everline-test-") as folder:
        report = Path(folder) / "report.xml"
        options = ("-q", "-o", f"cache_dir={folder}/cache", GO_ON, f"--junitxml={report}")
        command = (sys.executable, "-P", "-m", "pytest", *options, *group.command)
        code, _ = _spawn(command)
        first = read(group.name, code, report)
        if not (group.real and code == PYTEST_FAILED and first.failed <= MOST_AGAIN):
            return first
        sys.stdout.write(f"== {group.name}: those that failed, once more\n")
        sys.stdout.flush()
        report.unlink()
        code, _ = _spawn((*command, "--last-failed", "--last-failed-no-failures=none"))
        return both(first, read(group.name, code, report))


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


def _spawn(command: tuple[str, ...], *, catch: bool = False) -> tuple[int, str]:
    """Run a tool; return its exit code and, if caught, its output.

    However we end, it gets one SIGINT and time to clean up: pytest then stops the servers that its
    tests have started. It has a session of its own, so that Ctrl-C does not reach it twice.
    """
    with subprocess.Popen(
        (*ROPE, *command),
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if catch else None,
        stderr=subprocess.STDOUT if catch else None,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            output, _ = child.communicate()
        except KeyboardInterrupt:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                child.kill()
            raise
        return child.returncode, output or ""


def read(name: str, code: int, report: Path) -> Outcome:
    """Turn pytest's exit code and its JUnit report into an outcome.

    A pytest that ended otherwise than by its tests (a crash, a bad option) is a failure too.
    """
    if code == PYTEST_NOTHING_COLLECTED:
        return Outcome(name=name, note="no tests")
    if not report.exists():
        return Outcome(name=name, failed=1, note=f"FAILED: pytest ended with {code}")
    suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - pytest wrote it

    def count(*fields: str) -> int:
        return sum(int(suite.get(field, 0)) for suite in suites for field in fields)

    failed, skipped = count("failures", "errors"), count("skipped")
    passed = max(count("tests") - failed - skipped, 0)
    if code not in PYTEST_SPOKE or bool(code) != bool(failed) or not (passed + failed + skipped):
        note = f"FAILED: pytest ended with {code}"
        return Outcome(name=name, passed=passed, failed=failed + 1, skipped=skipped, note=note)
    note = "FAILED" if failed else "passed"
    return Outcome(name=name, passed=passed, failed=failed, skipped=skipped, note=note)


def _environment() -> dict[str, str]:
    """Return our environment with the tools of .venv in reach; see tests/conftest.py."""
    path = f"{BIN}:{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "EVERLINE_SAME_EXAMPLES": "1"}


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
