"""`bench all`, one piece after the other: what becomes of the others when one goes wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drills.cli.errors import Exit
from drills.lab.errors import LabError
from loadtests.bench.__main__ import main
from loadtests.bench.errors import BenchError
from loadtests.bench.together import chosen


class Benchmarks:
    """Stands for all of them: measures nothing, and goes wrong where it is told to."""

    def __init__(self) -> None:
        self.wrong: dict[str, Exception] = {}
        self.asked: list[str] = []

    async def one(self, name: str, **_: object) -> Mapping[str, Any]:
        """Do one."""
        self.asked.append(name)
        if name in self.wrong:
            raise self.wrong[name]
        return {"rate": 5.0, "machine": {"kernel": "6"}}


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Benchmarks:
    found = Benchmarks()
    monkeypatch.setattr("loadtests.bench.__main__.inside", object)
    monkeypatch.setattr(
        "loadtests.bench.__main__.subprocess", SimpleNamespace(run=lambda *_, **__: None)
    )
    monkeypatch.setattr("loadtests.bench.__main__._one", found.one)
    monkeypatch.setattr("loadtests.bench.__main__.machine", lambda when: {when: "quiet"})
    return found


PIECES = "relay,edge,memory,media"


def run(file: Path, *more: str, pieces: str = PIECES) -> tuple[int, dict[str, Any]]:
    status = main(["all", "--pieces", pieces, "--json", str(file), *more])
    return status, json.loads(file.read_text())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BenchError("the edge serves no calls"), "the edge serves no calls"),
        (LabError("etcd did not come up"), "etcd did not come up"),
        (ValueError("no slice was measured"), "ValueError: no slice was measured (test_series.py:"),
        (TimeoutError(), "TimeoutError (test_series.py:"),
        (ExceptionGroup("2 of 3", [KeyError("p50")]), "KeyError: 'p50'"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_one_that_goes_wrong_is_named_and_the_others_are_measured(
    error: Exception,
    reason: str,
    benchmarks: Benchmarks,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    benchmarks.wrong["edge"] = error
    status, found = run(tmp_path / "figures.json")
    assert status == Exit.FAILED
    assert benchmarks.asked == ["relay", "edge", "memory", "media"]
    assert found["pieces"].keys() == {"relay", "memory", "media"}
    assert found["failed"].keys() == {"edge"}
    assert found["failed"]["edge"].startswith(reason)
    assert f"failed: edge: {reason}" in capsys.readouterr().err.splitlines()[-1]


def test_those_that_went_wrong_are_tried_again_after_those_that_were_not_tried(
    benchmarks: Benchmarks, tmp_path: Path
) -> None:
    file = tmp_path / "figures.json"
    benchmarks.wrong["relay"] = BenchError("SIPp counted none of its calls")
    run(file, pieces="relay,edge")
    benchmarks.asked.clear()
    status, found = run(file, "--resume")
    assert benchmarks.asked == ["memory", "media", "relay"]
    assert status == Exit.FAILED
    assert found["failed"] == {"relay": "SIPp counted none of its calls"}
    benchmarks.wrong.clear()
    status, found = run(file, "--resume")
    assert benchmarks.asked[3:] == ["relay"]
    assert status == Exit.OK
    assert found["failed"] == {}
    assert found["pieces"].keys() == {"relay", "edge", "memory", "media"}


def test_what_was_measured_quickly_is_marked_and_measured_anew_in_earnest(
    benchmarks: Benchmarks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    _, found = run(file, "--quick", pieces="relay,edge")
    assert found["quick"] == ["relay", "edge"]
    assert "quick" not in found["edge"]
    _, found = run(file, "--resume", pieces="edge,memory")
    assert benchmarks.asked == ["relay", "edge", "edge", "memory"]
    assert "measured with --quick" in capsys.readouterr().err
    assert "quick" not in found
    assert found["pieces"].keys() == {"edge", "memory"}
    run(file, "--resume", "--quick", pieces="edge,relay")
    assert benchmarks.asked[4:] == ["relay"], "what was measured in earnest is better"


def test_a_failure_of_a_piece_that_is_not_asked_for_stays_in_the_file(
    benchmarks: Benchmarks, tmp_path: Path
) -> None:
    file = tmp_path / "figures.json"
    benchmarks.wrong["relay"] = BenchError("SIPp counted none of its calls")
    run(file, pieces="relay,edge")
    status, found = run(file, "--resume", pieces="edge,media")
    assert status == Exit.OK
    assert found["failed"] == {"relay": "SIPp counted none of its calls"}


def test_when_time_runs_out_it_says_what_is_left_and_has_an_exit_code_of_its_own(
    benchmarks: Benchmarks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = run(tmp_path / "figures.json", "--minutes", "1e-9")
    assert status == Exit.UNFINISHED
    assert benchmarks.asked == []
    assert found["pieces"] == {}
    said = capsys.readouterr().err.splitlines()[-1]
    assert "left: relay, edge, memory, media" in said
    assert "--resume" in said


def test_what_was_measured_before_it_is_interrupted_is_kept(
    benchmarks: Benchmarks, tmp_path: Path
) -> None:
    file = tmp_path / "figures.json"
    benchmarks.wrong["memory"] = KeyboardInterrupt()  # type: ignore[assignment]
    status, found = run(file)
    assert status == Exit.INTERRUPTED
    assert found["pieces"].keys() == {"relay", "edge"}
    assert found["failed"] == {}


def test_a_file_that_cannot_be_written_ends_it_all(
    benchmarks: Benchmarks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "away" / "figures.json"
    assert main(["all", "--pieces", PIECES, "--json", str(file)]) == Exit.FAILED
    assert benchmarks.asked == ["relay"]
    assert f"{file} cannot be written" in capsys.readouterr().err


def test_it_says_how_far_it_is_and_how_long_it_may_still_take(
    benchmarks: Benchmarks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    run(file, pieces="edge,memory")
    first, last = (each for each in capsys.readouterr().err.splitlines() if "piece" in each)
    edge, memory = chosen(["edge", "memory"])
    assert f"1 of 2; it takes about {edge.minutes} min" in first
    assert f"all that is left {edge.minutes + memory.minutes} min" in first
    # The first took no time here.
    assert "piece memory: 2 of 2; it takes about 0 s" in last
    assert benchmarks.asked == ["edge", "memory"]


@pytest.mark.usefixtures("benchmarks")
def test_of_quick_ones_nothing_is_said_until_one_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "figures.json", "--quick", pieces="edge,memory")
    first, last = (each for each in capsys.readouterr().err.splitlines() if "piece" in each)
    assert first.endswith("piece edge: 1 of 2")
    assert "piece memory: 2 of 2; it takes about" in last
