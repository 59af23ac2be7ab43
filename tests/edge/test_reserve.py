"""The reserver on a store in memory, its mirror always a little behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from edge.acd.call_events import TurnedAway
from edge.acd.relaxation import Effective, Queues, effective_now
from edge.acd.reservation import created
from edge.acd.silence import SILENT_S
from edge.acd.token import Token, token_of
from edge.alone.store import SiteStore
from edge.calls.records import CallRecords, Landed
from edge.reserve import Reserver
from edge.waiting import AloneTokens
from state import keys
from state.clock import Clock, SystemClock
from state.codec import Record, encode
from state.memory import MemoryStore
from state.mirror import Mirror
from state.model import (
    Agent,
    AgentId,
    CallId,
    Decision,
    EdgeId,
    Entry,
    Now,
    Offer,
    Outcome,
    Presence,
    PresenceState,
    Queue,
    QueueId,
    SiteId,
    SkillId,
    SkillNeed,
    Step,
    Ticket,
    TicketState,
    TurnAway,
    Work,
)
from state.snapshot import Delta, Snapshot
from state.store import Delete, Put
from tests.acd.worlds import WALL_MS, World, skills, ticket
from tests.edge.troubled import TroubledStore
from tests.edge.virtual_time import LoopClock, in_virtual_time

PATIENCE_S = 5.0
EDGE = EdgeId("a1")
SALES = QueueId("sales")


@dataclass(kw_only=True)
class Caller:
    """A call of this edge."""

    records: CallRecords
    given: list[AgentId] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    turned_away: list[tuple[Outcome, str]] = field(default_factory=list)
    expected: int = 0

    @property
    def is_waiting(self) -> bool:
        """Until an agent has been given, or the queue has let go."""
        return not (self.given or self.turned_away)

    def expect_agent(self) -> None:
        """Note that one is being reserved."""
        self.expected += 1

    def on_reserved(self, decision: Decision, token: Token) -> None:
        """Note the agent."""
        assert token.revision > 0
        self.given.append(decision.winner)
        self.tokens.append(token)

    def deliver(self, event: TurnedAway) -> None:
        """Note how the queue let the caller go."""
        self.turned_away.append((event.outcome, event.cause))


class Center:
    """A store with agents in it, and one edge's reserver."""

    def __init__(self, clock: Clock, alone: AloneTokens | None) -> None:
        self.clock = clock
        self.store = MemoryStore(self.clock)
        self.mirror = Mirror(self.store, self.clock)
        self.way = TroubledStore(self.store)
        self.site = SiteStore(self.way, self.mirror, self.clock)
        self.callers: dict[CallId, Caller] = {}
        self.reserver = Reserver(
            edge=EDGE,
            clock=self.clock,
            snapshot=lambda: self.site.snapshot,
            unreachable=frozenset,
            call=self.callers.get,
            is_current=lambda: True,
            proof_age_s=lambda: self.mirror.age_s,
            alone=alone,
        )
        self.site.subscribe(self._heard)

    def _heard(self, snapshot: Snapshot, deltas: tuple[Delta, ...]) -> None:
        self.reserver.take(snapshot, deltas)
        self.reserver.wake()

    async def put(self, key: str, record: Record) -> None:
        """Write a record as some other edge would."""
        await self.store.txn((), (Put(key=key, value=encode(record)),))

    async def furnish(self, *names: str) -> None:
        """Let these agents be ready."""
        world = World()
        world.queue("sales")
        for name in names:
            world.agent(name, sales=2)
        for record in world.snapshot.raw.values():
            await self.store.txn((), (Put(key=record.key, value=record.value),))

    async def call(
        self,
        number: int,
        *,
        level: int = 1,
        queue: str = "sales",
        wants: Mapping[str, int] | None = None,
    ) -> Caller:
        """Let a caller wait here, who asks for sales if not for something else."""
        place: Ticket = ticket(number, queue=queue, wants=wants, sales=level)
        records = CallRecords(store=self.site, clock=self.clock, call=place.call)
        caller = self.callers[place.call] = Caller(records=records)
        at = self.clock.now()
        assert isinstance(await records.write(lambda _, __: created(place, at)), Landed)
        return caller


@asynccontextmanager
async def center(
    *names: str, clock: Clock | None = None, alone: AloneTokens | None = None
) -> AsyncIterator[Center]:
    """Run a center with these agents ready."""
    made = Center(clock or SystemClock(), alone)
    await made.furnish(*names)
    tasks = [asyncio.create_task(made.mirror.run()), asyncio.create_task(made.reserver.run())]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


async def test_callers_who_come_together_get_an_agent_each_and_nothing_is_asked_twice() -> None:
    async with center("ann", "bob", "cyd", "dan") as made:
        callers = await asyncio.gather(*(made.call(number) for number in range(4)))
        await until(lambda: all(caller.given for caller in callers))
        assert sorted(caller.given[0] for caller in callers) == ["ann", "bob", "cyd", "dan"]
        assert (made.reserver.landed, made.reserver.refused) == (4, 0)


async def test_a_caller_who_found_nobody_gets_the_agent_who_becomes_free() -> None:
    async with center("ann") as made:
        first, second = await made.call(1), await made.call(2)
        await until(lambda: bool(first.given))
        await made.mirror.wait_until(lambda s: AgentId("ann") in s.offers, PATIENCE_S)
        assert not second.given
        offer: Offer = made.mirror.snapshot.offers[AgentId("ann")].value
        assert offer.call == next(iter(made.callers))
        made.callers.pop(offer.call)
        await made.store.txn((), (_freed("ann"), Delete(key=keys.offer(AgentId("ann")))))
        await until(lambda: second.given == ["ann"])


async def test_a_caller_is_served_when_the_agents_rest_is_over() -> None:
    async with center("ann") as made:
        resting = Work(agent=AgentId("ann"), rest_s=0.1)
        await made.put(keys.work(resting.agent), resting)
        caller = await made.call(1)
        await until(lambda: caller.given == ["ann"])


async def test_an_agent_is_reserved_before_the_end_of_their_rest_and_rung_at_its_end() -> None:
    async with center("ann") as made:
        ended = made.clock.now()
        resting = Work(agent=AgentId("ann"), rest_s=1.0, ended_ms=ended.wall_ms)
        await made.put(keys.work(resting.agent), resting)
        caller = await made.call(1)
        await made.mirror.wait_until(lambda s: resting.agent in s.offers, PATIENCE_S)
        # A machine that stands still for so long has shown nothing, and nothing wrong.
        if made.clock.now().mono_s < ended.mono_s + 0.9:
            assert not caller.given
        await until(lambda: caller.given == ["ann"])
        assert made.clock.now().mono_s >= ended.mono_s + 1.0 - 0.002


async def test_a_caller_of_another_edge_is_left_to_that_edge() -> None:
    async with center("ann") as made:
        theirs = ticket(7, sales=1, holder="b1")
        await made.put(keys.ticket(theirs.call), theirs)
        await made.mirror.wait_until(lambda s: theirs.call in s.tickets, PATIENCE_S)
        ours = await made.call(8)
        await made.mirror.wait_until(lambda s: len(s.tickets) == 2, PATIENCE_S)
        # Ann is for the one who came first.
        connected = ticket(7, sales=1, holder="b1", state=TicketState.CONNECTED)
        await made.put(keys.ticket(theirs.call), connected)
        await until(lambda: ours.given == ["ann"])
        assert made.reserver.landed == 1


def _freed(name: str) -> Put:
    return Put(key=keys.work(AgentId(name)), value=encode(Work(agent=AgentId(name))))


async def test_who_has_waited_for_too_long_is_let_go_when_the_step_falls_due() -> None:
    async with center() as made:
        step = Step(after_s=0.2, turn_away=TurnAway.CALLBACK)
        await made.put(keys.queue(SALES), Queue(id=SALES, needs=(), steps=(step,)))
        caller = await made.call(1)
        await until(lambda: bool(caller.turned_away))
        assert caller.turned_away == [(Outcome.CALLBACK, "waited_too_long")]


async def test_who_waits_is_not_looked_at_again_until_a_step_falls_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[CallId] = []

    def look(queues: Queues, entry: Entry[Ticket], now: Now) -> Effective:
        looks.append(entry.value.call)
        return effective_now(queues, entry, now)

    monkeypatch.setattr("edge.acd.patience.effective_now", look)
    async with center() as made:
        callers = await asyncio.gather(*(made.call(number) for number in range(20)))
        await until(lambda: len(looks) >= len(callers))
        for times in range(10):
            await made.put(keys.work(AgentId("eve")), Work(agent=AgentId("eve"), calls=times))
        await made.mirror.wait_until(_has_worked("eve", 9), PATIENCE_S)
        await asyncio.sleep(0)
        assert len(looks) == len(callers)


async def test_a_step_that_comes_later_lets_those_go_who_wait_already() -> None:
    async with center() as made:
        await made.put(keys.queue(SALES), Queue(id=SALES, needs=()))
        caller = await made.call(1)
        await made.mirror.wait_until(lambda s: bool(s.tickets), PATIENCE_S)
        step = Step(after_s=0.05, turn_away=TurnAway.CALLBACK)
        await made.put(keys.queue(SALES), Queue(id=SALES, needs=(), steps=(step,)))
        await until(lambda: bool(caller.turned_away))


def _has_worked(name: str, calls: int) -> Callable[[Snapshot], bool]:
    def has(snapshot: Snapshot) -> bool:
        work = snapshot.works.get(AgentId(name))
        return work is not None and work.value.calls == calls

    return has


async def test_a_call_gets_an_agent_when_it_asks_for_less() -> None:
    async with center("ann") as made:
        step = Step(after_s=0.2, lower=(SkillNeed(skill=SkillId("sales"), level=1),))
        await made.put(keys.queue(SALES), Queue(id=SALES, needs=(), steps=(step,)))
        caller = await made.call(1, level=5)
        await until(lambda: bool(caller.given))
        assert caller.given == ["ann"]


async def test_who_is_presumed_to_go_to_another_edges_caller_is_not_kept_for_long() -> None:
    """The other edge stands still, and its caller could have somebody else by now."""
    async with center() as made:
        theirs = ticket(7, sales=1, holder="b1")
        await made.put(keys.ticket(theirs.call), theirs)
        await made.furnish("ann")
        ours = await made.call(8, level=2)
        await asyncio.sleep(0.1)
        assert not ours.given
        zoe = Agent(id=AgentId("zoe"), name="zoe", site=SiteId("a"), skills=skills(sales=1))
        await made.put(keys.agent(zoe.id), zoe)
        ready = PresenceState.READY
        said = Presence(agent=zoe.id, site=zoe.site, state=ready, since_ms=WALL_MS)
        await made.put(keys.presence(zoe.id), said)
        await until(lambda: ours.given == ["ann"])
        assert (made.reserver.landed, made.reserver.refused) == (1, 0)


@in_virtual_time
async def test_who_overflows_away_from_an_agent_presumed_to_be_theirs_is_not_overtaken() -> None:
    """The other edge stands still, and its caller comes to a queue that asks for French."""
    french = QueueId("french")
    async with center("ann", clock=LoopClock()) as made:
        speaks = (SkillNeed(skill=SkillId("french"), level=1),)
        await made.put(keys.queue(french), Queue(id=french, needs=speaks))
        step = Step(after_s=0.3, overflow=french)
        await made.put(keys.queue(SALES), Queue(id=SALES, needs=(), steps=(step,)))
        theirs = ticket(7, sales=1, holder="b1")
        await made.put(keys.ticket(theirs.call), theirs)
        ours = await made.call(8, queue="french", wants={"french": 1})
        also = await made.call(9, queue="others")
        await asyncio.sleep(0.29)
        assert not also.given
        await asyncio.sleep(0.05)
        # Ann is for nobody else now; that is not only known when the second is over.
        assert also.given == ["ann"]
        zoe = Agent(id=AgentId("zoe"), name="zoe", site=SiteId("a"), skills=skills(french=1))
        await made.put(keys.agent(zoe.id), zoe)
        ready = PresenceState.READY
        said = Presence(agent=zoe.id, site=zoe.site, state=ready, since_ms=WALL_MS)
        await made.put(keys.presence(zoe.id), said)
        await asyncio.sleep(1.0)
        assert not ours.given


class Alone:
    """No quorum: every agent's gate is idle."""

    is_alone = True

    async def token(self, agent: AgentId, snapshot: Snapshot) -> Token | None:  # noqa: ARG002
        """Return one that rings them."""
        return Token(epoch=1, revision=1)


@in_virtual_time
async def test_a_site_alone_keeps_no_agent_for_callers_of_sites_that_it_cannot_hear() -> None:
    async with center(clock=LoopClock(), alone=Alone()) as made:
        theirs = ticket(7, sales=1, holder="b1")
        await made.put(keys.ticket(theirs.call), theirs)
        await made.furnish("ann")
        ours = await made.call(8)
        await asyncio.sleep(SILENT_S - 0.5)
        assert not ours.given
        await asyncio.sleep(1.5)
        assert ours.given == ["ann"]


class Gate:
    """What is needed of a gate, once its site serves alone."""

    site: SiteStore

    @property
    def is_alone(self) -> bool:
        """Whether it does."""
        return self.site.is_alone

    async def token(self, agent: AgentId, snapshot: Snapshot) -> Token | None:
        """Return the first token."""
        _ = agent, snapshot
        return Token(epoch=2, revision=1)


@in_virtual_time
async def test_a_reservation_that_nobody_knows_of_as_the_quorum_is_lost_is_made_anew_alone() -> (
    None
):
    gate = Gate()
    async with center("ann", clock=LoopClock(), alone=gate) as made:
        gate.site = made.site
        caller = await made.call(1)
        made.way.loses_requests = 1
        await asyncio.sleep(0.05)
        assert not made.way.loses_requests, "it is asked again in a moment"
        made.site.begin()
        await asyncio.sleep(2.0)
        assert caller.given == ["ann"]
        assert caller.tokens == [Token(epoch=2, revision=1)]
        (offer,) = made.site.snapshot.offers.values()
        assert token_of(offer).is_alone
