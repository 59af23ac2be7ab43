"""The lines with a delay between the members of etcd: `line`, as a process that takes orders."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Final

from loadtests.bench import servers
from loadtests.bench.errors import BenchError

LINES_READY_S: Final = 10.0


class Lines:
    """The lines between the members."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def let_take(self, ms: float) -> None:
        """Let everything take so long from now on, each way."""
        if self._process.stdin is None:
            raise BenchError("the lines between the sites take no orders")
        self._process.stdin.write(b"%g\n" % ms)
        await self._process.stdin.drain()


@contextlib.asynccontextmanager
async def lines_up() -> AsyncIterator[Lines]:
    """Have lines between the members that are set up as far from each other, in the block."""
    pairs = (f"{servers.FAR[name]}:2380={servers.MEMBERS[name]}:2380" for name in servers.MEMBERS)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtests.bench.distance.line", *pairs),
        cwd=servers.PROJECT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if process.stdout is None:
            raise BenchError("the lines between the sites say nothing")
        async with asyncio.timeout(LINES_READY_S):
            await process.stdout.readline()
        yield Lines(process)
    finally:
        process.kill()
        await process.wait()
