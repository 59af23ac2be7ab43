"""Runs a command in a host of the lab, to its end, with what it printed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from drills.lab.errors import ProcessError
from drills.lab.namespaces import entering


class Done(Struct, frozen=True, kw_only=True):
    """A command that has ended."""

    argv: tuple[str, ...]
    status: int
    """Exit status, or minus the signal that ended it."""
    output: str
    errors: str

    def check(self) -> Done:
        """Return itself, or raise ProcessError when the command failed."""
        if self.status != 0:
            last = "\n".join((self.errors or self.output).splitlines()[-15:])
            raise ProcessError(f"{self.argv[0]} ended with {self.status}:\n{last}")
        return self


class Commands:
    """Commands that run in hosts now, so that a host's death takes them along."""

    def __init__(self) -> None:
        self._running: dict[int, str] = {}

    async def run(  # noqa: PLR0913 - each is what it says
        self,
        host: str,
        argv: tuple[str, ...],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: bytes = b"",
        timeout_s: float | None = None,
    ) -> Done:
        """Run it; cancelled or not done in time (TimeoutError), it is killed with its children."""
        process = await asyncio.create_subprocess_exec(
            *entering(host, argv),
            cwd=cwd,
            env=dict(env),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._running[process.pid] = host
        try:
            async with asyncio.timeout(timeout_s):
                output, errors = await process.communicate(stdin)
        finally:
            del self._running[process.pid]
            if process.returncode is None:
                _kill(process.pid)
                await process.wait()
        if process.returncode is None:
            raise ProcessError(f"{argv[0]} has ended without a status")
        return Done(
            argv=argv,
            status=process.returncode,
            output=output.decode(errors="replace"),
            errors=errors.decode(errors="replace"),
        )

    def kill_host(self, host: str | None = None) -> None:
        """SIGKILL every command that runs in the host; None: in any."""
        for pid, where in self._running.items():
            if host in (None, where):
                _kill(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
