"""What a shell offers after TAB: everline's own commands, and what `ctl` was last told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drills.cli import app
from drills.ctl import completion
from drills.ctl.commands import commands
from tests.control_plane.outside.crawl import DOCUMENT

ALL = commands(DOCUMENT)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "everline").mkdir()
    return tmp_path / "everline"


def after(*typed: str) -> set[str]:
    return set(completion.candidates(typed, completion.kept()))


def test_before_anything_was_told_one_can_sign_in() -> None:
    assert after() == {"sign-in", "sign-out"}
    assert after("sign-in", "--url", "x") >= {"--oidc", "--ca"}


def test_commands_that_were_told_are_offered_word_by_word() -> None:
    completion.keep(ALL)
    assert {"queues", "customers", "calls", "sign-in"} <= after()
    assert {"list", "show", "change"} <= after("queues")
    assert "--priority" in after("queues", "change")
    assert "--priority" in after("queues", "change", "sales")
    assert "--priority" not in after("queues", "change", "sales", "--priority", "3")
    assert "--json" in after("queues", "list")
    assert after("nothing") == set()


def test_a_file_that_is_damaged_or_cannot_be_written_is_nothing(home: Path) -> None:
    (home / "ctl-words.json").write_text("{")
    assert completion.kept() == ()
    shutil.rmtree(home)
    completion.keep(ALL)
    assert completion.kept() == ()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_the_commands_and_asks_for_those_of_ctl(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "__complete" in script
    for command in app.COMMANDS:
        assert command.name in script


def test_bash_completes_a_word_of_ctl(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    completion.keep(ALL)
    app.main(["completion", "bash"])
    script = home / "completion.bash"
    script.write_text(capsys.readouterr().out)
    asked = (
        f"source {script}; COMP_WORDS=(everline ctl queues cha); COMP_CWORD=3;"
        " _everline; echo ${COMPREPLY[@]}"
    )
    # In the place of the launcher stands what it starts.
    launcher = home / "everline"
    launcher.write_text(
        f"#!/bin/sh\ncd {Path.cwd()}; exec {sys.executable} -c"
        ' "import sys; from drills.cli.app import main; sys.exit(main(sys.argv[1:]))" "$@"\n'
    )
    launcher.chmod(0o755)
    path = f"{home}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", asked], env=os.environ | {"PATH": path}, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == ["change"], done.stderr
