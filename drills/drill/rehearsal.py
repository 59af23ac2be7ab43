"""One drill in a lab: callers in, something broken, everything counted.

The only place where an experiment, the lab, its people and the capture meet.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from msgspec import Struct

from drills.course import Course
from drills.demo.figures import Stock
from drills.demo.programs import Program, Task
from drills.demo.run import CALLS_BEGIN_IN_S, Stage, living_edges
from drills.demo.scenario import FEWEST_CALLS, Burst, Coming, Scenario, plan
from drills.demo.stock import settle
from drills.drill import joining, witnesses
from drills.drill.called import Called
from drills.drill.feeling import Feeling
from drills.drill.ground import DyingController, Hands, LabGround, calls_after_s
from drills.drill.joining import Captured, Kept
from drills.drill.redial import Redialler
from drills.drill.short_calls import ShortCalls
from drills.drill.writing import Writer
from drills.evidence import ClockBound, Moment
from drills.experiment import Experiment, Load
from drills.fault import Fault
from drills.faults import FaultAgent, FaultClient
from drills.lab.errors import LabError
from drills.lab.lab import PROJECT
from drills.lever import Lever, Requests
from drills.runner import LOOK_EVERY_S, STEADY_FOR, STEADY_WITHIN_S, Runner
from drills.seen import Seen
from drills.shelf import AGENTS_CAPTURE, CAPTURE
from state import keys
from state.model import EdgeId, SiteId, Unreplicated

CALLERS_LINK = "w-callers"
"""The callers' link, as the router has it."""
AGENTS_LINKS = "w-agents-{site}"
SOCKET = "faults.sock"
SETTLE_S = 45.0
"""A proxy that wakes up passes on what it had not read yet. An edge that answers it waits 32 s for
an ACK that never comes, and 8 s for its BYE to be answered."""
CLOCK_MOVES_S = 2.0
"""libfaketime reads its file once a second."""
HANG_UP_S = 33.0
"""A telephone says goodbye to a site that is not there for 32 s, RFC 3261 section 17.1.2.2."""


class Rehearsed(Struct, frozen=True, kw_only=True):
    """What a drill in a lab has brought."""

    seen: Seen
    moments: tuple[Moment, ...]
    clocks: tuple[ClockBound, ...]
    pcaps: dict[str, bytes]
    """What was captured, by the name of the file that is kept of it."""


def planned(experiment: Experiment, seed: int, *, numbers_from: int = 0) -> Scenario:
    """Return who calls in a drill. In one lab no number may call in two drills: it has a past."""
    load = experiment.load
    return plan(
        seed=seed,
        calls=max(FEWEST_CALLS, load.calls),
        rounds=load.agents_per_site // 5,
        coming=Coming(calls_per_s=load.calls_per_s, burst=_burst(load), numbers_from=numbers_from),
    )


async def rehearse(
    stage: Stage,
    experiment: Experiment,
    keep: Path,
    hands: Hands,
    before_first: Callable[[], Awaitable[None]],
) -> Rehearsed:
    """Carry an experiment out on a stage that nothing is going on at; logs go to `keep`.

    `before_first` is done before its first fault.
    """
    redialler = Redialler(stage, has_carrier=experiment.load.carrier_sends_again)
    called = Called(stage, is_wanted=experiment.calls_back)
    database = stage.lab.database
    writer = Writer(stage, database) if database and experiment.needs_database else None
    links = {
        CAPTURE: (CALLERS_LINK,),
        AGENTS_CAPTURE: [AGENTS_LINKS.format(site=site) for site in stage.lab.plan.sites],
    }
    began_at = (await stage.store.range(keys.ENDED, prefix=True, limit=1)).revision
    try:
        async with (
            _captured(stage, CAPTURE, links[CAPTURE]) as callers,
            _captured(stage, AGENTS_CAPTURE, links[AGENTS_CAPTURE]) as agents,
            _agent(stage) as client,
        ):
            clocks = await witnesses.clock_bounds(stage)
            meanwhile = _Meanwhile(stage, experiment, hands.lever)
            runner = _runner(experiment, stage, client, hands, meanwhile, before_first=before_first)
            try:
                if writer is not None:
                    await writer.begin()
                course, stocks, silent = await _play(stage, runner, experiment, redialler, called)
                written = None if writer is None else await writer.written()
            finally:
                meanwhile.over()
                if writer is not None:
                    await writer.close()
    finally:
        keep_logs(stage, keep, hands.tell)
    kept = Kept(
        ledger_from=began_at,
        callers=callers.told(),
        agents=agents.told(),
        redialled=redialler.calls(),
        called=called.calls(),
        again=redialler.reports(),
        called_again=called.reports(),
        stocks=stocks,
        silent=silent,
        written=written,
        clocks=tuple(meanwhile.clocks),
        alone=meanwhile.alone,
        felt=meanwhile.feeling.felt,
        aborted_ms=meanwhile.aborted_ms,
    )
    seen = await joining.seen(stage, course, kept)
    notes = () if written is None else written.notes
    moments = (*witnesses.moments(stage, course), *witnesses.of_database(notes, course))
    pcaps = {CAPTURE: kept.callers.pcap, AGENTS_CAPTURE: kept.agents.pcap}
    return Rehearsed(seen=seen, moments=moments, clocks=clocks, pcaps=pcaps)


def keep_logs(stage: Stage, keep: Path, tell: Callable[[str], None]) -> None:
    """Keep the logs of all processes; a disk that does not take them loses no evidence."""
    shutil.rmtree(keep, ignore_errors=True)
    try:
        stage.lab.keep_logs(keep)
    except LabError as error:
        tell(str(error))


def _burst(load: Load) -> Burst | None:
    """Return when calls begin to come fast: when the steady state has been looked at."""
    if not load.burst_per_s:
        return None
    return Burst(
        from_s=load.before_s + STEADY_FOR * LOOK_EVERY_S,
        calls_per_s=load.burst_per_s,
        for_s=load.burst_s or math.inf,
    )


async def _play(
    stage: Stage, runner: Runner, experiment: Experiment, redialler: Redialler, called: Called
) -> tuple[Course, tuple[Stock, ...], tuple[EdgeId, ...]]:
    people, loop = stage.people, asyncio.get_running_loop()
    began_s = loop.time() + CALLS_BEGIN_IN_S
    calling = asyncio.create_task(people.let_call(began_s))
    dialling = asyncio.create_task(redialler.run()) if experiment.load.redial else None
    short = ShortCalls(stage, experiment.load.short_calls_per_s)
    try:
        await called.begin()
        await calling
        await short.begin()
        await asyncio.sleep(max(0.0, began_s + experiment.load.before_s - loop.time()))
        last_s = began_s + people.scenario.calls[-1].at_s - calls_after_s(experiment)
        left_s = last_s - loop.time()
        course = await runner.run(within_s=min(STEADY_WITHIN_S, max(0.0, left_s)))
        await short.over()

        async def callers_over() -> None:
            if not await people.callers_over():
                runner.note("runner", "some callers never came to an end and were stopped")
            await redialler.over()
            if not await called.over():
                runner.note("runner", "some callers are still to be called back")

        course = await runner.look_on(course, callers_over())
        stocks, silent = await settle(living_edges(stage, SiteId("")), stage.store, SETTLE_S)
        await people.agents_free(HANG_UP_S)
        return course, stocks, silent
    finally:
        calling.cancel()
        if dialling is not None:
            dialling.cancel()
        redialler.stop()
        called.stop()
        short.stop()


class _Meanwhile:
    """What is done once the first fault has been made.

    Tries what is broken, asks for the time again where a clock was set wrong, and aborts a drill
    that is about that, by the same file that `./everline drill abort` touches.
    """

    def __init__(self, stage: Stage, experiment: Experiment, lever: Lever) -> None:
        self._stage = stage
        self._experiment = experiment
        self._lever = lever
        self._aborting: asyncio.Task[None] | None = None
        self.feeling = Feeling(stage)
        self.clocks: list[ClockBound] = []
        self.alone: tuple[Unreplicated, ...] = ()
        self.aborted_ms: int | None = None
        self._request: Requests | None = None

    async def begun(self, fault: Fault) -> None:
        """Keep what no other site has, try what is broken, and ask for the time if clocks moved."""
        self.feeling.begin(fault)
        wall = self._stage.screen.wall
        self.alone = tuple(each for _, each in sorted(wall.unreplicated.items()))
        if self._experiment.aborts_after_s:
            self._aborting = asyncio.create_task(self._abort())
        if self._experiment.moves_clocks:
            await asyncio.sleep(CLOCK_MOVES_S)
            self.clocks += await witnesses.clock_bounds(self._stage)

    async def _abort(self) -> None:
        await asyncio.sleep(self._experiment.aborts_after_s)
        self.aborted_ms = self._stage.clock.now().wall_ms
        self._request = self._lever.abort()

    def over(self) -> None:
        """Let the next drill of this series begin, though this one was aborted."""
        self.feeling.over()
        if self._aborting is not None:
            self._aborting.cancel()
        if self._request is not None:
            self._lever.forget(self._request)


def _runner(  # noqa: PLR0913 - what it goes by
    experiment: Experiment,
    stage: Stage,
    client: FaultClient,
    hands: Hands,
    meanwhile: _Meanwhile,
    *,
    before_first: Callable[[], Awaitable[None]],
) -> Runner:
    dying = DyingController(client, Path(sys.executable), PROJECT)
    return Runner(
        experiment,
        ground=LabGround(
            stage,
            client,
            experiment=experiment,
            hands=hands,
        ),
        faults=dying if experiment.controller_dies else client,
        clock=stage.clock,
        tell=hands.tell,
        on_first_fault=meanwhile.begun,
        needed=experiment.needed,
        before_first=before_first,
    )


@contextlib.asynccontextmanager
async def _agent(stage: Stage) -> AsyncIterator[FaultClient]:
    """Let a fault agent serve; at the end all is mended."""
    path = stage.lab.paths.run / SOCKET
    agent = FaultAgent(stage.lab, stage.clock)
    server = await agent.serve(path)
    try:
        yield FaultClient(path)
    finally:
        server.close()
        await agent.heal_all("the end")


class _Capture:
    """One that goes on, and what it tells at its end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.dropped: int | None = None

    def told(self) -> Captured:
        """Return all of it, once it is over."""
        content = self._file.read_bytes() if self._file.exists() else b""
        return Captured(pcap=content, dropped=self.dropped)


@contextlib.asynccontextmanager
async def _captured(stage: Stage, name: str, links: Sequence[str]) -> AsyncIterator[_Capture]:
    """Record links, from outside all hosts, until the block ends."""
    file = stage.lab.paths.run / name
    file.unlink(missing_ok=True)
    said = _Capture(file)

    def hear(line: bytes) -> None:
        said.dropped = int(json.loads(line)["dropped"])

    task = Task(
        name=f"capture of {name}",
        host=None,
        argv=(sys.executable, "-m", "drills.capture", str(file), *links),
        cwd=PROJECT,
        log=stage.lab.paths.run / "log" / f"capture-{file.stem}.log",
    )
    program = await Program.start(task, hear)
    try:
        while not (file.exists() or program.is_over):  # noqa: ASYNC110 - once, short
            await asyncio.sleep(0.02)
        yield said
    finally:
        await program.stop()
