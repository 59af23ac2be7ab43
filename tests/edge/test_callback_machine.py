"""Callbacks at two edges amid faults: nobody is dialled twice at once, too often, or unasked."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge.calls.dialled import DIAL
from state import keys
from state.model import CallBack, Limit, PresenceState, Trunk, TrunkId, TurnAway
from tests.edge.fake_telephony import S
from tests.edge.one_edge import SALES, Edge
from tests.edge.stage import Center
from tests.edge.virtual_time import VirtualLoop

EDGES, AGENTS = ("a1", "b1"), ("ann", "bob")
TRIES, PAUSE_S, RING_S = 2, 25.0, 6.0
edges, choices = st.sampled_from(EDGES), st.integers(min_value=0, max_value=7)


class Callbacks(RuleBasedStateMachine):
    """Each number calls once, and is sent away after 3 s if nobody answers."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.center = Center.__new__(Center)
        self.numbers = itertools.count(4930100)
        self.dialled: dict[str, list[float]] = {}
        """Number -> when each of our INVITEs to it was first seen."""
        self.looks: asyncio.Task[None] | None = None
        self.seen: set[tuple[str, str]] = set()

    def run(self, scene: Coroutine[Any, Any, None]) -> None:
        """Let some of the scene happen."""
        self.runner.run(scene)

    @initialize()
    def open(self) -> None:
        """Open the center."""
        self.run(self._open())

    async def _open(self) -> None:
        made = self.center = Center()
        await made.configure()
        trunk = Trunk(
            id=TrunkId("t"), addresses=("192.0.2.1",), sip="192.0.2.1:5060", dial_out=("4930",)
        )
        await made.put(keys.trunk(trunk.id), trunk)
        rules = CallBack(
            trunk=trunk.id, tries=TRIES, pause_s=PAUSE_S, ring_s=RING_S, after_lost_s=10.0
        )
        limit = Limit(most=3.0, turn_away=TurnAway.CALLBACK)
        await made.change_queue(call_back=rules, longest_wait_s=limit)
        for name in AGENTS:
            await made.agent(name)
            await made.presence(name, PresenceState.PAUSED)
        for name in EDGES:
            await made.edge(name)
        self.looks = asyncio.create_task(made.clearing.run())

    def edge(self, name: str) -> Edge:
        """Return an edge."""
        return self.center.edges[name]

    # -- people

    @rule(name=edges)
    def caller_comes(self, name: str) -> None:
        """Let somebody call who never called before, and answer what is asked."""
        self.run(self._come(self.edge(name)))

    async def _come(self, edge: Edge) -> None:
        leg = edge.sip.arrive(SALES, caller=str(next(self.numbers)))
        await asyncio.sleep(0.05)
        edge.sip.acknowledge(leg)

    @rule(name=st.sampled_from(AGENTS), is_ready=st.booleans())
    def agent_changes_their_mind(self, name: str, is_ready: bool) -> None:  # noqa: FBT001
        """Let an agent pause or be ready."""
        state = PresenceState.READY if is_ready else PresenceState.PAUSED
        self.run(self.center.presence(name, state))

    @rule(
        name=edges,
        choice=choices,
        what=st.sampled_from(
            ["pick_up", "pick_up", "decline", "hang_up", "vanish", "answer_ours", "acknowledge"]
        ),
    )
    def somebody_does_something(self, name: str, choice: int, what: str) -> None:
        """Let a person do something on one leg."""
        edge = self.edge(name)
        legs = list(edge.sip.open)
        if legs:
            self.run(_do(lambda: getattr(edge.sip, what)(legs[choice % len(legs)])))

    # -- time and trouble

    @rule(seconds=st.sampled_from([0.02, 0.5, 2.0, 5.0, 12.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        """Let it, and see who is dialled."""
        self.run(self._pass(seconds))

    async def _pass(self, seconds: float) -> None:
        ends_s = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < ends_s:
            await asyncio.sleep(0.02 if seconds < 1 else 0.2)
            self._look()

    @rule(name=edges, seconds=st.sampled_from([0.1, 12.0]))
    def edge_dies_and_comes_back(self, name: str, seconds: float) -> None:
        """Let an edge be killed, and its next life begin before or after its lease ends."""
        self.run(self._restart(self.edge(name), seconds))

    async def _restart(self, edge: Edge, seconds: float) -> None:
        self._look()
        await edge.kill()
        await self._pass(seconds)
        await self.center.edge(edge.name)

    @rule(name=edges, seconds=st.sampled_from([0.5, 3.0]))
    def store_is_away(self, name: str, seconds: float) -> None:
        """Cut an edge off from the store for a moment."""
        self.edge(name).store.is_away = True
        self.run(self._pass(seconds))
        self.edge(name).store.is_away = False
        self.run(self._pass(0.4))

    @rule(is_away=st.booleans())
    def control_planes_come_and_go(self, is_away: bool) -> None:  # noqa: FBT001
        """Let nobody look whether callers may be called back, or somebody again."""
        self.center.clearing.is_away = is_away

    @rule(name=edges, what=st.sampled_from(["loses_requests", "loses_answers"]))
    def store_leaves_doubt(self, name: str, what: str) -> None:
        """Let the outcome of a transaction be unknown."""
        setattr(self.edge(name).store, what, 1)

    # -- what holds

    def _look(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for edge in self.center.edges.values():
            for leg in (*edge.sip.open.values(), *edge.sip.over.values()):
                if DIAL in leg.headers and (str(id(edge)), leg.id) not in self.seen:
                    self.seen.add((str(id(edge)), leg.id))
                    self.dialled.setdefault(leg.to, []).append(now_s)

    @invariant()
    def nobody_is_dialled_twice_at_once_or_too_often(self) -> None:
        """At most one INVITE of ours rings at a number, tries are counted, and pauses kept."""
        if "edges" not in vars(self.center):
            return
        self.run(self._check())

    async def _check(self) -> None:
        self._look()
        living = [
            leg.to
            for edge in self.center.edges.values()
            if not edge.is_deaf
            for leg in edge.sip.open.values()
            if DIAL in leg.headers and leg.state in {S.CALLING, S.UP}
        ]
        assert len(living) == len(set(living)), living
        for number, times in self.dialled.items():
            assert len(times) <= TRIES, (number, times)
            assert len(times) <= self.center.clearing.cleared[number], (number, times)
            for earlier, later in itertools.pairwise(times):
                assert later - earlier >= PAUSE_S - 1.0, (number, times)

    def teardown(self) -> None:
        """Let everything heal: nobody is left in a call, and no agent in an offer."""
        try:
            if "edges" in vars(self.center):
                self.run(self._close())
        finally:
            self.runner.close()

    async def _close(self) -> None:
        self.center.clearing.is_away = False
        for name in AGENTS:
            await self.center.presence(name, PresenceState.READY)
        left = ["not looked yet"]
        for _ in range(600):
            for edge in self.center.edges.values():
                edge.store.is_away = False
                for leg in list(edge.sip.open):
                    edge.sip.acknowledge(leg)
                    edge.sip.hang_up(leg)
                    edge.sip.decline(leg)
            await asyncio.sleep(0.2)
            await self._check()
            left = await self.center.left()
            waits = [e for e in self._places() if e.value.due_s is not None]
            if not left and not waits:
                break
        if self.looks is not None:
            self.looks.cancel()
        assert not left, left
        for edge in self.center.edges.values():
            assert not edge.dead_parts()
            await edge.kill()

    def _places(self) -> list[Any]:
        return list(self.center.edges["a1"].snapshot.places.values())


async def _do(what: Any) -> None:  # noqa: ANN401 - any command
    what()
    await asyncio.sleep(0)


TestCallbacks = pytest.mark.filterwarnings("error")(Callbacks.TestCase)
Callbacks.TestCase.settings = settings(
    deadline=None,
    max_examples=15,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
