"""How `./everline test` picks its groups and sums them up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drills.cli import lane
from drills.cli.errors import Exit
from drills.cli.suite import (
    APART,
    CHECKS,
    HERMETIC,
    HERMETIC_APART,
    LAB,
    PARTS,
    Group,
    Outcome,
    both,
    choose,
    read,
    run_tests,
    try_again,
    verdict,
)

ROOT = Path(__file__).parents[2]


def names(groups: list[Group]) -> list[str]:
    return [group.name for group in groups]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (set(), [*CHECKS, HERMETIC, PARTS, LAB, HERMETIC_APART]),
        ({"fast"}, [*CHECKS, HERMETIC, HERMETIC_APART]),
        ({"parts"}, [PARTS]),
        ({"fast", "lab"}, [*CHECKS, HERMETIC, LAB, HERMETIC_APART]),
    ],
    ids=lambda value: "-".join(sorted(value)) or "all" if isinstance(value, set) else "",
)
def test_options_name_the_groups(options: set[str], expected: list[Group]) -> None:
    chosen = choose(
        (), fast="fast" in options, parts="parts" in options, lab="lab" in options, only=""
    )
    assert chosen == expected


def test_paths_run_without_checks_and_k_reaches_every_group_of_tests() -> None:
    [group] = choose((ROOT / "tests",), fast=False, parts=False, lab=False, only="ring")
    assert group.command == (str(ROOT / "tests"), "-k", "ring")
    chosen = choose((), fast=False, parts=False, lab=False, only="ring")
    assert names(chosen) == names([HERMETIC, PARTS, LAB, HERMETIC_APART])
    assert all(group.command[-2:] == ("-k", "ring") for group in chosen)


def test_every_test_belongs_to_exactly_one_group() -> None:
    marks = [group.command[1] for group in (HERMETIC, PARTS, LAB)]
    for parts in (False, True):
        for lab in (False, True):
            fits = [eval(mark, {"parts": parts, "lab": lab}) for mark in marks]  # noqa: S307
            assert fits.count(True) == 1
    mark = HERMETIC.command[:2]
    assert HERMETIC.command == (*mark, *(f"--ignore={each}" for each in APART))
    assert HERMETIC_APART.command == (*mark, *APART)
    assert all((ROOT / each).is_dir() for each in APART)


@pytest.mark.parametrize(
    ("body", "passed", "failed", "skipped"),
    [
        ("def test_a(): pass\ndef test_b(): assert False", 1, 1, 0),
        ("import pytest\n@pytest.mark.skip\ndef test_a(): pass\ndef test_b(): pass", 1, 0, 1),
        ("import nothing_of_that_name", 0, 1, 0),
        ("import os\ndef test_a(): os._exit(7)", 0, 1, 0),
        ("import pytest\ndef test_a(): pytest.exit('enough', 0)", 0, 1, 0),
        ("x = 1", 0, 0, 0),
    ],
    ids=["one fails", "one skipped", "no import", "dies", "leaves", "no tests"],
)
def test_outcomes_are_read_from_what_pytest_really_leaves(
    tmp_path: Path, body: str, passed: int, failed: int, skipped: int
) -> None:
    (tmp_path / "test_it.py").write_text(body)
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null"),
            *(f"--rootdir={tmp_path}", f"--junitxml={report}", str(tmp_path)),
        ],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        check=False,
    )
    outcome = read("x", done.returncode, report)
    assert (outcome.passed, outcome.failed, outcome.skipped) == (passed, failed, skipped)


def test_a_report_that_broke_off_is_a_failure(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text("<testsuites><testsuite tests=")
    assert read("x", 1, report).failed == 1


def test_the_last_line_sums_up_and_one_failure_fails_the_run() -> None:
    good = Outcome(name="a", passed=3)
    assert verdict([good, Outcome(name="b", passed=2)]) == ("5 passed, 0 failed", Exit.OK)
    bad = Outcome(name="ruff", failed=1)
    assert verdict([good, bad]) == ("3 passed, 1 failed", Exit.FAILED)
    skipped = Outcome(name="lab", skipped=4)
    assert verdict([good, skipped]) == ("3 passed, 0 failed, 4 skipped", Exit.OK)


def test_a_run_that_tested_nothing_fails() -> None:
    assert verdict([Outcome(name="a", note="no tests")]) == ("0 passed, 0 failed", Exit.FAILED)


SHAKY = """
from pathlib import Path
FLAG = Path({flag!r})
def test_shaky():
    first = not FLAG.exists()
    FLAG.touch()
    assert not first
def test_sound(): pass
def test_broken(): assert {sound}
"""


@pytest.mark.parametrize(
    ("real", "sound", "expected"),
    [
        (True, True, (3, 0, 1)),
        (False, True, (2, 1, 0)),
        (True, False, (1, 2, 0)),
    ],
    ids=["passes then", "hermetic: no second try", "another fails twice"],
)
async def test_what_fails_on_real_servers_has_one_more_try_and_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    real: bool,
    sound: bool,
    expected: tuple[int, int, int],
) -> None:
    monkeypatch.setattr(lane, "ROOT", tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    text = SHAKY.format(flag=str(tmp_path / "flag"), sound=sound)
    (tmp_path / "test_it.py").write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    group = Group("x", (str(tmp_path),), is_tests=True, real=real)
    outcome = await try_again(group, await run_tests(group, tmp_path), tmp_path)
    assert (outcome.passed, outcome.failed, outcome.again) == expected
    line, code = verdict([outcome])
    assert ("second try" in line) == bool(outcome.again)
    assert (code == Exit.OK) == (not outcome.failed)


def test_a_second_try_that_crashes_or_finds_other_tests_excuses_nothing() -> None:
    first = Outcome(name="x", passed=7, failed=2)
    assert both(first, Outcome(name="x", passed=1, failed=1)).failed == 2
    assert both(first, Outcome(name="x", passed=1)).failed == 2
    assert both(first, Outcome(name="x", note="no tests")).failed == 2
