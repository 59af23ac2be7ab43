"""`python -m loadtests.load START`, in the lab's own network: carries one load out.

START is JSON (`Start`). What happens is told on standard output, one JSON object a line: `step`,
`progress`, `alive`, and at the end `done` with the report, or `failed` with why. Once people have
come there is a report, whatever becomes of them; one that is not of a whole load says why and does
not hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from drills.desk.errors import DeskError
from drills.experiment import ExperimentError
from drills.library import experiments
from loadtests.load import faults, locusts, processes
from loadtests.load.after import After, LabDesk, look, watch
from loadtests.load.center import DID, QUEUE, VOLUME_DID, Center, CenterError
from loadtests.load.figures import Limits, LimitsError, read_limits
from loadtests.load.judging import Seen, keep, report_of
from loadtests.load.logs import Logs
from loadtests.load.plan import Plan, Request, SiteRef
from loadtests.load.report import Report
from loadtests.load.saying import tell, tell_that_it_lives
from loadtests.load.watching import watched
from state.clock import SystemClock

LIMITS: Final = Path(__file__).with_name("limits")
SAMPLES: Final = 60
"""So often the processes are looked at over a load, and once in five seconds at least."""
SAMPLE_S: Final = (0.5, 5.0)
HELD_S: Final = (1.0, 15.0)
"""What the center holds: all its edges are asked for it."""
STOPPED: Final = "it was stopped before its time was over"


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
    except (LoadError, CenterError, LimitsError, DeskError, ExperimentError) as error:
        tell("failed", why=str(error))
        return 1
    except Exception as error:  # noqa: BLE001 - the log goes with the lab: whoever waits hears it
        traceback.print_exc()
        tell("failed", why=_fault(error))
        return 1


def _fault(error: Exception) -> str:
    """Return what is wrong with us, and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    return f"a fault of the load's own, {type(error).__name__} in {where}: {error}"


async def _until_stopped(start: Start) -> int:
    """Carry it out; told to stop, undo first."""
    work = asyncio.ensure_future(carry_out(start))
    living = asyncio.create_task(tell_that_it_lives())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        tell("failed", why="stopped")
        return 1
    finally:
        living.cancel()


async def carry_out(start: Start) -> int:
    """Make the load's center, let the people come, look at what came of it, take all away."""
    limits, planned = _limits(start), _planned(start)
    password = Path(start.first_password).read_text().strip()  # noqa: ASYNC240 - once
    _empty(Path(start.folder))
    center = Center(start.sites, password)
    seen = Seen(logs=Logs(Path(start.logs)), planned=planned)
    async with _furnished(center, start.request) as run:
        plan = _plan(start, center, run)
        file = _write_plan(plan, planned)
        tell("step", what=_told(plan, planned))
        try:
            incomplete, after = await _attended(plan, file, seen)
        except asyncio.CancelledError:
            # Whoever stops it has little patience: the files first, and without the ledger.
            nothing = After(books=None, left={}, unknown=(STOPPED,))
            with contextlib.suppress(OSError):
                _keep(start, report_of(plan, limits, (), nothing, seen))
            raise
    await seen.logs.read_to_the_end()
    report = await asyncio.to_thread(report_of, plan, limits, incomplete, after, seen)
    try:
        await asyncio.to_thread(_keep, start, report)
    except OSError as error:
        report = replace(report, held=False, unwritten=str(error))
    except Exception as error:  # noqa: BLE001 - a page that cannot be drawn: the figures are told
        traceback.print_exc()
        report = replace(report, held=False, unwritten=_fault(error))
    tell("done", report=report)
    return 0 if report.held else 1


async def _attended(plan: Plan, file: Path, seen: Seen) -> tuple[tuple[str, ...], After]:
    """Let the people come, and look meanwhile and after; return also why it is not whole."""
    desk, asked = LabDesk(plan.lab), plan.request
    looks = {
        "the processes": processes.watch(_each_s(asked, SAMPLE_S), seen.rounds),
        "the logs": seen.logs.follow(),
    }
    async with watched(looks) as broken_off:
        # While people call: afterwards there is less from moment to moment.
        holding = {"what is held": watch(desk, _each_s(asked, HELD_S), seen.held)}
        async with watched(holding) as unasked:
            incomplete = await locusts.people(plan, file, locusts.free_port())
        after = await look(plan, desk)
    return (*incomplete, *broken_off, *unasked), after


def _keep(start: Start, report: Report) -> None:
    keep(report, Path(start.folder) / locusts.PAGE, json=start.json, html=start.html)


def _limits(start: Start) -> Limits:
    file = Path(start.limits or LIMITS / f"{start.request.shape}.toml")
    try:
        return read_limits(file.read_text(), str(file))
    except OSError as error:
        raise LoadError(f"{file} cannot be read: {error.strerror}") from error


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)


def _write_plan(plan: Plan, planned: Sequence[faults.Planned]) -> Path:
    (plan.folder / faults.FILE).write_bytes(msgspec.json.encode(planned))
    file = plan.folder / "plan.json"
    file.touch(mode=0o600)
    file.write_bytes(msgspec.json.encode(plan))
    return file


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
        began_ms=SystemClock().now().wall_ms,
    )


def _planned(start: Start) -> tuple[faults.Planned, ...]:
    drills = experiments()
    methods = {name: drills[name].method for name in faults.DRILLS}
    needs = {name: drills[name].ready for name in faults.DRILLS}
    return faults.plan_faults(start.request, [site.id for site in start.sites], methods, needs)


def _told(plan: Plan, planned: Sequence[faults.Planned]) -> str:
    asked = plan.request
    drawn = f", {len(planned)} faults by seed {asked.seed}" if planned else ""
    return f"{asked.shape}: {asked.seconds:g} s{drawn}"


def _each_s(request: Request, bounds: tuple[float, float]) -> float:
    least_s, most_s = bounds
    return min(most_s, max(least_s, request.seconds / SAMPLES))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
