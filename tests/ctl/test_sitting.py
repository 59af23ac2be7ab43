"""`ctl` and whoever sits before it: what it asks, how they leave, and where answers go."""

from __future__ import annotations

import asyncio
import errno
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drills.cli.errors import CommandError, Exit
from drills.ctl import client, files, run, signing, sitting
from drills.ctl.account import Account, Book
from drills.ctl.client import ProblemError
from drills.ctl.line import LineError
from drills.ctl.problems import Problem
from tests.ctl.test_commands import sent, typed
from tests.ctl.test_moves import MOVE

ROOT = Path(__file__).parents[2]


def _nobody(_prompt: str = "") -> str:
    raise EOFError


def test_ctrl_c_at_the_password_ends_it() -> None:
    terminal, theirs = pty.openpty()
    words = ("ctl", "sign-in", "--url", "https://127.0.0.1:1", "--login", "admin")
    asked = subprocess.Popen(
        [sys.executable, "-m", "drills", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=_own_terminal,  # noqa: PLW1509 - there is one thread here
    )
    try:
        os.close(theirs)
        said = b""
        while b"Password" not in said:
            said += os.read(terminal, 1000)
        os.write(terminal, b"\x03")
        assert asked.wait(10) == Exit.INTERRUPTED
    finally:
        asked.kill()
        asked.wait()
        os.close(terminal)


def _own_terminal() -> None:
    import fcntl  # noqa: PLC0415 - in the child
    import termios  # noqa: PLC0415

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_where_nobody_types_a_password_the_way_out_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(signing.PASSWORD, raising=False)
    monkeypatch.setattr("getpass.getpass", _nobody)
    with pytest.raises(CommandError, match="--password-file") as caught:
        run.main(["sign-in", "--url", "https://127.0.0.1:1", "--login", "admin"])
    assert caught.value.code == Exit.USAGE


def test_a_password_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(LineError, match="password: no text"):
        signing._password(str(file))  # noqa: SLF001 - no control plane is asked


@pytest.mark.parametrize("url", ["https://[::1", "https://127.0.0.1:99999", "https://h:port"])
def test_what_is_no_address_is_named(url: str) -> None:
    with pytest.raises(CommandError, match="no address of a control plane") as caught:
        client.checked(url)
    assert caught.value.code == Exit.USAGE


def test_the_end_of_input_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", _nobody)
    assert not sitting.says_yes("Move it?")


def test_the_question_and_its_table_stay_out_of_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert run._may_go_on({"move": MOVE})  # noqa: SLF001 - the question itself
    out, err = capsys.readouterr()
    assert out == ""
    assert "does NOT fit" in err
    assert "Move it? [y/N]" in err


@pytest.mark.parametrize(
    "words",
    [
        ("queues", "delete", "sales", "--url"),
        ("sign-in", "--login", "admin", "--url"),
        ("sign-in", "--login", "admin", "--url="),
        ("sign-in", "--url", "https://127.0.0.1:1", "--oidc", "--tenant"),
    ],
)
def test_an_address_that_is_missing_is_not_taken_to_be_the_one_of_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    Book().keep(
        Account(
            url="https://127.0.0.1:1", tenant="main", user="usr_1", access_token="a",  # noqa: S106
            refresh_token="r", until_s=2**40,  # noqa: S106
        )
    )  # fmt: skip
    with pytest.raises(CommandError, match=f"{words[-1].rstrip('=')} needs a value") as caught:
        run.main(words)
    assert caught.value.code is Exit.USAGE


# ---- where an answer goes ------------------------------------------------------------------------


class _Content:
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"sound"


class _Answer:
    content = _Content()


class _Api(client.Api):
    """Answers all alike: with a sound, or a refusal."""

    def __init__(self, *, refuses: bool) -> None:
        self._refuses = refuses

    @asynccontextmanager
    async def stream(
        self,
        method: str,  # noqa: ARG002
        path: str,  # noqa: ARG002
        *,
        headers: Mapping[str, str],  # noqa: ARG002
        data: Any = None,  # noqa: ANN401, ARG002
    ) -> AsyncIterator[Any]:
        if self._refuses:
            raise ProblemError(Problem(status=403, error_id="forbidden", title="No"))
        yield _Answer()


def _fetched(into: Path, *, refuses: bool) -> int:
    words = ("recordings", "audio", "CALL", "--purpose", "quality", "--output", str(into))
    return asyncio.run(files.stream(_Api(refuses=refuses), typed(*words), sent(*words)))


def test_a_refusal_takes_away_only_the_file_that_was_made_for_it(tmp_path: Path) -> None:
    new, empty = tmp_path / "new.wav", tmp_path / "empty.wav"
    empty.touch()
    for file in (new, empty):
        with pytest.raises(ProblemError):
            _fetched(file, refuses=True)
    assert [each.name for each in tmp_path.iterdir()] == ["empty.wav"]


def test_an_answer_goes_to_a_device_too() -> None:
    assert _fetched(Path(os.devnull), refuses=False) == Exit.OK


def test_a_disk_that_is_full_is_said_to_be() -> None:
    with pytest.raises(CommandError, match="/dev/full: No space left on device"):
        _fetched(Path("/dev/full"), refuses=False)


def test_a_file_that_may_not_be_read_is_said_to_be_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(path: Path, _mode: str = "r") -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    people = tmp_path / "people.csv"
    people.write_text("name\n")
    monkeypatch.setattr(Path, "open", refuse)
    words = ("customers", "import", str(people))
    with pytest.raises(CommandError, match=r"people\.csv: Permission denied"):
        asyncio.run(files.stream(_Api(refuses=False), typed(*words), sent(*words)))


def test_an_answer_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "old.wav"
    file.write_text("longer than what comes")
    assert _fetched(file, refuses=False) == Exit.OK
    assert file.read_bytes() == b"sound"
