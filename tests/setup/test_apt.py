"""Waiting for another package manager, with a real lock held by a real process."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from drills.setup.apt import lock_holder, wait_for_locks
from drills.setup.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(lock: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold `lock` as dpkg does, until the process's input is closed."""
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.stdin.close()


def test_a_free_lock_and_a_lock_that_is_not_there_have_no_holder(tmp_path: Path) -> None:
    (tmp_path / "free").touch()
    assert lock_holder(tmp_path / "free") is None
    assert lock_holder(tmp_path / "never") is None


def test_the_holder_of_a_lock_is_named_and_waited_for_only_so_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "lock"
    with held(lock) as holder:
        assert lock_holder(lock) == holder.pid
        with pytest.raises(SetupError, match=rf"process {holder.pid}\) has held .*/lock"):
            wait_for_locks((lock,), patience_s=0.1)
        assert f"process {holder.pid}), which holds {lock}" in capsys.readouterr().err


def test_the_wait_ends_with_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with held(lock) as holder:
        assert holder.stdin is not None
        holder.stdin.close()
        wait_for_locks((lock,), patience_s=8)
        assert lock_holder(lock) is None
