"""Whole calls in virtual time, by people with real telephones, amid faults: what everybody tells.

The telephones report as they do in a drill, JSON lines and all, and the edges' records are read
from the store: `Played.ledger` is the very ledger of the demo (`drills.demo.ledger`).
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast
from unittest import mock

from drills.demo import phones
from drills.demo.ledger import Ledger, join
from drills.demo.scenario import Behaviour, Dialler, PlannedCall, Scenario
from edge import former_life
from edge.calls.journal import Journal
from edge.calls.telephony import Telephony
from edge.duties.probes import Prober
from edge.phone.agent import Agent
from edge.phone.config import AgentPlan, CallerPlan
from edge.phone.report import Report
from edge.phone.rtp import RtpClock
from edge.sip.endpoint import SipEndpoint
from edge.sip.events import Address, Event, ResponseReceived
from state.model import CallRecord, DidNumber, Probe, QueueId, Site, SiteId
from tests.edge.lab_in_time import End, Net, NetLine
from tests.edge.one_edge import GREETED, Edge
from tests.edge.people_in_time import Breaks, Calls, LeavingAgent, LeavingCaller, Plan, Serves
from tests.edge.sound_in_time import Air, Ear, SoundEngine, SoundRelay
from tests.edge.stage import Center
from tests.edge.troubled import TroubledMedia
from tests.edge.virtual_time import LoopClock, VirtualLoop

SITES: Final = {"a": "198.18.1.10", "b": "198.18.2.10"}
CALLERS: Final = "192.0.2.1"
FIRST_CALL_S: Final = 1.2
"""After the edges have come up."""
LONGEST_S: Final = 110.0


@dataclass
class Played:
    """What came of a plan."""

    ledger: Ledger
    moments: Sequence[float]
    """When something was said on the net, in seconds from the first call."""
    lines: Sequence[bytes]
    left: Sequence[str]
    faults: Sequence[dict[str, Any]]


@dataclass
class Day:
    """A plan being played."""

    plan: Plan
    run_dir: Path
    center: Center = field(default_factory=Center)
    net: Net = field(default_factory=Net)
    lines: list[bytes] = field(default_factory=list)
    running: list[asyncio.Task[None]] = field(default_factory=list)
    ends: dict[str, End] = field(default_factory=dict)
    engines: dict[str, SoundEngine] = field(default_factory=dict)
    probing: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    agents: dict[str, LeavingAgent] = field(default_factory=dict)
    callers: list[LeavingCaller] = field(default_factory=list)
    zero_s: float = 0.0

    async def play(self) -> Played:
        """Play it to the end."""
        self.air = Air(self.net)
        self.running.append(asyncio.create_task(self.air.run()))
        await self._open()
        agents = [self._agent(number, each) for number, each in enumerate(self.plan.agents, 11)]
        loop = asyncio.get_running_loop()
        self.zero_s = loop.time() + FIRST_CALL_S
        for agent, each in zip(agents, self.plan.agents, strict=True):
            agent.leaves_s = None if each.leaves_s is None else self.zero_s + each.leaves_s
        line = NetLine(self.net, Address(CALLERS, 7000), user="caller")
        callers = [
            asyncio.create_task(self._call(number, each, line))
            for number, each in enumerate(self.plan.callers)
        ]
        self.running += [asyncio.create_task(self._break(each)) for each in self.plan.breaks]
        await asyncio.wait(callers, timeout=LONGEST_S)
        left = await self._until_quiet(agents)
        records = await self.center.records()
        ledger = self._ledger(tuple(records.values()))
        for edge in self.center.edges.values():
            if not edge.is_deaf:
                await edge.kill()
        for task in self.running:
            task.cancel()
        return Played(
            ledger=ledger,
            moments=sorted({round(each - self.zero_s, 4) for each in self.net.moments}),
            lines=self.lines,
            left=left,
            faults=[],
        )

    async def _open(self) -> None:
        await self.center.configure()
        for site, host in SITES.items():
            self.net.proxies.add(host)
            self.air.relays[host] = SoundRelay(self.air, host)
            await self._live(f"{site}1")

    async def _live(self, name: str) -> None:
        """Begin a life of an edge."""
        host = SITES[name[0]]
        lives: list[Edge] = []

        def take(event: Event) -> None:
            # As `edge.assembly` does.
            if not (isinstance(event, ResponseReceived) and prober.take(event)):
                lives[0]._take(event)  # noqa: SLF001 - see above

        calls = itertools.count(1)
        serial = sum(each.startswith(name) for each in self.ends)
        end = End(
            self.net,
            Address(host, 5080 + int(name[1])),
            take,
            tokens=f"{name}x{serial}-",
            is_edge=True,
        )
        engine = SoundEngine(name, self.air.relays[host])
        journal = Journal(self.run_dir / f"journal-{name}")
        edge = Edge(
            name,
            self.center.store,
            journal,
            telephony=Telephony(cast("SipEndpoint", end)),
            media=cast("TroubledMedia", engine),
        )
        lives.append(edge)
        # No two lives give a leg the same name.
        edge.switchboard._tools.ringing._token = lambda: f"{serial}-{next(calls)}"  # noqa: SLF001

        def noted(_: Probe) -> None:
            edge.unreachable, edge.unsettled = prober.unreachable, prober.unsettled
            edge.reserver.wake()

        prober = Prober(
            edge=edge.name,
            sip=edge.switchboard._sip,  # noqa: SLF001 - the real one
            on_change=noted,
            on_back=edge.switchboard.ask_after,
        )
        self.ends[f"{name}{serial}"] = self.ends[name] = end
        self.engines[name] = engine
        self.center.edges[name] = edge
        takeover = edge.takeover()
        await former_life.release_media(edge.media, takeover.calls)
        self.running.append(asyncio.create_task(takeover.run()))
        self.probing[name] = asyncio.create_task(prober.run(lambda: _sites(edge)))
        await edge.start()

    async def _die(self, name: str) -> None:
        self.probing[name].cancel()
        self.ends[name].close()
        self.engines[name].die()
        await self.center.edges[name].kill()

    # -- people

    def _agent(self, number: int, plan: Serves) -> LeavingAgent:
        host = f"192.0.2.{number}"
        line = NetLine(self.net, Address(host, 6000), user=plan.name)
        self.net.homes[host] = SITES[plan.site]
        self.net.agents[plan.name] = line._endpoint.local  # noqa: SLF001 - where it is
        self.running.append(asyncio.create_task(self.center.agent(plan.name, site=plan.site)))
        told = AgentPlan(
            id=plan.name,
            registrar="",
            answer_after_s=(plan.answers_s, plan.answers_s),
            talk_s=(plan.talk_s, plan.talk_s),
            silence_s=phones.AGENT_SILENCE_S,
            decline=float(plan.declines),
            transfer=float(bool(plan.passes_on_to)),
            transfer_to=f"sip:{plan.passes_on_to}@everline" if plan.passes_on_to else "",
        )
        made = LeavingAgent(told, line, cast("RtpClock", self.air), self._report(), seed=1)
        self.agents[plan.name] = made
        return made

    async def _call(self, number: int, plan: Calls, line: NetLine) -> None:
        host = SITES[plan.edge[0]]
        told = CallerPlan(
            id=_number(number),
            carrier=f"{host}:{5080 + int(plan.edge[1])}",
            did=plan.number,
            number=_number(number),
            sip_call_id=f"{number}@carrier",
            patience_s=plan.patience_s,
            talk_s=plan.talk_s,
            hold_after_s=plan.hold_after_s,
            hold_s=1.0,
            silence_s=phones.CALLER_SILENCE_S,
        )
        caller = LeavingCaller(told, line, cast("RtpClock", self.air), self._report())
        self.callers.append(caller)
        caller.leaves_s = None if plan.leaves_s is None else self.zero_s + plan.leaves_s
        await caller.run(self.zero_s + plan.at_s)

    def _report(self) -> Report:
        return Report(LoopClock(), self.lines.append)

    # -- faults

    async def _break(self, fault: Breaks) -> None:
        await asyncio.sleep(self.zero_s + fault.at_s - asyncio.get_running_loop().time())
        match fault.what:
            case "edge":
                await self._die(fault.which)
                await asyncio.sleep(fault.for_s)
                await self._live(fault.which)
            case "relay":
                relay = self.air.relays[SITES[fault.which]]
                relay.die()
                await asyncio.sleep(fault.for_s)
                relay.is_up = True
            case "site":
                await self._break_site(fault)
            case "trunk":
                await self._cut({frozenset({CALLERS, SITES[fault.which]})}, set(), fault.for_s)
            case "link":
                await self._cut({frozenset(SITES.values())}, set(), fault.for_s)
            case "line":
                host = self.net.agents[fault.which].host
                home = frozenset({host, self.net.homes[host]})
                mute = {frozenset({host, each}) for each in SITES.values()}
                await self._cut({home}, mute, fault.for_s)
            case "store":
                store = self.center.edges[fault.which].store
                store.is_away = True
                await asyncio.sleep(fault.for_s)
                store.is_away = False
            case _:
                raise AssertionError(fault.what)

    async def _cut(
        self, cut: set[frozenset[str]], mute: set[frozenset[str]], seconds: float
    ) -> None:
        self.net.cut |= cut
        self.net.mute |= mute
        await asyncio.sleep(seconds)
        self.net.cut -= cut
        self.net.mute -= mute

    async def _break_site(self, fault: Breaks) -> None:
        host, name = SITES[fault.which], f"{fault.which}1"
        relay = self.air.relays[host]
        self.net.dead.add(host)
        relay.die()
        await self._die(name)
        await asyncio.sleep(fault.for_s)
        self.net.dead.discard(host)
        loop = asyncio.get_running_loop()
        loop.call_later(fault.relay_later_s, setattr, relay, "is_up", True)  # noqa: FBT003 - setattr
        await self._live(name)

    # -- the end

    async def _until_quiet(self, agents: Sequence[Agent]) -> list[str]:
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + 60.0
        while loop.time() < ends_s:
            left = await self._left()
            if not left and not any(each._calls for each in agents):  # noqa: SLF001
                return []
            await asyncio.sleep(0.25)
        return await self._left()

    async def _left(self) -> list[str]:
        found = [f"ticket {each.call} {each.state}" for each in await self.center.tickets()]
        return found + [f"offer of {each.agent}" for each in await self.center.offers()]

    def _ledger(self, records: Sequence[CallRecord]) -> Ledger:
        lines = [each for each in map(phones.parse, self.lines) if each is not None]
        planned = tuple(_planned(number, each) for number, each in enumerate(self.plan.callers))
        scenario = Scenario(
            seed=0,
            sites=tuple(map(SiteId, SITES)),
            queues=(),
            agents=(),
            calls=planned,
            kill_at_s=0.0,
        )
        return join(scenario, phones.caller_reports(lines), phones.agent_reports(lines), records)


def _sites(edge: Edge) -> Mapping[SiteId, Site]:
    return {name: each.value for name, each in edge.snapshot.sites.items()}


def _number(index: int) -> str:
    return f"1555020{index:04d}"


def _planned(index: int, plan: Calls) -> PlannedCall:
    return PlannedCall(
        index=index,
        number=_number(index),
        did=DidNumber(plan.number),
        queue=QueueId("greeted" if plan.number == GREETED else "sales"),
        at_s=plan.at_s,
        first_site=SiteId(plan.edge[0]),
        dialler=Dialler.PHONE,
        behaviour=Behaviour.CALLER_ENDS,
        patience_s=plan.patience_s,
        talk_s=plan.talk_s,
    )


def play(plan: Plan, make: Callable[[Plan, Path], Day] = Day) -> Played:
    """Play a plan in virtual time; `make`: another kind of day."""
    faults: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("edge.phone.call.RtpStream", Ear),
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
    ):
        runner.get_loop().set_exception_handler(lambda _, each: faults.append(each))
        played = runner.run(make(plan, Path(folder)).play())
    played.faults = faults
    return played
