"""A lab with a center and its people in it, as a runner sees it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from drills.blast import takes_edge, touches
from drills.books import SETTLED_AFTER_S
from drills.course import FaultError, Made
from drills.demo.reports import CallerReport, End
from drills.demo.run import Stage, quiet_instant
from drills.drill.machine import Machine
from drills.experiment import Experiment
from drills.facts import Facts, Lag, etcd_lags
from drills.fault import Fault
from drills.faults import FaultClient
from drills.lab import replicas
from drills.lab.database import Cluster
from drills.lever import Lever
from drills.schedule.book import Book
from drills.schedule.errors import CalendarError
from state.model import Ticket

BUSY_S = 6.7
"""How long a synthetic call keeps agents, in the mean: rung, talked, wrapped up.

By what callers and telephones are told to do: one in eleven leaves before, the others ring for some
half a second (some at two agents), talk 5.8 s, and are wrapped up after for a second."""
LAG_TRIES = 3
"""A member of etcd that does not answer within a second may have no time on a busy machine."""
RECENT_S = (3.0, 13.0)
"""Calls placed between so long ago: old enough to be answered, young enough to matter."""
SPARED_FOR_S = (0.8, 2.5)
"""Callers who have heard their agent for so long have as long again to talk, and more."""
SPARED = 2
"""So many calls, at least, are listened to where a drill expects something of the spared."""
TOUCHED = 1
"""So many, at least, talk where something is broken if a drill is about what becomes of them."""
OF_TALKS = frozenset({"cleared_s", "kept_gap_ms", "kept_share"})
SPARED_WITHIN_S, LOOK_EVERY_S = 8.0, 0.05
CALLS_AFTER_S = 3.0
"""So long at least calls have to come after the first fault: nothing else shows a recovery."""
SETTLED_CALLS_S = SETTLED_AFTER_S + 2.0
"""So long in a drill that expects something of those that come once the dust has settled: `failed`
is of none otherwise. The fault comes a little later yet, when nobody is hanging up."""
MOST_LAG_BYTES = 1_048_576
"""As much as Patroni lets a replica lack that is to become the primary."""
_GOOD = frozenset({"answered", "joined"})
_BAD = frozenset({End.REFUSED, End.SILENCE, End.FAULT})


@dataclass(frozen=True)
class Hands:
    """What a drill in a lab is told by and stopped by, and where it is carried out."""

    tell: Callable[[str], None]
    lever: Lever
    is_alone: bool
    """No other drill runs here."""
    machine: Machine = field(default_factory=Machine)


def calls_after_s(experiment: Experiment) -> float:
    """Return for how long at least calls have to come from when the method may begin."""
    expected = {bound.figure for bound in experiment.expect}
    return SETTLED_CALLS_S if "failed" in expected else CALLS_AFTER_S


class LabGround:
    """One lab. Everything it says comes from the shared state, etcd and the callers' telephones."""

    def __init__(
        self,
        stage: Stage,
        faults: FaultClient,
        *,
        experiment: Experiment,
        hands: Hands,
    ) -> None:
        self._stage = stage
        self._hands = hands
        self._experiment = experiment
        self._calls_per_s = experiment.load.calls_per_s
        expected = {bound.figure for bound in experiment.expect}
        self._spared = SPARED if "spared_gap_ms" in expected else 0
        self._touched = TOUCHED if expected & OF_TALKS else 0
        self._calls_after_s = calls_after_s(experiment)
        self._faults = faults

    async def leader(self) -> str | None:
        """Return the site whose member of etcd leads."""
        return await self._stage.lab.etcd_leader_site()

    async def facts(self) -> Facts:
        """Return what the guards go by."""
        stage, wall = self._stage, self._stage.screen.wall
        sites = stage.lab.plan.sites
        leader = await self.leader()
        made = await self._faults.standing()
        cluster = None if stage.lab.database is None else await stage.lab.database.cluster()
        return Facts(
            primary=None if cluster is None else cluster.primary,
            lags=(*await self._etcd_lags(), *(() if cluster is None else lags(cluster))),
            sites=sites,
            good_sites=frozenset(site for site in sites if wall.edges_at(site)),
            members=frozenset(sites) if leader else frozenset(),
            agents={site: sum(wall.agents_at(site)) for site in sites},
            edges={site: wall.edges_at(site) for site in sites},
            unreplicated={
                site: wall.unreplicated[site].recordings
                for site in sites
                if site in wall.unreplicated
            },
            erlangs=self._calls_per_s * BUSY_S,
            other_drills=()
            if self._hands.is_alone
            else ("another drill that runs on this machine",),
            blackouts=self._blackouts(),
            is_lever_pulled=self._hands.lever.is_pulled,
            standing_faults=tuple(each.fault.told() for each in made if each.healed_ms is None),
        )

    async def _etcd_lags(self) -> tuple[Lag, ...]:
        behind = await replicas.raft_lags(self._stage.lab)
        for _ in range(LAG_TRIES - 1):
            if None not in behind.values():
                break
            behind = await replicas.raft_lags(self._stage.lab)
        return etcd_lags(behind)

    def _blackouts(self) -> tuple[str, ...]:
        """Return what the calendar says of now; one that cannot be read may say anything."""
        now = dt.datetime.fromtimestamp(self._stage.clock.now().wall_ms / 1000, dt.UTC)
        try:
            calendar = Book(self._hands.lever.home).read()
        except CalendarError as error:
            return (str(error),)
        return calendar.forbidding(self._experiment, now, is_live=False)

    def measure(self) -> Mapping[str, float]:
        """Return the figures of this moment."""
        wall = self._stage.screen.wall
        reports = self._stage.people.caller_reports()
        supervisor = self._stage.lab.supervisor
        return {
            # A dead edge's lease outlives it by seconds: this tells at once.
            "processes_down": sum(not supervisor.is_ready(each) for each in supervisor.names()),
            "sites_serving": sum(bool(wall.edges_at(s)) for s in self._stage.lab.plan.sites),
            "edges": len(wall.edges),
            "agents_ready": len(wall.ready),
            "waiting": sum(wall.calls().values()) - len(wall.offers),
            "calls_late": self._stage.people.late(reports),
            "calls_failed": sum(each.end in _BAD for each in reports),
            **self._success_share(reports),
            **self._hands.machine.measure(),
        }

    def _success_share(self, reports: Sequence[CallerReport]) -> Mapping[str, float]:
        """Return how many of those who called lately were answered; nothing where nobody did.

        Once the last call by the plan is old enough to be answered, those who called last count on:
        of whom else it could be said, nobody is to come.
        """
        people = self._stage.people
        now_ms = self._stage.clock.now().wall_ms
        last_s = people.call_from_s + people.scenario.calls[-1].at_s
        over_s = max(0.0, asyncio.get_running_loop().time() - last_s - RECENT_S[0])
        recent = [each for each in reports if _is_recent(each, now_ms, over_s)]
        # A phone reports a call as a whole when it is over, and each step as it happens.
        answered = {line.sip_call_id for line in people.lines if line.event in _GOOD}
        good = [
            each
            for each in recent
            if each.ok_ms is not None or each.end is End.CANCELLED or each.sip_call_id in answered
        ]
        return {"success_share": len(good) / len(recent)} if recent else {}

    def stopped_because(self) -> str | None:
        """Return why somebody wants it to stop."""
        return self._hands.lever.stopped_because()

    async def good_instant(self, method: Sequence[Fault]) -> None:
        """Wait for a moment in which nobody is hanging up.

        And in which so many callers have just begun to talk, at sites that are spared, that it can
        be heard whether they are; and where something will be broken, that it can be told what
        becomes of them. After a while one of the spared will do: with none at all an expectation
        would not be measured, so that for those who are touched it is waited longer. Not until
        nobody calls any more.
        """
        loop = asyncio.get_running_loop()
        people = self._stage.people
        last_s = people.call_from_s + people.scenario.calls[-1].at_s - self._calls_after_s
        deadline_s = loop.time() + SPARED_WITHIN_S
        while loop.time() <= last_s:
            is_late = loop.time() > deadline_s
            if self._are_enough(method, min(self._spared, 1) if is_late else self._spared):
                break
            await asyncio.sleep(LOOK_EVERY_S)
        await quiet_instant(self._stage)

    def _are_enough(self, method: Sequence[Fault], spared: int) -> bool:
        """Tell whether so many talk of each kind, spared and not, as what is expected is about."""
        talking = self._talking_now()
        touched = [each for each in talking if self._is_touched(each, method)]
        # Of an edge that is killed alone its sister's calls show nothing.
        held = [each for each in touched if takes_edge(method, each.holder) is not False]
        return len(talking) - len(touched) >= spared and len(held) >= self._touched

    def _talking_now(self) -> list[Ticket]:
        """Return the calls of our telephones in which two have just begun to talk."""
        stage = self._stage
        now_ms = stage.clock.now().wall_ms
        joined_ms = {
            line.sip_call_id: line.wall_ms
            for line in stage.people.lines
            if line.event == "joined" and line.role == "caller"
        }
        least_s, most_s = SPARED_FOR_S
        young = [
            ticket
            for ticket in stage.screen.wall.tickets.values()
            if least_s <= (now_ms - joined_ms.get(ticket.sip_call_id, 0)) / 1000 <= most_s
        ]
        return [ticket for ticket in young if ticket.agent is not None]

    def _is_touched(self, ticket: Ticket, method: Sequence[Fault]) -> bool:
        homes = {agent.id: agent.site for agent in self._stage.scenario.agents}
        at = {ticket.site, ticket.via, *(homes[agent] for agent in (ticket.agent,) if agent)}
        return any(touches(fault, at) for fault in method)


def _is_recent(report: CallerReport, now_ms: int, over_s: float) -> bool:
    """Tell whether a call is old enough to be answered and young enough to matter.

    `over_s`: for how long that has not been so of any call any more.
    """
    return RECENT_S[0] <= (now_ms - report.invite_ms) / 1000 <= RECENT_S[1] + over_s


class DyingController:
    """Has its faults made by a process of its own, which is killed a second after the first.

    It heals nothing: what is undone is undone by the timers at the target.
    """

    def __init__(self, client: FaultClient, python: Path, cwd: Path) -> None:
        self._client = client
        self._python = python
        self._cwd = cwd
        self._made: list[Made] = []

    async def make(self, fault: Fault) -> Made:
        """Let the process make its faults, then kill it. FaultError when it made none."""
        if not self._made:
            await self._live_and_die(fault)
        standing = await self._client.standing()
        for each in standing:
            if each.fault == fault:
                return each
        raise FaultError(f"the controller has not made {fault.told()}; what it said is above")

    async def heal_all(self, by: str) -> tuple[Made, ...]:  # noqa: ARG002 - nobody is left to
        """Undo nothing; return all that was ever made."""
        return await self._client.standing()

    async def standing(self) -> tuple[Made, ...]:
        """Return all that was ever made."""
        return await self._client.standing()

    async def _live_and_die(self, fault: Fault) -> None:
        process = await asyncio.create_subprocess_exec(
            str(self._python),
            *("-m", "drills.drill.controller", str(self._client.path)),
            cwd=self._cwd,
            stdin=asyncio.subprocess.PIPE,
        )
        try:
            if process.stdin is not None:
                with contextlib.suppress(ConnectionError):
                    process.stdin.write(msgspec.json.encode([fault]) + b"\n")
                    await process.stdin.drain()
            for _ in range(200):
                if process.returncode is not None or any(
                    each.fault == fault for each in await self._client.standing()
                ):
                    break
                await asyncio.sleep(0.05)
            self._made = list(await self._client.standing())
            if self._made:
                await asyncio.sleep(1.0)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def lags(cluster: Cluster) -> tuple[Lag, ...]:
    """Return how far each replica of the database is behind its primary."""
    return tuple(
        Lag(
            replica=f"database at {each.name}",
            behind=each.lag_bytes if each.is_running else None,
            at_most=MOST_LAG_BYTES,
            unit="bytes",
        )
        for each in cluster.members
        if each.role != "leader"
    )
