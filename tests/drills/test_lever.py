"""The safety lever, and stopping the drill that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.cli.app import main
from drills.cli.errors import Exit
from drills.lever import Lever


def test_the_lever_stops_all_and_stays_until_it_is_released(tmp_path: Path) -> None:
    lever = Lever(tmp_path)
    assert lever.stopped_because() is None
    Lever(tmp_path).pull()
    assert lever.is_pulled
    assert lever.stopped_because() == "the safety lever was pulled"
    assert Lever(tmp_path).is_pulled
    lever.release()
    assert lever.stopped_because() is None


def test_an_abort_is_for_the_drills_that_run_and_not_for_the_next(tmp_path: Path) -> None:
    running = Lever(tmp_path)
    request = Lever(tmp_path).abort()
    assert running.stopped_because() == "an operator aborted it"
    assert Lever(tmp_path).stopped_because() is None
    running.forget((0, 0))
    assert running.stopped_because() is not None, "that was another request"
    running.forget(request)
    assert running.stopped_because() is None, "it has stopped, and goes on with the next"


def test_a_drill_that_is_aborted_in_one_lab_goes_on_in_the_one_beside_it(tmp_path: Path) -> None:
    one, two = Lever(tmp_path, "1"), Lever(tmp_path, "2")
    request = one.abort()
    assert one.stopped_because() == "an operator aborted it"
    assert two.stopped_because() is None
    one.forget(request)
    Lever(tmp_path).abort()
    assert one.stopped_because() == two.stopped_because() == "an operator aborted it"
    Lever(tmp_path).pull()
    assert one.is_pulled
    assert two.is_pulled


def test_only_one_drill_runs_at_a_time(tmp_path: Path) -> None:
    with Lever(tmp_path).running() as first:
        assert first
        assert Lever(tmp_path).is_running()
        with Lever(tmp_path).running() as second:
            assert not second
    assert not Lever(tmp_path).is_running()


def test_the_commands_pull_release_and_say_when_there_is_nothing_to_abort(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep = ["--keep", str(tmp_path)]
    assert main(["drill", "lever", "pull", *keep]) == Exit.OK
    assert Lever(tmp_path).is_pulled
    assert main(["drill", "lever", "release", *keep]) == Exit.OK
    assert main(["drill", "abort", *keep]) == Exit.FAILED
    assert "no drill runs here" in capsys.readouterr().err
    with Lever(tmp_path).running():
        assert main(["drill", "abort", *keep]) == Exit.OK


@pytest.mark.parametrize(
    "words",
    [
        ("lever", "pull"),
        ("abort",),
        ("schedule", "add", "weekly", "edge_killed", "--at", "0 3 * * *"),
        ("schedule", "blackout", "x", "--from", "2026-12-24", "--until", "2026-12-25"),
        ("schedule", "remove", "weekly"),
        ("schedule", "run"),
        ("run", "edge_killed"),
    ],
    ids=" ".join,
)
def test_what_the_disk_refuses_is_told_in_one_line(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept").write_text("no folder")
    assert main(["drill", *words, "--keep", str(tmp_path / "kept" / "deep")]) == Exit.FAILED
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert "Not a directory" in line


def test_a_lever_that_is_pulled_again_is_never_released_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lever = Lever(tmp_path)
    lever.pull()
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: pytest.fail("it was released"))
    lever.pull()
    assert lever.is_pulled
