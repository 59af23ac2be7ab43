"""Runs Locust's processes: a master and its workers, until they end or have had their time.

An incident of theirs ends the load and not the report: what they have left is told, and why it is
not the whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from drills.lab.lab import PROJECT
from loadtests.load.faults import Done
from loadtests.load.figures import TableRow
from loadtests.load.plan import BROKEN, ENVIRONMENT, RAN, ROWS, SAID, Plan
from loadtests.load.ran import Ran, log_lines, why_incomplete
from loadtests.load.saying import tell
from loadtests.load.telling import Told, hear

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
PROGRESS, PAGE = "progress.json", "page.html"
TELL_S: Final = 2.0
OVER_S: Final = 240.0
"""How much longer than its shape a load may take: telephones start (`BEGINS_WITHIN_S`), calls end
(`ENDS_WITHIN_S`), telephones sign out."""
WORKERS_END_S: Final = 60.0
"""How much longer than the master a worker may live: it stops telephones and SIPp."""
LAST_LINES: Final = 12
"""Of each log, when there is something to explain."""


class Patience(Struct, frozen=True, kw_only=True):
    """How long processes may take beyond what they are there for."""

    over_s: float = OVER_S
    workers_end_s: float = WORKERS_END_S


PATIENCE: Final = Patience()

Starter: TypeAlias = Callable[..., Awaitable[asyncio.subprocess.Process]]


async def people(
    plan: Plan,
    file: Path,
    port: int,
    start: Starter | None = None,
    patience: Patience = PATIENCE,
) -> tuple[str, ...]:
    """Let the people come, until all are gone.

    Return why their tables are not those of a whole load, with the ends of Locust's logs; nothing:
    they are. `port` is where the master listens; `start` starts a process by plan, file of the
    plan, name and words.
    """
    start = start or _locust
    programs = [await start(plan, file, "master", *_master(plan, port))]
    stopped, ended_badly, was_killed = "", [], False
    telling = asyncio.create_task(_tell_progress(plan))
    try:
        for number in range(plan.request.workers):
            to_master = ("--worker", "--master-host", "127.0.0.1", "--master-port", str(port))
            programs.append(await start(plan, file, f"worker-{number}", *to_master))
        stopped = await _until_over(programs, plan.request.seconds, patience)
        # Before those that are left are killed: who had ended by itself, and how.
        ended_badly = [
            f"Locust's worker {number} ended with exit code {program.returncode}"
            for number, program in enumerate(programs[1:])
            if program.returncode
        ]
        # The master misses one half a minute later, when the load may be over: its people were not
        # there to the end, and what they met last is in no table.
        was_killed = any((program.returncode or 0) < 0 for program in programs[1:])
    finally:
        telling.cancel()
        await _end(programs)
    why = stopped or why_incomplete(await asyncio.to_thread(ran, plan.folder), plan.request.seconds)
    if not why and not was_killed:
        return ()
    last_words = await asyncio.to_thread(_last_words, plan.folder)
    return (*filter(None, (why,)), *ended_badly, *last_words)


async def _until_over(
    programs: list[asyncio.subprocess.Process], seconds: float, patience: Patience
) -> str:
    """Wait for the master and then for its workers; return what is wrong, or nothing."""
    master, *workers = programs
    within_s = seconds + patience.over_s
    try:
        async with asyncio.timeout(within_s):
            await master.wait()
    except TimeoutError:
        return f"Locust has not ended within {within_s:g} s: its processes were stopped"
    # A worker that outlives its master is only late with its telephones: the tables are there.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience.workers_end_s):
            await asyncio.gather(*(each.wait() for each in workers))
    return ""


async def _end(programs: Iterable[asyncio.subprocess.Process]) -> None:
    for program in programs:
        if program.returncode is None:
            program.kill()
            await program.wait()


def rows(folder: Path) -> tuple[TableRow, ...]:
    """Return Locust's tables as it has written them last; none if it never has."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((folder / ROWS).read_bytes(), type=tuple[TableRow, ...])
    return ()


def done(folder: Path) -> tuple[Done, ...]:
    """Return what became of the faults whose time has come."""
    found = []
    with contextlib.suppress(OSError):
        for line in (folder / BROKEN).read_bytes().splitlines():
            # The last one may be half of one, if the master was ended just then.
            with contextlib.suppress(msgspec.MsgspecError):
                found.append(msgspec.json.decode(line, type=Done))
    return tuple(found)


def said(folder: Path) -> Iterator[Told]:
    """Yield what telephones have said of calls: that they were placed, and how they went."""
    for file in sorted(folder.glob(f"{SAID}-*.jsonl")):
        with file.open("rb") as lines:
            yield from (told for line in lines if (told := hear(line)) is not None)


def ran(folder: Path) -> Ran | None:
    """Return how long people came; None: the master has left nothing."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((folder / RAN).read_bytes(), type=Ran)
    return None


def _last_words(folder: Path) -> list[str]:
    """Return the ends of the logs of Locust's processes."""
    told = []
    for log in sorted(folder.glob("locust-*.log")):
        lines = log_lines(log.read_text(errors="replace"))
        told += [f"{log.stem}: {line}" for line in lines[-LAST_LINES:]]
    return told


def _master(plan: Plan, port: int) -> tuple[str, ...]:
    return (
        *("--master", "--headless", "--master-bind-host", "127.0.0.1"),
        *("--master-bind-port", str(port), "--expect-workers", str(plan.request.workers)),
        *("--expect-workers-max-wait", "30", "--only-summary"),
        *("--html", str(plan.folder / PAGE), "--exit-code-on-error", "0"),
    )


async def _locust(plan: Plan, file: Path, name: str, *words: str) -> asyncio.subprocess.Process:
    with (plan.folder / f"locust-{name}.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *words),
            cwd=PROJECT,
            env=os.environ | {ENVIRONMENT: str(file), "PYTHONPATH": str(PROJECT)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _tell_progress(plan: Plan) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while True:
        await asyncio.sleep(TELL_S)
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            told = msgspec.json.decode((plan.folder / PROGRESS).read_bytes())
            tell("progress", at_s=round(loop.time() - began_s, 1), **told)
