"""The command line as a person meets it: help, mistakes, and what the README promises."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from drills.cli.app import COMMANDS, build, main
from drills.cli.errors import Exit

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROMPT = "$ ./everline"

CHEAP = ("--help", "--version", "doctor")
"""Command lines with one of these are run; of the others it is checked that they parse."""


def promised() -> list[str]:
    """Return every `$ ./everline ...` line that README and docs show in a console block."""
    blocks = [block for page in PAGES for block in CONSOLE.findall(page.read_text())]
    lines = [line for block in blocks for line in block.splitlines()]
    return sorted({line.removeprefix("$ ") for line in lines if line.startswith(PROMPT)})


def test_the_readme_shows_command_lines() -> None:
    assert "./everline test" in promised()


@pytest.fixture(autouse=True)
def nobody_is_signed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `ctl` find no account of whoever runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.mark.parametrize("line", promised())
def test_a_command_line_that_the_pages_show_exists(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    if any(word in CHEAP for word in words):
        done = subprocess.run(
            [sys.executable, "-m", "drills", *words], capture_output=True, check=False, cwd=ROOT
        )
        assert done.returncode in {Exit.OK, Exit.FAILED}, done.stderr.decode()
        assert done.stdout
    else:
        build(words[0]).parse_args(words, exit_on_error=False, print_error=False)


def test_a_command_line_that_does_not_exist_would_be_noticed() -> None:
    with pytest.raises(Exception, match="nonsense"):
        build().parse_args(["test", "--nonsense"], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == Exit.OK
    told = capsys.readouterr().out
    assert f"./everline {command}" in told
    assert "For example:" in told
    assert max(map(len, told.splitlines())) <= 120


def test_the_list_of_commands_is_quick_and_imports_no_command() -> None:
    program = (
        "import sys; from drills.cli.app import main; main(['--help']);"
        "assert not {'numpy', 'grpc', 'drills.cli.suite'} & set(sys.modules);"
        "assert len(sys.modules) < 400, 'each takes a millisecond to read'"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert all(command.line in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("words", [["tset"], ["test", "--fsat"], ["test", "no/such/path"]])
def test_wrong_usage_is_told_and_ends_with_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == Exit.USAGE
    captured = capsys.readouterr()
    assert words[-1] in captured.err + captured.out
