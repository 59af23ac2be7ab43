"""Whole calls at two edges amid random faults: a record each, nothing left, no one rung twice."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.duties.life import LEASE_S
from edge.media.errors import MediaExhausted, MediaRefused, MediaUnavailable, SdpError
from edge.media.sdp import audio
from edge.sip.events import LegId
from state import keys
from state.model import CallId, OfferState, Outcome, PresenceState, TicketState
from tests.edge.fake_telephony import CALLER_SDP, FakeLeg, S
from tests.edge.one_edge import SALES, Edge
from tests.edge.stage import Center
from tests.edge.virtual_time import VirtualLoop

EDGES = ("a1", "a2")
AGENTS = ("ann", "bob", "cyd")
NUMBERS = (SALES, "15550002")
HOLD = CALLER_SDP.replace(b"sendrecv", b"sendonly")
edges = st.sampled_from(EDGES)
agents = st.sampled_from(AGENTS)
choices = st.integers(min_value=0, max_value=7)


class WholeCalls(RuleBasedStateMachine):
    """Whatever people, the store and the relay do, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[dict[str, Any]] = []
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.runner.get_loop().set_exception_handler(lambda _, each: self.faults.append(each))
        self.center = Center.__new__(Center)
        self.run_dir = Path(tempfile.mkdtemp())
        self.admitted: set[CallId] = set()
        self.maybe: set[CallId] = set()
        """Calls of which an edge had written nothing when it died: they may have no record."""
        self.serial = itertools.count(1)
        self.names: list[str] = []
        self.takeovers: list[asyncio.Task[None]] = []
        self.may_be_rung_twice = False
        """An edge has been out of touch for longer than its lease: then it is the gate, in the
        agent's home Kamailio, which keeps an agent from being rung twice, and not the store."""

    def run(self, scene: Coroutine[Any, Any, None]) -> None:
        """Let some of the scene happen."""
        self.runner.run(scene)

    @initialize()
    def open(self) -> None:
        """Open the center."""
        self.run(self._open())

    async def _open(self) -> None:
        self.center = Center()
        await self.center.configure()
        for name in AGENTS:
            await self.center.agent(name)
        for name in EDGES:
            await self.center.edge(name, self.run_dir)

    def edge(self, name: str) -> Edge:
        """Return an edge."""
        return self.center.edges[name]

    def leg(self, edge: Edge, choice: int, *, agents_: bool | None = None) -> LegId | None:
        """Return some leg of an edge: a caller's, an agent's or either."""
        found = [
            leg.id for leg in edge.sip.open.values() if agents_ is None or bool(leg.to) is agents_
        ]
        return found[choice % len(found)] if found else None

    # -- callers

    @rule(name=edges, number=st.sampled_from(NUMBERS), is_late=st.booleans())
    def caller_comes(self, name: str, number: str, is_late: bool) -> None:  # noqa: FBT001
        """Let an INVITE come."""
        sip_call_id = f"{next(self.serial)}@carrier"
        self.names.append(sip_call_id)
        self.run(self._arrive(name, number, sip_call_id, None if is_late else CALLER_SDP))

    @precondition(lambda self: self.names)
    @rule(name=edges, choice=choices)
    def caller_comes_again_by_another_way(self, name: str, choice: int) -> None:
        """Let an INVITE that came before come again, as a proxy sends it on."""
        sip_call_id = self.names[choice % len(self.names)]
        self.run(self._arrive(name, SALES, sip_call_id, CALLER_SDP))

    async def _arrive(self, name: str, number: str, sip_call_id: str, sdp: bytes | None) -> None:
        edge = self.edge(name)
        leg = edge.sip.arrive(number, sip_call_id=sip_call_id, sdp=sdp)
        if leg in edge.sip.open:
            self.admitted.add(keys.call_id_for(sip_call_id, "theirs"))

    @rule(name=edges, choice=choices)
    def caller_acknowledges(self, name: str, choice: int) -> None:
        """Let an ACK come."""
        edge = self.edge(name)
        leg = self.leg(edge, choice, agents_=False)
        if leg is not None:
            self.run(_do(lambda: edge.sip.acknowledge(leg, CALLER_SDP)))

    @rule(name=edges)
    def everybody_does_what_is_asked(self, name: str) -> None:
        """Let calls go well: acknowledge, pick up, answer, be gone when told goodbye."""
        self.run(self._obey(self.edge(name)))

    @rule(name=edges, number=st.sampled_from(NUMBERS), talks_s=st.sampled_from([0.0, 0.1, 3.0]))
    def call_goes_well(self, name: str, number: str, talks_s: float) -> None:
        """Let a caller come, wait, be joined if somebody is free, and talk for a while."""
        sip_call_id = f"{next(self.serial)}@carrier"
        self.names.append(sip_call_id)
        self.run(self._arrive(name, number, sip_call_id, CALLER_SDP))
        for seconds in (0.1, 1.1, 0.1, 0.1, talks_s):
            self.run(self._obey(self.edge(name)))
            self.run(self._pass(seconds))

    async def _obey(self, edge: Edge) -> None:
        for leg in list(edge.sip.open.values()):
            edge.sip.acknowledge(leg.id, CALLER_SDP)
            edge.sip.pick_up(leg.id)
            edge.sip.answer_ours(leg.id)
            if leg.state is S.ENDING:
                edge.sip.hang_up(leg.id)
        await asyncio.sleep(0.01)

    @rule(
        name=edges,
        choice=choices,
        what=st.sampled_from(
            [
                "hang_up",
                "vanish",
                "pick_up",
                "decline",
                "ring",
                "answer_ours",
                "refuse_ours",
                "offer",
                "withdraw",
            ]
        ),
    )
    def somebody_does_something(self, name: str, choice: int, what: str) -> None:
        """Let a person, a telephone or a network do something on one leg."""
        edge = self.edge(name)
        leg = self.leg(edge, choice)
        if leg is not None:
            arguments = (HOLD,) if what == "offer" else ()
            self.run(_do(lambda: getattr(edge.sip, what)(leg, *arguments)))

    @rule(name=edges, choice=choices, to=st.sampled_from([*AGENTS, "greeted", "nobody"]))
    def somebody_passes_on(self, name: str, choice: int, to: str) -> None:
        """Let a REFER come, of whatever leg."""
        edge = self.edge(name)
        leg = self.leg(edge, choice)
        if leg is not None and edge.sip.open[leg].state is S.UP:
            self.run(_do(lambda: edge.sip.refer(leg, f"sip:{to}@everline")))

    @rule(name=agents, state=st.sampled_from([PresenceState.READY, PresenceState.PAUSED]))
    def agent_changes_their_mind(self, name: str, state: PresenceState) -> None:
        """Let an agent pause or be ready."""
        self.run(self.center.presence(name, state))

    # -- time and trouble

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.3, 1.0, 2.5, 4.0]))
    def time_passes(self, seconds: float) -> None:
        """Let it."""
        self.run(self._pass(seconds))

    async def _pass(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        for edge in self.center.edges.values():
            if edge.name not in edge.snapshot.edges or edge.mirror.age_s > LEASE_S / 2:
                self.may_be_rung_twice = True

    @rule(name=edges, is_away=st.booleans())
    def store_goes_or_comes(self, name: str, is_away: bool) -> None:  # noqa: FBT001
        """Cut an edge off from the store, or not."""
        self.edge(name).store.is_away = is_away

    @rule(name=edges, seconds=st.sampled_from([7.0, 9.5, 14.0]))
    def store_is_away_for_long(self, name: str, seconds: float) -> None:
        """Cut an edge off for about as long as its lease lasts, or longer."""
        self.may_be_rung_twice = True
        self.edge(name).store.is_away = True
        self.run(self._pass(seconds))
        self.edge(name).store.is_away = False
        self.run(self._pass(0.4))

    @rule(name=edges, seconds=st.sampled_from([0.1, 12.0]))
    def edge_dies_and_comes_back(self, name: str, seconds: float) -> None:
        """Let an edge be killed, and its next life begin before or after its lease ends."""
        self.run(self._restart(self.edge(name), seconds))

    async def _restart(self, edge: Edge, seconds: float) -> None:
        written = {each.call for each in await self.center.tickets()}
        written |= set(await self.center.records())
        self.maybe |= {call for call in self.admitted if call not in written}
        await edge.kill()
        await asyncio.sleep(seconds)
        next_life = await self.center.edge(edge.name, self.run_dir)
        self.takeovers.append(asyncio.create_task(next_life.takeover().run()))
        # What goes on, and what had ended, is in the journal, whether the store has heard of it.
        self.maybe -= next_life.debts.owed | next_life.left.calls.keys()

    @rule(name=edges, what=st.sampled_from(["loses_requests", "loses_answers"]))
    def store_leaves_doubt(self, name: str, what: str) -> None:
        """Let the outcome of a transaction be unknown."""
        setattr(self.edge(name).store, what, 1)

    @rule(name=edges, latency_s=st.sampled_from([0.0, 0.005, 0.2]))
    def store_is_slow(self, name: str, latency_s: float) -> None:
        """Let transactions and news take their time."""
        self.edge(name).store.latency_s = latency_s
        self.edge(name).store.watch_latency_s = latency_s

    @rule(
        name=edges,
        step=st.sampled_from(
            ["hold_caller", "play", "offer_to_agent", "join", "relay_offer", "part"]
        ),
        error=st.sampled_from([MediaExhausted, MediaRefused, MediaUnavailable, SdpError, OSError]),
    )
    def relay_fails(self, name: str, step: str, error: type[Exception]) -> None:
        """Let one step of the relay go wrong."""
        self.edge(name).media.fails_with[step] = error("trouble")

    @rule(name=edges)
    def relay_answers_nobody(self, name: str) -> None:
        """Let the answer be lost of the relay that keeps an agent from a caller, or no longer."""
        self.edge(name).media.lost_answers.add("part")

    @rule(name=edges, choice=choices, keys=st.booleans())
    def caller_keys_tones(self, name: str, choice: int, keys: bool) -> None:  # noqa: FBT001
        """Let the recorder hear that one caller keys tones, or that nobody does."""
        edge = self.edge(name)
        held = [call.id for call in edge.switchboard.held()]
        keying = held[choice % len(held) :][:1] if held and keys else []
        edge.recorder.hears_tones(*keying)
        self.run(self._pass(0.01))

    @rule(name=edges, is_dead=st.booleans())
    def relay_dies_or_returns(self, name: str, is_dead: bool) -> None:  # noqa: FBT001
        """Let the relay be gone."""
        self.edge(name).media.is_dead = is_dead

    @rule(name=edges, delay_s=st.sampled_from([0.0, 0.05, 0.5]))
    def relay_is_slow(self, name: str, delay_s: float) -> None:
        """Let it take its time."""
        self.edge(name).media.delay_s = delay_s

    @rule(name=edges, command=st.sampled_from(["answer", "bye", "cancel", "invite", "reinvite"]))
    def we_have_a_bug(self, name: str, command: str) -> None:
        """Let a command fail as none should."""
        self.edge(name).sip.faults[command] = RuntimeError("a bug")

    # -- what holds all the time

    @invariant()
    def nobody_is_rung_twice(self) -> None:
        """No agent has two legs that live, at whichever edge."""
        if "edges" not in vars(self.center) or self.may_be_rung_twice:
            return
        busy = Counter(
            leg.to
            for edge in self.center.edges.values()
            for leg in edge.sip.open.values()
            if leg.to and leg.state in {S.CALLING, S.UP} and not _is_left_behind(edge, leg)
        )
        assert all(count == 1 for count in busy.values()), busy

    @invariant()
    def every_offer_is_of_a_call_that_has_it(self) -> None:
        """Offers and tickets name each other."""
        if "edges" in vars(self.center):
            self.run(self._look_at_offers())

    async def _look_at_offers(self) -> None:
        tickets = {each.call: each for each in await self.center.tickets()}
        offers = await self.center.offers()
        given = {(each.call, each.agent): each for each in offers}
        of_calls = Counter(each.call for each in offers)
        for call, ticket in tickets.items():
            # Beside whom the ticket names there may be one who has passed the caller on.
            talked = {talk.agent for talk in ticket.talks}
            others = {each.agent for each in offers if each.call == call} - {ticket.agent}
            assert of_calls[call] <= 1 + bool(talked), "a call has two agents"
            assert others <= talked
            if ticket.state is TicketState.QUEUED:
                assert not of_calls[call]
            offer = None if ticket.agent is None else given.get((call, ticket.agent))
            if offer is not None and ticket.state is TicketState.CONNECTED:
                assert offer.state is OfferState.TALKING
            if offer is not None and offer.state is OfferState.TALKING and not talked:
                assert ticket.state is TicketState.CONNECTED

    # -- the end

    def teardown(self) -> None:
        """Let everything heal and everybody go: nothing is left, and every call has its record."""
        try:
            if "edges" in vars(self.center):
                self.run(self._close())
        finally:
            self.runner.close()
            shutil.rmtree(self.run_dir)
        assert not self.faults, self.faults

    async def _close(self) -> None:
        for edge in self.center.edges.values():
            edge.store.is_away, edge.store.latency_s, edge.store.watch_latency_s = False, 0.0, 0.0
            edge.media.is_dead, edge.media.delay_s = False, 0.0
            edge.media.fails_with.clear()
            edge.sip.faults.clear()
        await self._nobody_is_kept_apart()
        left = ["not looked yet"]
        for _ in range(400):
            for edge in self.center.edges.values():
                for leg in list(edge.sip.open):
                    edge.sip.acknowledge(leg, CALLER_SDP)
                    edge.sip.hang_up(leg)
                    edge.sip.decline(leg)
            await asyncio.sleep(0.1)
            left = await self._left()
            if not left and self.admitted - self.maybe <= set(await self.center.records()):
                break
        assert not left, left
        await asyncio.gather(*self.takeovers)
        records = await self.center.records()
        assert self.admitted - self.maybe <= set(records) <= self.admitted
        for record in records.values():
            assert (record.outcome is not Outcome.ANSWERED) or record.connected_ms is not None
        for edge in self.center.edges.values():
            assert not edge.dead_parts()
            await edge.kill()

    async def _nobody_is_kept_apart(self) -> None:
        """See that every agent hears the caller, once nobody keys."""
        for edge in self.center.edges.values():
            edge.media.lost_answers.clear()
            edge.recorder.hears_tones()
        await asyncio.sleep(2.0)
        for edge in self.center.edges.values():
            assert not edge.hearing.apart()
            agents = [edge.media.agents.get(call.id) for call in edge.switchboard.held()]
            assert all(sdp is None or audio(sdp).port != 9 for sdp in agents)

    async def _left(self) -> list[str]:
        # What a dead relay could not be told to release, it has forgotten when it is back.
        return [each for each in await self.center.left() if ": media " not in each]


def _is_left_behind(edge: Edge, leg: FakeLeg) -> bool:
    """Tell whether a fault of ours kept a leg from being ended; it is let go of within seconds."""
    del edge
    return leg.said[-1:] in (["bye"], ["cancel"])


async def _do(what: Any) -> None:  # noqa: ANN401 - any command
    what()
    await asyncio.sleep(0)


TestWholeCalls = pytest.mark.filterwarnings("error")(WholeCalls.TestCase)
WholeCalls.TestCase.settings = settings(
    deadline=None,
    max_examples=30,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
