"""Plays in which a site is cut off from the store amid calls, serves alone, and merges.

With whole edges (`site_in_time`), real telephones, and the demo's own ledger at the end.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from unittest import mock

import structlog
from msgspec import Struct
from msgspec.structs import replace
from structlog.testing import LogCapture

from edge.acd.agent_state import AgentState, agent_states
from edge.proxy.gate import GateState
from edge.sip.events import Address
from state import keys
from state.codec import decode
from state.model import Agent, AgentId, CallRecord, Outcome, Queue, QueueId, Readiness, SiteId, Wish
from tests.edge.gated_net import SITES, GatedNet
from tests.edge.lab_in_time import NetLine
from tests.edge.one_edge import TALKING
from tests.edge.people_in_time import Calls, LeavingAgent, Plan, Serves
from tests.edge.site_in_time import House, WholeEdge
from tests.edge.sound_in_time import Air, Ear, SoundRelay
from tests.edge.virtual_time import WALL_MS, LoopClock, VirtualLoop, until
from tests.edge.whole_day import CALLERS, FIRST_CALL_S, LONGEST_S, Day, Played

EDGES: Final = ("a1", "a2", "b1")
CUT_OFF: Final = ("a1", "a2")
WRAP_UP_S: Final = 6.0
LATE_S: Final = 5.3
"""Who finds a rest in a listing has it last 5 s longer (`state.snapshot.rests`)."""
_STAYS: Final = frozenset({"config", "presence", "work", "edge", "probe", "wish"})


class Cut(Struct, frozen=True, kw_only=True):
    """Site a has no way to the store for a while; seconds from the first call."""

    at_s: float
    for_s: float
    links: bool = False
    """Nor does SIP come from site to site."""


class Anew(Struct, frozen=True, kw_only=True):
    """An edge dies, and has another life."""

    which: str
    at_s: float
    for_s: float


class Story(Struct, frozen=True, kw_only=True):
    """All that happens."""

    callers: tuple[Calls, ...]
    agents: tuple[Serves, ...]
    cuts: tuple[Cut, ...] = ()
    anew: tuple[Anew, ...] = ()


class AloneDay(Day):
    """A day at a site that is cut off."""

    def __init__(self, story: Story, run_dir: Path) -> None:
        super().__init__(Plan(callers=story.callers, agents=story.agents), run_dir)
        self.story = story
        self.net = self.gated = GatedNet()
        self.house = House(run_dir, self.center.store, self.gated)
        self.edges: dict[str, WholeEdge] = {}
        self.wrong: list[str] = []
        self._is_cut = False
        self._served_alone = False

    # -- the parts

    async def play(self) -> Played:
        """Play it to the end."""
        self.air = Air(self.net)
        await self._open()
        people = [self._agent(number, each) for number, each in enumerate(self.plan.agents, 11)]
        loop = asyncio.get_running_loop()
        self.zero_s = loop.time() + FIRST_CALL_S
        self.running += [
            asyncio.create_task(self.air.run()),
            *(asyncio.create_task(self._cut_off(each)) for each in self.story.cuts),
            *(asyncio.create_task(self._begin_anew(each)) for each in self.story.anew),
        ]
        line = NetLine(self.net, Address(CALLERS, 7000), user="caller")
        calls = [self._call(number, each, line) for number, each in enumerate(self.plan.callers)]
        await asyncio.wait([asyncio.create_task(each) for each in calls], timeout=LONGEST_S)
        ends_s = [each.at_s + each.for_s for each in self.story.cuts]
        ends_s += [each.at_s + each.for_s for each in self.story.anew]
        await self._at(max(ends_s) + 3.0)
        left = await self._until_quiet(people)
        await asyncio.sleep(WRAP_UP_S + LATE_S)
        records = tuple((await self.center.records()).values())
        await self._judge(records)
        for edge in self.edges.values():
            await edge.kill()
        for task in self.running:
            task.cancel()
        ledger = self._ledger(records)
        return Played(ledger=ledger, moments=[], lines=self.lines, left=left, faults=[])

    async def _open(self) -> None:
        await self.center.configure()
        for name in ("sales", "greeted"):
            key = keys.queue(QueueId(name))
            queue = decode(Queue, (await self.center.store.range(key)).records[0].value, key)
            await self.center.put(key, replace(queue, wrap_up_s=WRAP_UP_S))
        for host in SITES.values():
            self.net.proxies.add(host)
            self.house.relays[host] = self.air.relays[host] = SoundRelay(self.air, host)
        for each in self.plan.agents:
            agent, site = AgentId(each.name), SiteId(each.site)
            at_work = Agent(id=agent, name=each.name, site=site, skills={TALKING: 5})
            await self.center.put(keys.agent(agent), at_work)
            await self.center.put(keys.wish(agent), Wish(agent=agent, readiness=Readiness.READY))
            self.gated.kamailios[SITES[site]].register(agent)
        for name in EDGES:
            await self._begin(name)
        await until(lambda: all(map(self._is_ready, self.edges.values())), "all are ready")

    def _is_ready(self, edge: WholeEdge) -> bool:
        snapshot = edge.parts.shared.snapshot()
        states = agent_states(snapshot, LoopClock().now()).values()
        is_known = len(snapshot.edges) == len(EDGES) and len(states) == len(self.plan.agents)
        is_in_step = edge.parts.duties.steward.is_in_step
        return is_known and is_in_step and set(states) == {AgentState.READY}

    async def _begin(self, name: str) -> None:
        self.edges[name] = edge = self.house.edge(name)
        edge.way.is_away = self._is_cut and name in CUT_OFF
        await edge.start()

    def _agent(self, number: int, plan: Serves) -> LeavingAgent:
        with mock.patch.object(self.center, "agent", mock.AsyncMock()):
            return super()._agent(number, plan)

    # -- what happens

    async def _at(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, self.zero_s + at_s - asyncio.get_running_loop().time()))

    async def _cut_off(self, cut: Cut) -> None:
        await self._at(cut.at_s)
        between = {frozenset(SITES.values())} if cut.links else set()
        self._turn(between, is_cut=True)
        await asyncio.sleep(cut.for_s)
        self._served_alone |= any(each.parts.alone.is_alone for each in self.edges.values())
        self._turn(between, is_cut=False)

    def _turn(self, between: set[frozenset[str]], *, is_cut: bool) -> None:
        self._is_cut = is_cut
        self.net.cut = self.net.cut | between if is_cut else self.net.cut - between
        for name in CUT_OFF:
            self.edges[name].way.is_away = is_cut or self.edges[name].is_dead

    async def _begin_anew(self, anew: Anew) -> None:
        await self._at(anew.at_s)
        await self.edges[anew.which].kill()
        await asyncio.sleep(anew.for_s)
        await self._begin(anew.which)

    # -- what is to be so at the end

    async def _left(self) -> list[str]:
        listed = await self.center.store.range(keys.STATE, prefix=True)
        kinds = ((each.key, each.key.removeprefix(keys.STATE)) for each in listed.records)
        found = [key for key, rest in kinds if rest.partition("/")[0] not in _STAYS]
        for edge in self.edges.values():
            found += edge.left()
        for host, kamailio in self.gated.kamailios.items():
            found += [f"{host}: media {call}" for call in self.air.relays[host].calls]
            for agent in map(AgentId, kamailio.tables["gate"]):
                entry = kamailio.entry(agent)
                if entry is not None and entry.state is not GateState.IDLE:
                    found.append(f"{host}: the gate of {agent} is {entry.state}")
        return found

    async def _judge(self, records: Sequence[CallRecord]) -> None:
        listed = await self.center.store.range(keys.STATE, prefix=True)
        there = {each.key: each.value for each in listed.records}
        for name, edge in self.edges.items():
            snapshot = edge.parts.shared.snapshot()
            if {key: each.value for key, each in snapshot.raw.items()} != there:
                self.wrong.append(f"{name} shows other than the store has")
            for agent, state in agent_states(snapshot, LoopClock().now()).items():
                if state is not AgentState.READY:
                    self.wrong.append(f"{name}: {agent} is {state}")
        if not self._served_alone:
            self.wrong.append("nobody served alone")
        for plan in self.plan.agents:
            self.wrong += self._rung_too_soon(plan, records)

    def _rung_too_soon(self, plan: Serves, records: Sequence[CallRecord]) -> Iterator[str]:
        """Yield when an agent was rung in their wrap-up."""
        rung = self.gated.kamailios[SITES[plan.site]].rung
        for end_s in _talks_end(AgentId(plan.name), records):
            for at_s, agent, _ in rung:
                if agent == plan.name and end_s < at_s < end_s + WRAP_UP_S - 0.1:
                    yield f"{agent} is rung {at_s - end_s:.1f} s after a talk"


def _talks_end(agent: AgentId, records: Sequence[CallRecord]) -> Iterator[float]:
    """Yield when an agent's talks ended, by the edges' word, on the loop's clock."""
    for record in records:
        ends_ms = [each.until_ms for each in record.talks if each.agent == agent]
        if not record.talks and record.agent == agent:
            ends_ms = [record.ended_ms]
        yield from (1000.0 + (each - WALL_MS) / 1000.0 for each in ends_ms)


def live(story: Story) -> list[str]:
    """Play a story in virtual time; return what is not as it should be."""
    faults: list[dict[str, Any]] = []
    log = LogCapture()
    before = structlog.get_config()
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("edge.phone.call.RtpStream", Ear),
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
    ):
        structlog.configure(processors=[log])
        try:
            runner.get_loop().set_exception_handler(lambda _, each: faults.append(each))
            day = AloneDay(story, Path(folder))
            with day.house.patched():
                played = runner.run(day.play())
        finally:
            structlog.configure(**before)
    return [
        *day.wrong,
        *map(str, faults),
        *(f"left: {each}" for each in played.left),
        *map(str, played.ledger.mismatches()),
        *(str(each) for each in log.entries if each["log_level"] in {"error", "critical"}),
        *(
            f"call {row.planned.index} was {row.by_edges}"
            for row in played.ledger.rows
            if row.by_edges is not Outcome.ANSWERED
        ),
    ]
