"""Calls that stay: a queue that is filled, and kept as it is for as long as a block lasts."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from msgspec.structs import replace

from loadtests.bench import servers
from loadtests.bench.errors import BenchError
from loadtests.bench.queue.generator import FILL_WITHIN_S, Order
from loadtests.bench.scene import Scene

PATIENCE_S: Final = 900.0


@contextlib.asynccontextmanager
async def held(scene: Scene, *, agents: int, waiting: int) -> AsyncIterator[None]:
    """Have `agents` talk and `waiting` callers wait. BenchError: they do not come in."""
    order = Order(
        scene=replace(scene, patience_s=PATIENCE_S),
        agents=agents,
        waiting=waiting,
        wrap_up_s=0.0,
        warm_up_s=0.0,
        seconds=0.0,
        refills=0,
        holds=True,
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtests.bench.queue.generator"),
        msgspec.json.encode(order).decode(),
        cwd=servers.PROJECT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if process.stdout is None:
            raise BenchError("the generator has no pipe")
        async with asyncio.timeout(FILL_WITHIN_S + 10):
            line = await process.stdout.readline()
        if int(line or 0) < agents + waiting:
            raise BenchError(f"only {int(line or 0)} of {agents + waiting} calls came in")
        yield
    finally:
        process.kill()
        await process.wait()
