"""What figures are told to be of: this machine as it was before, these parts, this code."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadtests.bench.__main__ import main
from loadtests.bench.machine import PROJECT, _lasting, machine, revision
from loadtests.bench.together import figures


def test_each_piece_tells_the_load_there_was_before_it_began(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    load = [0.5]
    monkeypatch.setattr("loadtests.bench.__main__.inside", object)
    monkeypatch.setattr(
        "loadtests.bench.__main__.subprocess", SimpleNamespace(run=lambda *_, **__: None)
    )
    monkeypatch.setattr("loadtests.bench.machine._lasting", lambda: {"kernel": "6"})
    monkeypatch.setattr(os, "getloadavg", lambda: (load[-1], 0.0, 0.0))

    async def measure(_effort: object) -> dict[str, object]:
        load.append(load[-1] + 3.0)
        return {}

    for name in ("memory", "media.measure"):
        monkeypatch.setattr(f"loadtests.bench.{name}.measure", measure)
    for name in ("memory", "media"):
        monkeypatch.setattr(f"loadtests.bench.report.{name}", dict)
    file = tmp_path / "figures.json"
    assert main(["all", "--pieces", "memory,media", "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    told = {name: each["machine"]["load average before"] for name, each in found["pieces"].items()}
    assert told == {"memory": "0.5", "media": "3.5"}
    assert found["machine"] == {"kernel": "6", "load average before": told}


def test_what_pieces_were_measured_on_that_differs_is_told_piece_by_piece() -> None:
    pieces = {
        "memory": {"machine": {"kernel": "6", "everline": "abc"}},
        "media": {"machine": {"kernel": "6", "everline": "abd", "etcd": "3.5"}},
    }
    assert figures(pieces)["machine"] == {
        "kernel": "6",
        "everline": {"memory": "abc", "media": "abd"},
        "etcd": {"media": "3.5"},
    }


def test_the_machine_is_told_with_our_own_code_and_when_its_load_was_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadtests.bench.machine._VERSIONS", {})
    _lasting.cache_clear()
    found = machine("at the end")
    _lasting.cache_clear()
    assert found["everline"] == revision(PROJECT)
    assert "load average at the end" in found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "everline"\nversion = "7.8.9"\n')
    return tmp_path


def test_code_without_a_repository_is_told_by_its_version(project: Path) -> None:
    assert revision(project) == "7.8.9"


def test_code_of_a_repository_is_told_by_its_commit_and_that_it_was_changed(project: Path) -> None:
    def git(*words: str) -> str:
        us = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        done = subprocess.run(
            ("git", *us, *words), cwd=project, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    assert revision(project) == "7.8.9"  # nothing is committed
    git("add", ".")
    git("commit", "-q", "-m", "Begin")
    commit = git("rev-parse", "HEAD")
    assert commit.startswith(revision(project))
    (project / "pyproject.toml").write_text('[project]\nversion = "8"\n')
    assert revision(project).endswith("-dirty")
