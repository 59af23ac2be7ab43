"""Edges that compete for the same agents, in virtual time: the store is far, the news are late.

What the sites of `bench routing` do, on a store in memory: real mirrors, reservers and records.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import aclosing
from random import Random
from typing import Any

from msgspec import Struct

from drills.prove.history import Stored
from edge.acd.call_events import TurnedAway
from edge.acd.ending import WITHDRAWN, Ending
from edge.acd.reservation import ended
from edge.acd.token import Token
from edge.calls.records import CallRecords, Landed
from edge.reserve import Reserver
from loadtests.bench.routing.shared import furnishing, ticket
from state import keys
from state.codec import RECORD_TYPES, decode
from state.keys import parse
from state.memory import MemoryStore
from state.mirror import Mirror
from state.model import (
    AgentId,
    CallId,
    Decision,
    EdgeId,
    Now,
    Outcome,
    SiteId,
    Strategy,
    Ticket,
)
from state.snapshot import Delta, Snapshot
from state.store import Compare, Operation, TxnResult, WatchBatch
from tests.edge.virtual_time import LoopClock, until
from tests.state.passing import PassingStore

HANDLING_S = 0.1


class Delays(Struct, frozen=True, kw_only=True):
    """How far away the store is: each is drawn anew, evenly, from these seconds."""

    txn_s: tuple[float, float] = (0.01, 0.03)
    watch_s: tuple[float, float] = (0.001, 0.02)


_Txn = tuple[Sequence[Compare], Sequence[Operation], Sequence[Operation]]


class FarStore(PassingStore[MemoryStore]):
    """A MemoryStore that one edge reaches over a network; what waits goes in one request."""

    def __init__(self, store: MemoryStore, random: Random, delays: Delays) -> None:
        super().__init__(store)
        self._random = random
        self._delays = delays
        self._turn = asyncio.Lock()
        self._batch: list[tuple[_Txn, asyncio.Future[TxnResult]]] = []

    async def _sleep(self, within_s: tuple[float, float], share: float = 1.0) -> None:
        await asyncio.sleep(share * self._random.uniform(*within_s))

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,  # noqa: ARG002 - nothing waits here
    ) -> TxnResult:
        """Go with all who wait, once the request before is back."""
        mine: asyncio.Future[TxnResult] = asyncio.get_running_loop().create_future()
        self._batch.append(((compares, success, failure), mine))
        async with self._turn:
            if not mine.done():
                going, self._batch = self._batch, []
                await self._sleep(self._delays.txn_s, 0.5)
                results = [await self.inner.txn(*each) for each, _ in going]
                await self._sleep(self._delays.txn_s, 0.5)
                for (_, answer), result in zip(going, results, strict=True):
                    answer.set_result(result)
        return await mine

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Tell of each batch late, in order."""
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[tuple[float, WatchBatch]] = asyncio.Queue()

        async def fill() -> None:
            async with aclosing(self.inner.watch(prefix, from_revision)) as batches:
                async for batch in batches:
                    at_s = loop.time() + self._random.uniform(*self._delays.watch_s)
                    told.put_nowait((at_s, batch))

        filling = asyncio.create_task(fill())
        try:
            while True:
                at_s, batch = await told.get()
                await asyncio.sleep(max(0.0, at_s - loop.time()))
                yield batch
        finally:
            filling.cancel()


class Noted(Struct, frozen=True):
    """What an edge decided, and on what."""

    snapshot: Snapshot
    now: Now
    call: CallId
    agent: AgentId
    asked: dict[CallId, AgentId]


class Caller:
    """A call: once it has an agent it takes a moment, and is over."""

    def __init__(self, site: Site, place: Ticket) -> None:
        self._site = site
        self._place = place
        self.records = CallRecords(store=site.store, clock=site.clock, call=place.call)
        self._is_given = False

    @property
    def is_waiting(self) -> bool:
        """Until an agent has been given."""
        return not self._is_given

    def expect_agent(self) -> None:
        """Nothing is to be got ready."""

    def on_reserved(self, decision: Decision, token: Token) -> None:
        """Take the agent."""
        assert token.revision > 0
        self._is_given = True
        self._site.spawn(self._talk(decision))

    def deliver(self, event: TurnedAway) -> None:
        """Nobody is turned away here."""
        raise AssertionError(event)

    async def come(self) -> None:
        """Call."""
        written = await self._site.reserver.enter(self, self._place, self._site.clock.now())
        assert isinstance(written, Landed)

    async def _talk(self, decision: Decision) -> None:
        await asyncio.sleep(HANDLING_S)
        ending = Ending(outcome=Outcome.ANSWERED, cause="caller_hung_up", decision=decision)
        done = await self.records.write(
            lambda held, at: None if held is None else ended(held, ending, WITHDRAWN, at)
        )
        assert isinstance(done, Landed)
        self._site.over += 1


class Site:
    """One edge: its callers, its mirror and its reserver."""

    def __init__(self, edge: str, store: FarStore) -> None:
        self.edge = EdgeId(edge)
        self.clock = LoopClock()
        self.store = store
        self.over = 0
        self.mirror = Mirror(store, self.clock)
        self._callers: dict[CallId, Caller] = {}
        self.reserver = Reserver(
            edge=self.edge,
            clock=self.clock,
            snapshot=lambda: self.mirror.snapshot,
            unreachable=frozenset,
            call=self._callers.get,
            is_current=lambda: True,
            proof_age_s=lambda: self.mirror.age_s,
            note=self._note,
        )
        self.noted: list[Noted] = []
        self.mirror.subscribe(self._changed)
        self._tasks: set[asyncio.Task[None]] = set()

    def _changed(self, snapshot: Snapshot, deltas: tuple[Delta, ...]) -> None:
        self.reserver.take(snapshot, deltas)
        self.reserver.wake()

    def _note(  # noqa: PLR0913 - what a decision rests on
        self,
        *,
        revision: int,
        now: Now,
        call: CallId,
        agent: AgentId,
        unreachable: frozenset[SiteId],
        asked: Mapping[CallId, AgentId],
    ) -> None:
        snapshot = self.mirror.snapshot
        assert (snapshot.revision, unreachable) == (revision, frozenset())
        self.noted.append(Noted(snapshot, now, call, agent, dict(asked)))

    async def run(self, every_s: float, count: int) -> None:
        """Let so many callers come, and serve them all."""
        serving = asyncio.create_task(self.reserver.run())
        for number in range(count):
            place = ticket(number, self.edge, self.clock.now())
            caller = self._callers[place.call] = Caller(self, place)
            self.spawn(caller.come())
            await asyncio.sleep(every_s)
        await until(lambda: self.over == count, f"{self.edge}: all callers served")
        serving.cancel()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work on the side."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Outcomes(Struct, frozen=True, kw_only=True):
    """What came of a competition."""

    landed: int
    refused: int
    history: tuple[Stored, ...]
    """All that was written."""
    noted: tuple[Noted, ...]

    @property
    def wasted(self) -> float:
        """Share of the reservations that were refused."""
        return self.refused / max(1, self.refused + self.landed)


async def compete(
    *,
    rate: float,
    agents: int = 300,
    strategy: Strategy = Strategy.WEIGHTED,
    delays: Delays | None = None,
) -> Outcomes:
    """Let callers come at a rate to three edges alike, for three seconds."""
    random = Random(1)  # noqa: S311 - a repeatable world
    store = MemoryStore(LoopClock())
    for put in furnishing(agents, strategy):
        await store.txn((), (put,))
    sites = [Site(edge, FarStore(store, random, delays or Delays())) for edge in ("a1", "b1", "c1")]
    following = [asyncio.create_task(site.mirror.run()) for site in sites]
    try:
        for site in sites:
            await site.mirror.wait_until(lambda snapshot: len(snapshot.presences) == agents)
        await asyncio.gather(*(_begin(site, random, rate / len(sites)) for site in sites))
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    return Outcomes(
        landed=sum(site.reserver.landed for site in sites),
        refused=sum(site.reserver.refused for site in sites),
        history=await _history(store),
        noted=tuple(each for site in sites for each in site.noted),
    )


async def _history(store: MemoryStore) -> tuple[Stored, ...]:
    found: list[Stored] = []
    async with aclosing(store.watch(keys.ROOT, 1)) as batches:
        async for batch in batches:
            if not batch.changes:
                break
            for each in batch.changes:
                parsed = parse(each.key)
                value = None
                if each.value is not None:
                    value = decode(RECORD_TYPES[parsed.kind], each.value, each.key)
                found.append(
                    Stored(
                        at_s=0.0,
                        revision=each.mod_revision,
                        kind=parsed.kind,
                        id=parsed.id,
                        value=value,
                    )
                )
    return tuple(found)


async def _begin(site: Site, random: Random, rate: float) -> None:
    await asyncio.sleep(random.uniform(0.0, 1.0 / rate))
    await site.run(1.0 / rate, round(3.0 * rate))
