"""One drill in a lab of its own: sites up, callers in, something broken, everything counted.

The only place where an experiment, the lab, its people and the capture meet.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from drills.course import Course
from drills.demo import history
from drills.demo.failover import Kill
from drills.demo.figures import Stock
from drills.demo.ledger import join
from drills.demo.programs import Program, Task
from drills.demo.run import CALLS_BEGIN_IN_S, Stage, edge_homes, living_edges, read_records, staged
from drills.demo.scenario import FEWEST_CALLS, Burst, plan
from drills.demo.screen import Screen
from drills.demo.stock import settle
from drills.drill.ground import DyingController, LabGround
from drills.drill.redial import Redialler
from drills.evidence import ClockBound, Moment
from drills.experiment import Experiment, Load
from drills.faults import FaultAgent, FaultClient
from drills.figures import Seen, killed_site
from drills.lab.lab import PROJECT
from drills.lever import Lever
from drills.packets import read_wire
from drills.runner import LOOK_EVERY_S, STEADY_FOR, Runner
from state.model import EdgeId, SiteId

CALLERS_LINK = "w-callers"
"""The callers' link, as the router has it."""
SOCKET = "faults.sock"
SETTLE_S = 45.0
"""A proxy that wakes up passes on what it had not read yet. An edge that answers it waits 32 s for
an ACK that never comes, and 8 s for its BYE to be answered."""
_SIGNED_IN, _SIGNED_OUT = "registered", "registration_failed"
"""What telephones say of it."""
_TOLD = frozenset(
    {
        "site_down",
        "site_up",
        "site_standing",
        "media_paths_changed",
        "lease_lost",
        "edge_started",
        "dead_edge_cleared",
        "relay_dead",
        "relay_forgot_calls",
        "alone",
        "merged",
        "lease_kept_again",
    }
)
"""Lines of the edges' logs that belong on a timeline."""
_OF_THE_LOG = frozenset({"level", "edge", "site"})


class Rehearsed(Struct, frozen=True, kw_only=True):
    """What a drill in a lab has brought."""

    seen: Seen
    moments: tuple[Moment, ...]
    clocks: tuple[ClockBound, ...]
    pcap: bytes


async def rehearse(
    experiment: Experiment,
    seed: int,
    keep: Path,
    *,
    tell: Callable[[str], None],
    lever: Lever,
) -> Rehearsed:
    """Carry an experiment out in a lab that is made for it; logs go to `keep`."""
    with lever.running() as is_alone:
        return await _rehearse(experiment, seed, keep, _Hands(tell, lever, is_alone))


@dataclass(frozen=True)
class _Hands:
    """What a drill is told by, and stopped by."""

    tell: Callable[[str], None]
    lever: Lever
    is_alone: bool


async def _rehearse(experiment: Experiment, seed: int, keep: Path, hands: _Hands) -> Rehearsed:
    load = experiment.load
    scenario = plan(
        seed=seed,
        calls=max(FEWEST_CALLS, load.calls),
        calls_per_s=load.calls_per_s,
        rounds=load.agents_per_site // 5,
        burst=_burst(load),
    )
    screen = Screen(scenario=scenario)
    async with staged(screen) as stage:
        redialler = Redialler(stage)
        pcap = stage.lab.paths.run / "callers.pcap"
        try:
            async with _captured(stage, pcap) as capture, _agent(stage) as client:
                clocks = await _clock_bounds(stage)
                runner = _runner(experiment, stage, client, hands)
                course, stocks, silent = await _play(stage, runner, experiment, redialler)
                await stage.people.send_home()
            dropped = capture.dropped
        finally:
            shutil.rmtree(keep, ignore_errors=True)
            stage.lab.keep_logs(keep)
        redialled = redialler.calls()
        extra = {each.sip_call_id for each in redialled}
        again = {each.call for each in redialled}
        agents = tuple(e for e in stage.people.agent_reports() if e.call not in again)
        records = [e for e in await read_records(stage.store) if e.sip_call_id not in extra]
        content = pcap.read_bytes()
        wire = read_wire(content, stage.lab.addresses["callers"])
        planned = tuple(each for each in wire.calls if each.sip_call_id not in extra)
        seen = Seen(
            scenario=scenario,
            ledger=join(scenario, stage.people.caller_reports(), agents, records),
            agents=agents,
            offers=history.offers(stage.observer.seen),
            course=course,
            wire=msgspec.structs.replace(wire, calls=planned),
            merged_ms=_merged(stage),
            redialled=redialled,
            tickets=history.tickets(stage.observer.seen),
            dropped=dropped,
            noticed_ms=_noticed(stage, course),
            stocks=stocks,
            silent=silent,
            edges=edge_homes(stage.lab),
            writes_ms=tuple(each.at_ms for each in stage.observer.seen),
            sign_ins=tuple(
                (line.wall_ms, line.phone, line.event == _SIGNED_IN)
                for line in stage.people.lines
                if line.event in {_SIGNED_IN, _SIGNED_OUT}
            ),
        )
        moments = tuple(_moments(stage, course))
        return Rehearsed(seen=seen, moments=moments, clocks=clocks, pcap=content)


def _burst(load: Load) -> Burst | None:
    """Return when calls begin to come fast: when the steady state has been looked at."""
    if not load.burst_per_s:
        return None
    return Burst(from_s=load.before_s + STEADY_FOR * LOOK_EVERY_S, calls_per_s=load.burst_per_s)


async def _play(
    stage: Stage, runner: Runner, experiment: Experiment, redialler: Redialler
) -> tuple[Course, tuple[Stock, ...], tuple[EdgeId, ...]]:
    people, loop = stage.people, asyncio.get_running_loop()
    began_s = loop.time() + CALLS_BEGIN_IN_S
    calling = asyncio.create_task(people.let_call(began_s))
    dialling = asyncio.create_task(redialler.run()) if experiment.load.redial else None
    try:
        await calling
        await asyncio.sleep(max(0.0, began_s + experiment.load.before_s - loop.time()))
        course = await runner.run()
        if not await people.callers_over():
            runner.note("runner", "some callers never came to an end and were stopped")
        await redialler.over()
        stocks, silent = await settle(living_edges(stage, SiteId("")), stage.store, SETTLE_S)
        return course, stocks, silent
    finally:
        calling.cancel()
        if dialling is not None:
            dialling.cancel()
        redialler.stop()


def _runner(experiment: Experiment, stage: Stage, client: FaultClient, hands: _Hands) -> Runner:
    dying = DyingController(client, Path(sys.executable), PROJECT)
    return Runner(
        experiment,
        ground=LabGround(
            stage,
            client,
            calls_per_s=experiment.load.calls_per_s,
            lever=hands.lever,
            is_alone=hands.is_alone,
        ),
        faults=dying if experiment.controller_dies else client,
        clock=stage.clock,
        tell=hands.tell,
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
    dropped = 0


@contextlib.asynccontextmanager
async def _captured(stage: Stage, file: Path) -> AsyncIterator[_Capture]:
    """Record the callers' link, from outside all hosts, until the block ends."""
    said = _Capture()

    def hear(line: bytes) -> None:
        said.dropped = int(json.loads(line)["dropped"])

    task = Task(
        name="capture",
        host=None,
        argv=(sys.executable, "-m", "drills.capture", CALLERS_LINK, str(file)),
        cwd=PROJECT,
        log=stage.lab.paths.run / "log" / "capture.log",
    )
    program = await Program.start(task, hear)
    try:
        while not (file.exists() or program.is_over):  # noqa: ASYNC110, ASYNC240 - once, short
            await asyncio.sleep(0.02)
        yield said
    finally:
        await program.stop()


# ---- who saw what --------------------------------------------------------------------------------


async def _clock_bounds(stage: Stage) -> tuple[ClockBound, ...]:
    """Ask an edge of each site for the time: its clock differs by what the asking took at most."""
    found = []
    for site in stage.lab.plan.sites:
        edge = stage.lab.plan.edges(site)[0]
        path = stage.lab.paths.of(site) / f"edge-{edge}.sock"
        before_ms = _precise_ms()
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(b'{"cmd": "status"}\n')
            await writer.drain()
            theirs_ms = float(json.loads(await reader.readline())["wall_ms"])
        finally:
            writer.close()
        after_ms = _precise_ms()
        found.append(
            ClockBound(
                who=f"{site} edge {edge}",
                least_ms=round(theirs_ms - after_ms, 3),
                most_ms=round(theirs_ms + 1 - before_ms, 3),
            )
        )
    return tuple(found)


def _precise_ms() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME) * 1000


def _noticed(stage: Stage, course: Course) -> Mapping[EdgeId, int]:
    site = killed_site(course.method)
    if site is None or course.began_ms is None:
        return {}
    return history.noticed(stage.observer.seen, site, course.began_ms)


def _merged(stage: Stage) -> tuple[int, ...]:
    return tuple(
        at_ms
        for edge in edge_homes(stage.lab)
        for at_ms, what in _log_lines(stage.lab.paths.run / "log" / f"edge-{edge}.log")
        if what.startswith("merged")
    )


def _moments(stage: Stage, course: Course) -> Iterator[Moment]:
    t0_ms = course.began_ms or (course.notes[0].at_ms if course.notes else 0)

    def moment(at_ms: int, who: str, what: str) -> Moment:
        return Moment(after_s=round((at_ms - t0_ms) / 1000, 3), at_ms=at_ms, who=who, what=what)

    for note in course.notes:
        yield moment(note.at_ms, note.who, note.what)
    site = killed_site(course.method)
    if site is not None and course.began_ms is not None:
        kill = Kill(site=site, at_ms=course.began_ms)
        for each in history.sightings(stage.observer.seen, kill, edge_homes(stage.lab)):
            yield moment(each.at_ms, f"shared state, {each.who}", each.what)
    for edge, home in edge_homes(stage.lab).items():
        for at_ms, what in _log_lines(stage.lab.paths.run / "log" / f"edge-{edge}.log"):
            if at_ms >= t0_ms - 1000:
                yield moment(at_ms, f"{home} edge {edge}", what)
    for event in stage.lab.events:
        at_ms = _wall_ms(stage, event.at_s)
        if at_ms >= t0_ms - 1000:
            detail = f" ({event.detail})" if event.detail else ""
            what = f"{event.process} {event.kind}{detail}"
            yield moment(at_ms, f"{event.host or 'router'} supervisor", what)


def _wall_ms(stage: Stage, mono_s: float) -> int:
    now = stage.clock.now()
    return now.wall_ms - round((now.mono_s - mono_s) * 1000)


def _log_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield what an edge wrote down itself, by its own clock."""
    with contextlib.suppress(FileNotFoundError):
        for text in path.read_text(errors="replace").splitlines():
            try:
                line = json.loads(text)
                event = line.pop("event")
                at = dt.datetime.fromisoformat(line.pop("timestamp"))
            except (ValueError, KeyError, AttributeError, TypeError):
                continue
            if event in _TOLD:
                words = " ".join(
                    f"{key}={value}"
                    for key, value in sorted(line.items())
                    if key not in _OF_THE_LOG
                )
                yield round(at.timestamp() * 1000), f"{event} {words}".strip()
