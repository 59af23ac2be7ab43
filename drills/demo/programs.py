"""Programs of the drill in the lab's hosts: their lines as they come, and their end.

The people (phones, SIPp) are no part of the lab: nobody restarts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from drills.lab.namespaces import entering
from drills.lab.supervisor import ENVIRONMENT

LINE_LIMIT = 1 << 20
STOP_GRACE_S = 5.0


class Task(Struct, frozen=True, kw_only=True):
    """What to run, and where."""

    name: str
    host: str | None
    """None: the router, outside all hosts."""
    argv: tuple[str, ...]
    cwd: Path
    log: Path
    """For what it writes on standard error."""
    stdin: bytes = b""


class Program:
    """One program in one host; `on_line` gets each line that it writes."""

    def __init__(self, task: Task, process: asyncio.subprocess.Process) -> None:
        self.task = task
        self._process = process
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, task: Task, on_line: Callable[[bytes], None] = lambda _line: None
    ) -> Program:
        """Start it."""
        with task.log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *entering(task.host, task.argv),
                cwd=task.cwd,
                env=ENVIRONMENT | {"HOME": str(task.log.parent)},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                limit=LINE_LIMIT,
            )
        program = cls(task, process)
        program._reader = asyncio.create_task(program._read(on_line))
        if process.stdin is not None:
            process.stdin.write(task.stdin)
            with contextlib.suppress(ConnectionError):
                await process.stdin.drain()
            process.stdin.close()
        return program

    @property
    def is_over(self) -> bool:
        """Whether it has ended and all its lines have been read."""
        return self._reader is None or self._reader.done()

    async def ended(self) -> int:
        """Wait for its end; return its exit status, or minus the signal that ended it."""
        if self._reader is not None:
            # Whoever waits no longer ends the waiting, not the reading.
            await asyncio.shield(self._reader)
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and kill it when it does not."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_GRACE_S):
                await self.ended()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self.ended()

    def wind_up(self) -> None:
        """Tell SIPp to place no more calls, and to end with the last one that stands."""
        self._signal(signal.SIGUSR1)

    def kill(self) -> None:
        """SIGKILL it with all its children."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def _read(self, on_line: Callable[[bytes], None]) -> None:
        if self._process.stdout is None:
            return
        async for line in self._process.stdout:
            on_line(line)
