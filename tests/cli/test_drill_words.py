"""What `./everline drill` says no to before it brings a lab up."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.cli import drill_all
from drills.cli.app import main
from drills.cli.errors import Exit
from drills.library import experiments


@pytest.fixture(autouse=True)
def _nothing_is_drilled(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_some(*_: object) -> tuple[int, list[str]]:
        raise AssertionError("it was to be refused")

    monkeypatch.setattr("drills.cli.drill.run_some", run_some)
    monkeypatch.setattr(drill_all, "run_some", run_some)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "site_killed", "--approval", "apq_1"), "--approval is for --live --really"),
        (("run", "site_killed", "--really"), "--really is for --live"),
        (("run", "site_killed", "--live", "--seed", "7"), "--seed is for a lab of one's own"),
        (("run", "away.toml"), "there is no file away.toml"),
        (("show", "site_kiled"), "there is no drill 'site_kiled'; there are: "),
        (("all", "--repeats", "0"), "--repeats. Must be >= 1"),
        (("all", "--minutes", "nan"), "--minutes. Must be <= "),
        (("all", "--minutes", "-1"), "--minutes. Must be >= 0"),
        (("all", "--labs", "9"), "--labs. Must be <= 4"),
        (("schedule", "add", "x", "site_killed", "--at", "99"), "no cron rule"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    words: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep = () if words[0] == "show" else ("--keep", str(tmp_path))
    assert main(["drill", *words, *keep]) == Exit.USAGE
    said = capsys.readouterr()
    assert says in " ".join((said.out + said.err).replace("│", " ").split())


def test_where_nothing_was_drilled_yet_a_report_says_which_folder_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drill", "report", "--keep", str(tmp_path)]) == Exit.FAILED
    said = capsys.readouterr().err
    assert f"no drill has been run here ({tmp_path}): ./everline drill run NAME" in said


@pytest.mark.parametrize("name", experiments())
def test_every_reviewed_drill_is_shown_with_what_it_breaks(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drill", "show", name]) == Exit.OK
    said = capsys.readouterr().out
    assert "steady" in said
    assert "expected" in said
