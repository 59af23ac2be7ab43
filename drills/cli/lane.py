"""Runs one tool after the other, with what it says told line by line; several lanes at a time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

ROPE = ("setpriv", "--pdeathsig", "INT", "--")
"""Our death, even by kill -9, is a SIGINT to the tool."""
YIELD = (
    *("sh", "-c", '{ echo 10 >/proc/self/autogroup; } 2>/dev/null; exec nice -n 10 "$@"'),
    "yield",
)
"""Others go first. Each tool has a session of its own, and where the kernel shares processors out
among sessions, a process's niceness counts only within its own."""
GRACE_S = 30.0
LOOK_S = 0.2
CHUNK = 1 << 16

Say: TypeAlias = "Callable[[str], object]"
"""Takes whole lines."""


def plain(lines: str) -> None:
    """Print lines as they are."""
    sys.stdout.write(lines)
    sys.stdout.flush()


def labelled(label: str) -> Say:
    """Return what prints lines with `label` before each."""

    def say(lines: str) -> None:
        plain("".join(f"{label:>8} | {line}" for line in lines.splitlines(keepends=True)))

    return say


async def run(
    command: tuple[str, ...], folder: Path, say: Say | None = None, *, yields: bool = False
) -> int:
    """Run a tool and return its exit code; without `say` it prints as it likes.

    However we end, it gets one SIGINT and time to clean up: pytest then stops the servers that its
    tests have started. It has a session of its own, so that Ctrl-C does not reach it twice.
    """
    if say is None:
        return await _spawn(command, None, yields=yields)
    # No pipe: whatever of the tool's outlives it could hold that open.
    with tempfile.TemporaryFile(dir=folder) as output:
        telling = asyncio.create_task(_tell(output, say))
        try:
            return await _spawn(command, output, yields=yields)
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling


async def _spawn(command: tuple[str, ...], output: IO[bytes] | None, *, yields: bool) -> int:
    child = await asyncio.create_subprocess_exec(
        *(*ROPE, *(YIELD if yields else ()), *command),
        cwd=ROOT,
        env=_environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return await child.wait()
    except asyncio.CancelledError:
        child.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(child.wait(), GRACE_S)
        except TimeoutError:
            child.kill()
        raise


async def _tell(output: IO[bytes], say: Say) -> None:
    """Tell each line once it is whole, until cancelled; then also what there is of the last one."""
    told, rest = 0, b""
    try:
        while True:
            read = os.pread(output.fileno(), CHUNK, told)
            told += len(read)
            lines, newline, rest = (rest + read).rpartition(b"\n")
            if newline:
                say((lines + newline).decode(errors="replace"))
            if not read:
                await asyncio.sleep(LOOK_S)
    finally:
        while read := os.pread(output.fileno(), CHUNK, told):
            told += len(read)
            rest += read
        if rest:
            say(rest.removesuffix(b"\n").decode(errors="replace") + "\n")


def _environment() -> dict[str, str]:
    """Return our environment with the tools of .venv in reach; see tests/conftest.py."""
    path = f"{BIN}:{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "EVERLINE_SAME_EXAMPLES": "1"}
