"""`python -m edge.phone`: phones that do what a JSON object says and report in JSON lines.

Ends when all callers are done and there is no agent and nothing more can come from stdin, or on
SIGTERM or SIGINT: then every call is hung up, every phone unregistered and every call summed up
first.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path

from edge.phone.config import ConfigError, Plan, read, read_file
from edge.phone.fleet import Fleet
from edge.phone.report import Report
from state import start
from state.clock import SystemClock

_LONGEST_LINE = 4 * 1024 * 1024


def main() -> int:
    """Run; return the exit status."""
    options = _parse()
    try:
        return asyncio.run(_run(options.host, options.seed, options.config, listens=options.stdin))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"phones: cannot use {options.host or 'that address'}: {error.strerror}\n")
        return 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m edge.phone", description=__doc__)
    parser.add_argument(
        "--config", type=Path, help="a file with one JSON object (edge/phone/config.py)"
    )
    parser.add_argument("--host", default="", help="local IPv4 address; else `host` of the file")
    parser.add_argument("--seed", type=int, default=None, help="else `seed` of the file")
    parser.add_argument("--stdin", action="store_true", help="take more such objects, one a line")
    return parser.parse_args()


async def _run(host: str, seed: int | None, config: Path | None, *, listens: bool) -> int:
    plan = Plan() if config is None else read_file(config)
    host = host or plan.host
    if not host:
        raise ConfigError("phones: no local address: give --host, or `host` in the file")
    report = Report(SystemClock(), _write)
    start.settle()
    fleet = Fleet(host, report, seed=plan.seed if seed is None else seed)
    stopped = _stop_signals()
    fleet.add(plan)
    report.process("ready", agents=len(plan.agents), callers=len(plan.callers))
    try:
        await _first_of(_until_done(fleet, listens=listens), stopped.wait(), fleet.failed())
    finally:
        await fleet.stop()
        report.process("stopped")
    return 0


def _stop_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


async def _until_done(fleet: Fleet, *, listens: bool) -> None:
    if listens:
        await _listen(fleet)
    if fleet.has_agents:
        await asyncio.Event().wait()
    await fleet.callers_done()


async def _listen(fleet: Fleet) -> None:
    """Add what each line of stdin says, until its end."""
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        if line.strip():
            fleet.add(read(line))


async def _first_of(*waits: Coroutine[object, object, object]) -> None:
    """Return when the first of them does; raise what it raised."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
