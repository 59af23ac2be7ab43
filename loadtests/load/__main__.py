"""`python -m loadtests.load START`, in the lab's own network: carries one load out.

START is JSON (`Start`). What happens is told on standard output, one JSON object a line: `step`,
`progress`, and at the end `done` with the report, or `failed` with why.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from drills.demo import phones
from drills.desk import answers, asks, call_answers
from drills.desk.client import connected
from drills.desk.errors import DeskError
from drills.experiment import Fault
from drills.figures_file import write_figures
from drills.lab.lab import PROJECT
from loadtests.bench.machine import machine
from loadtests.load import books, complaints, figures, growth, processes, shapes
from loadtests.load.center import DID, QUEUE, VOLUME_DID, Center, CenterError
from loadtests.load.figures import Limits, LimitsError, TableRow, read_limits
from loadtests.load.logs import Logs
from loadtests.load.page import with_verdict
from loadtests.load.plan import ENVIRONMENT, RAN, ROWS, SAID, Plan, Request, SiteRef
from loadtests.load.ran import Ran, log_lines, why_incomplete
from loadtests.load.report import Report

LIMITS: Final = Path(__file__).with_name("limits")
LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
PROGRESS, PAGE = "progress.json", "page.html"
TELL_S: Final = 2.0
SAMPLES: Final = 60
"""So often the processes are looked at over a load, and once in five seconds at least."""
SAMPLE_S: Final = (0.5, 5.0)
OVER_S: Final = 120.0
"""How much longer than its shape a load may take: calls end, telephones sign out."""
LAST_LINES: Final = 12
"""Of each log, when there is nothing else to show."""
LEDGER_MOST: Final = 100_000
LEFT_S: Final = 40.0
"""How long it may take after the last call until nothing is held for one: a BYE to a phone that is
gone is given up after half a minute."""
LEDGER_S: Final = 10.0
"""How long a call may take from its end into the ledger."""


class Start(Struct, frozen=True, kw_only=True):
    """What the lab says of itself, and what is asked."""

    request: Request
    lab: int
    sites: tuple[SiteRef, ...]
    carrier: str
    hosts: dict[str, str]
    first_password: str
    """A file, as the following."""
    folder: str
    logs: str
    """The folder of the center's programs' logs."""
    json: str | None = None
    html: str | None = None
    limits: str | None = None


class LoadError(Exception):
    """The load cannot go on. The text names the thing and the way out."""


def main(argv: list[str]) -> int:
    """Carry it out. Exit code 0: all limits held; 1: they did not, or it could not be done."""
    start = msgspec.json.decode(argv[0], type=Start)
    try:
        return asyncio.run(_until_stopped(start))
    except (LoadError, CenterError, LimitsError, DeskError) as error:
        tell("failed", why=str(error))
        return 1


async def _until_stopped(start: Start) -> int:
    """Carry it out; told to stop, undo first."""
    work = asyncio.ensure_future(carry_out(start))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        tell("failed", why="stopped")
        return 1


def tell(event: str, **fields: object) -> None:
    """Say something to whoever asked for the load."""
    sys.stdout.buffer.write(msgspec.json.encode({"event": event, **fields}) + b"\n")
    sys.stdout.buffer.flush()


async def carry_out(start: Start) -> int:
    """Make the load's center, let the people come, look at what came of it, take all away."""
    limits, password = _limits(start), Path(start.first_password).read_text().strip()  # noqa: ASYNC240 - once
    folder = _empty(Path(start.folder))
    center = Center(start.sites, password)
    seen: list[growth.Round] = []
    logs = Logs(Path(start.logs))
    async with _furnished(center, start.request) as run:
        plan = _plan(start, center, run)
        file = _write_plan(plan)
        watching = asyncio.create_task(processes.watch(_sample_s(start.request), seen))
        try:
            await _people(plan, file)
            tell("step", what="comparing the callers' accounts with the ledger")
            kept = await _books(plan)
            left = await _left(plan)
        finally:
            watching.cancel()
    complained = complaints.complaints(
        await asyncio.to_thread(logs.read), {fault.kind for _, fault in _planned(plan)}
    )
    report = _report(plan, limits, _rows(folder), _Found(kept, left, seen, complained))
    try:
        await asyncio.to_thread(_keep, start, report)
    except OSError as error:
        raise LoadError(f"the report cannot be written: {error}") from error
    tell("done", report=report)
    return 0 if report.held else 1


def _limits(start: Start) -> Limits:
    file = Path(start.limits or LIMITS / f"{start.request.shape}.toml")
    try:
        return read_limits(file.read_text(), str(file))
    except OSError as error:
        raise LoadError(f"{file} cannot be read: {error.strerror}") from error


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder


def _write_plan(plan: Plan) -> Path:
    file = plan.folder / "plan.json"
    file.touch(mode=0o600)
    file.write_bytes(msgspec.json.encode(plan))
    return file


def _rows(folder: Path) -> tuple[TableRow, ...]:
    return msgspec.json.decode((folder / ROWS).read_bytes(), type=tuple[TableRow, ...])


class _Found(Struct, frozen=True):
    """What was found beside Locust's tables."""

    books: books.Books
    left: Mapping[str, float]
    seen: Sequence[growth.Round]
    complaints: tuple[complaints.Complaint, ...]


def _report(plan: Plan, limits: Limits, rows: tuple[TableRow, ...], more: _Found) -> Report:
    grown = growth.worst(more.seen)
    told = more.books.figures() | dict(more.left) | growth.figures(grown)
    found = figures.figures(rows, told | complaints.figures(more.complaints))
    judged = figures.judge(limits, found)
    return Report(
        shape=plan.request.shape,
        request=plan.request,
        machine=machine("at the end"),
        rows=rows,
        figures=found,
        limits=judged,
        held=all(each.held for each in judged),
        missing_calls=more.books.missing[:20],
        contradicted_calls=more.books.contradicted[:20],
        growth=grown,
        complaints=more.complaints,
        faults=tuple(f"at {at_s:g} s: {fault.told()}" for at_s, fault in _planned(plan)),
    )


def _keep(start: Start, report: Report) -> None:
    if start.json is not None:
        write_figures(Path(start.json), report)
    if start.html is not None:
        page = (Path(start.folder) / PAGE).read_text()
        Path(start.html).write_text(with_verdict(page, report))


@contextlib.asynccontextmanager
async def _furnished(center: Center, request: Request) -> AsyncIterator[str]:
    """Have the load's agents and queues in the center while the block lasts."""
    run = secrets.token_hex(3)
    tell("step", what=f"adding {request.agents} agents, two queues and a manager over the API")
    try:
        await center.make(request.agents, run)
        yield run
    finally:
        tell("step", what="taking the load's agents and queues away")
        for left in await center.take_away():
            tell("step", what=f"could not be taken away: {left}")


def _plan(start: Start, center: Center, run: str) -> Plan:
    sites = [site.id for site in start.sites]
    return Plan(
        request=start.request,
        lab=start.lab,
        where=start.folder,
        sites=start.sites,
        carrier=start.carrier,
        hosts=start.hosts,
        did=DID,
        volume_did=VOLUME_DID,
        queue=QUEUE,
        agents=center.agents,
        manager=center.manager(run),
        password=center.password,
        faults=tuple(
            (at_s, msgspec.json.encode(fault).decode())
            for at_s, fault in shapes.faults(start.request, sites)
        ),
    )


def _planned(plan: Plan) -> tuple[tuple[float, Fault], ...]:
    return shapes.faults(plan.request, [site.id for site in plan.sites])


def _sample_s(request: Request) -> float:
    least_s, most_s = SAMPLE_S
    return min(most_s, max(least_s, request.seconds / SAMPLES))


# ---- Locust


async def _people(plan: Plan, file: Path) -> None:
    """Run Locust: a master and its workers; return when all are over."""
    tell("step", what=f"{plan.request.shape}: {plan.request.seconds:g} s")
    port = _free_port()
    programs = [await _locust(plan, file, "master", *_master(plan, port))]
    try:
        for number in range(plan.request.workers):
            to_master = ("--worker", "--master-host", "127.0.0.1", "--master-port", str(port))
            programs.append(await _locust(plan, file, f"worker-{number}", *to_master))
        telling = asyncio.create_task(_tell_progress(plan))
        try:
            async with asyncio.timeout(plan.request.seconds + OVER_S):
                await programs[0].wait()
                for program in programs[1:]:
                    await program.wait()
        except TimeoutError:
            raise LoadError("Locust has not ended in time: its processes were stopped") from None
        finally:
            telling.cancel()
    finally:
        for program in programs:
            if program.returncode is None:
                program.kill()
                await program.wait()
    why = why_incomplete(await asyncio.to_thread(_ran, plan.folder), plan.request.seconds)
    if why is not None:
        raise LoadError(f"{why}; it says:\n{_last_words(plan.folder)}")


def _ran(folder: Path) -> Ran | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((folder / RAN).read_bytes(), type=Ran)
    return None


def _last_words(folder: Path) -> str:
    """Return the ends of the logs of Locust's processes."""
    told = []
    for log in sorted(folder.glob("locust-*.log")):
        lines = log_lines(log.read_text(errors="replace"))
        told += [f"{log.stem}: {line}" for line in lines[-LAST_LINES:]]
    return "\n".join(told)


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


def _free_port() -> int:
    import socket  # noqa: PLC0415 - for this alone

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


# ---- the ledger


async def _books(plan: Plan) -> books.Books:
    """Compare, again and again until nothing is missing or it has had its time."""
    lines = [
        line
        for file in plan.folder.glob(f"{SAID}-*.jsonl")
        for text in file.read_bytes().splitlines()
        if (line := phones.parse(text)) is not None
    ]
    callers, agents = phones.caller_reports(lines), phones.agent_reports(lines)
    ends_s = asyncio.get_running_loop().time() + LEDGER_S
    while True:
        over = await asyncio.to_thread(_ledger, plan.lab)
        found = books.compare(callers, agents, [(row.call, row.outcome) for row in over])
        if found.is_exact or asyncio.get_running_loop().time() > ends_s:
            return found
        await asyncio.sleep(0.5)


async def _left(plan: Plan) -> dict[str, float]:
    """Return what edges and relays still hold, once it is nothing or has had its time."""
    ends_s = asyncio.get_running_loop().time() + LEFT_S
    while True:
        status = await asyncio.to_thread(_status, plan.lab)
        edges, queues = status.edges, status.queues
        left = {
            "left.calls": float(sum(sum(edge.calls.values()) for edge in edges)),
            "left.tickets": float(sum(q.waiting + q.ringing + q.talking for q in queues)),
            "left.legs": float(sum(edge.legs for edge in edges)),
            "left.media_calls": float(sum(edge.media_calls or 0 for edge in edges)),
            "left.silent_edges": float(sum(not edge.answers for edge in edges)),
        }
        if not any(left.values()) or asyncio.get_running_loop().time() > ends_s:
            return left
        await asyncio.sleep(0.5)


def _status(lab: int) -> answers.Status:
    with connected(lab) as line:
        return line.ask(asks.StatusAsk(), answers.Status)


def _ledger(lab: int) -> list[call_answers.CallRow]:
    with connected(lab) as line:
        told = line.ask(asks.CallsAsk(last=LEDGER_MOST), call_answers.Calls)
    return [row for row in told.calls if row.state is None]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
