"""What Locust loads: the people, the shape, and what its processes do beside them.

`python -m loadtests.load` starts the master and the workers with this file; the plan is in the file
that the environment names.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import gevent
import msgspec
from locust import LoadTestShape, User, events, runners
from locust.env import Environment
from locust.runners import MasterRunner, Runner, WorkerRunner
from locust.stats import StatsEntry
from msgspec.structs import replace

from drills.desk import answers, asks
from drills.desk.client import connected
from drills.desk.errors import DeskError
from drills.drill.machine import LOOK_EVERY_S, Machine
from loadtests.load import faults
from loadtests.load.faults import PUT_OFF_S, Done, Planned
from loadtests.load.figures import TableRow
from loadtests.load.people.agent import Agent
from loadtests.load.people.around import NO_PHONES, READY, around, close, enter
from loadtests.load.people.caller import Caller  # noqa: F401 - Locust looks for users here
from loadtests.load.people.engineer import Engineer
from loadtests.load.people.manager import Manager
from loadtests.load.plan import BROKEN, ENVIRONMENT, RAN, ROWS, read_plan
from loadtests.load.ran import Ran, why_not_begun
from loadtests.load.shapes import callers
from loadtests.load.volume import Volume
from state.clock import SystemClock

PLAN = read_plan(Path(os.environ[ENVIRONMENT]))
FAULTS = msgspec.json.decode((PLAN.folder / faults.FILE).read_bytes(), type=tuple[Planned, ...])
SPAWN_PER_S: Final = 50
PROGRESS_S: Final = 1.0
ROWS_EVERY: Final = 15
"""Progresses: so often the tables are written, for the case that this process does not end well."""
ENDS_WITHIN_S: Final = 75.0
"""How long calls that are under way may take to their end: longer than callers have patience."""
PROGRESS: Final = "progress.json"

runners.HEARTBEAT_LIVENESS = 30
"""Seconds. Locust gives up a worker of which it hears nothing for three, and with the last one the
load. On a machine that the load fills, a worker that starts telephones is silent for longer."""
Agent.fixed_count = len(PLAN.agents)
_STAFF: Final[list[type[User]]] = [Manager, Engineer]
_volume: list[Volume] = []


class Busy(Machine):
    """The machine, and how busy it was at most."""

    most: float | None = None

    def look(self) -> None:
        """Look, and remember the most."""
        super().look()
        self.most = max(self.most or 0.0, *self.measure().values())


MACHINE: Final = Busy()


class Shape(LoadTestShape):
    """So many people as the plan's shape says, and at the end nobody until all calls are over.

    Its time begins when the callers of all workers have telephones. On a machine that is busy with
    others it takes half a minute until then, in which a short load would be over.
    """

    _has_begun = False
    _waits_from_s = 0.0
    never_began = ""
    began_ms = 0
    """When its time began, by the wall clock."""
    at_s = 0.0
    """How far it is."""
    stood_still_s = 0.0
    workers_lost = 0

    def tick(self) -> tuple[int, float] | None:
        """Return how many there are to be now; None: it is over."""
        everybody = len(_STAFF) + len(PLAN.agents)
        if not self._has_begun:
            self.reset_time()  # type: ignore[no-untyped-call]
            if len(have_telephones()) < PLAN.request.workers:
                self.never_began = self._why_not_begun()
                return None if self.never_began else (everybody, SPAWN_PER_S)
            self._has_begun = True
            self.began_ms = SystemClock().now().wall_ms
            if self.runner is not None:
                gevent.spawn(look_at_machine)
                for each in FAULTS:
                    gevent.spawn_later(each.at_s, break_something, self.runner.environment, each)
        at_s: float = self.get_run_time()  # type: ignore[no-untyped-call]
        self.stood_still_s = max(self.stood_still_s, at_s - self.at_s)
        self.at_s = at_s
        if isinstance(self.runner, MasterRunner):
            self.workers_lost = max(self.workers_lost, len(self.runner.clients.missing))
        now = callers(PLAN.request, at_s)
        if now is None:
            has_time = at_s < PLAN.request.seconds + ENDS_WITHIN_S
            return (everybody, SPAWN_PER_S) if has_time and calls_under_way() else None
        return everybody + now, SPAWN_PER_S

    def _why_not_begun(self) -> str:
        now_s = time.monotonic()
        self._waits_from_s = self._waits_from_s or now_s
        said = {_worker(file): file.read_text() for file in PLAN.folder.glob(f"{NO_PHONES}-*")}
        return why_not_begun(
            PLAN.request.workers, have_telephones(), said, now_s - self._waits_from_s
        )


def have_telephones() -> set[int]:
    """Return the workers whose callers have."""
    return {_worker(file) for file in PLAN.folder.glob(f"{READY}-*")}


def _worker(file: Path) -> int:
    """Return the worker of whom a file tells, by its name."""
    return int(file.name.rpartition("-")[2])


def calls_under_way() -> int:
    """Return how many callers' calls the workers have not seen the end of."""
    return sum(int(file.read_text() or 0) for file in PLAN.folder.glob("under-way-*"))


@events.test_start.add_listener
def begin(environment: Environment, **_: Any) -> None:  # noqa: ANN401 - Locust's hook
    """Start what this process does beside its users."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        gevent.spawn(tell_progress, runner)
    elif isinstance(runner, WorkerRunner):
        here = around(environment)
        gevent.spawn(here.begin)
        if PLAN.request.sipp_per_s and not runner.worker_index:
            _volume.append(Volume(here.plan, lambda row: enter(environment, row)))


@events.quitting.add_listener
def finish(environment: Environment, **_: Any) -> None:  # noqa: ANN401 - Locust's hook
    """Stop the telephones; at the master, leave the tables."""
    while _volume:
        _volume.pop().stop()
    close()
    if isinstance(environment.runner, MasterRunner):
        write_rows(environment)
        shape = environment.shape_class
        if isinstance(shape, Shape):
            ran = Ran(
                ran_s=shape.at_s,
                stood_still_s=shape.stood_still_s,
                workers_lost=shape.workers_lost,
                never_began=shape.never_began,
                began_ms=shape.began_ms,
                runnable_per_core=MACHINE.most,
            )
            (PLAN.folder / RAN).write_bytes(msgspec.json.encode(ran))


def tell_progress(runner: Runner) -> None:
    """Write how far it is, once a second, for whoever looks."""
    for second in itertools.count():
        if second % ROWS_EVERY == 0:
            write_rows(runner.environment)
        total = runner.stats.total
        told = {
            "users": runner.user_count,
            "rows": total.num_requests,
            "failed": total.num_failures,
            "calls": calls_under_way(),
        }
        write_whole(PROGRESS, told)
        gevent.sleep(PROGRESS_S)


def write_rows(environment: Environment) -> None:
    """Write the tables as they are."""
    write_whole(ROWS, tuple(table_rows(environment)))


def write_whole(name: str, value: object) -> None:
    """Write a file of JSON into the plan's folder; whoever reads it never sees half of it."""
    part = PLAN.folder / f"{name}.part"
    part.write_bytes(msgspec.json.encode(value))
    part.replace(PLAN.folder / name)


def look_at_machine() -> None:
    """Look how busy it is, for as long as the load lasts."""
    while True:
        MACHINE.look()
        gevent.sleep(LOOK_EVERY_S)


def break_something(environment: Environment, planned: Planned) -> None:
    """Have the lab's fault agent make a fault; whether it did is a row of the tables."""
    began_s = time.monotonic()
    while (lacked := planned.lacks(MACHINE.measure())) and time.monotonic() < began_s + PUT_OFF_S:
        gevent.sleep(LOOK_EVERY_S)
    put_off_s = round(time.monotonic() - began_s, 1)
    if lacked:
        done = Done(
            at_s=planned.at_s,
            drill=planned.drill,
            fault=planned.fault,
            problem=f"not begun: {lacked}",
            put_off_s=put_off_s,
            lacked=lacked,
        )
    else:
        done = replace(_broken(planned), put_off_s=put_off_s)
    with (PLAN.folder / BROKEN).open("ab") as file:
        file.write(msgspec.json.encode(done) + b"\n")
    environment.events.request.fire(
        request_type="FAULT",
        name=planned.drill,
        response_time=0.0,
        response_length=0,
        exception=RuntimeError(done.problem) if done.problem and not done.lacked else None,
        context={},
    )


def _broken(planned: Planned) -> Done:
    fault, at_s, drill = planned.aimed(None), planned.at_s, planned.drill
    try:
        with connected(PLAN.lab) as line:
            if "{" in planned.fault.target:
                sites = line.ask(asks.StatusAsk(), answers.Status).sites
                leads = (row.site for row in sites if row.etcd is answers.Role.LEADER)
                fault = planned.aimed(next(leads, None))
            ask = asks.FaultAsk(do=asks.FaultDo.BREAK, fault=fault, by="load")
            made = line.ask(ask, answers.Faults).made
    except DeskError as error:
        return Done(at_s=at_s, drill=drill, fault=fault, problem=str(error))
    last = next((each for each in reversed(made) if each.fault == fault), made[-1])
    return Done(at_s=at_s, drill=drill, fault=fault, from_ms=last.at_ms, until_ms=last.until_ms)


def table_rows(environment: Environment) -> Iterator[TableRow]:
    """Yield the rows of the tables."""
    for entry in environment.stats.entries.values():
        yield _row(entry)


def _row(entry: StatsEntry) -> TableRow:
    return TableRow(
        kind=str(entry.method),
        name=str(entry.name),
        count=entry.num_requests,
        failed=entry.num_failures,
        mean_ms=round(entry.avg_response_time, 1),
        p50_ms=entry.get_response_time_percentile(0.5) or 0,
        p95_ms=entry.get_response_time_percentile(0.95) or 0,
        p99_ms=entry.get_response_time_percentile(0.99) or 0,
        most_ms=round(entry.max_response_time, 1),
        timed=entry.num_requests - entry.num_none_requests,
    )
