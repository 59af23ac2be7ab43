"""One edge that is cut off from a store in memory, and whoever uses that store meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from edge.acd.ending import WITHDRAWN, AgentPart, Ending
from edge.acd.granting import reserved
from edge.acd.match import match
from edge.acd.merged_rests import with_rests_so_far
from edge.acd.plan import Held, Plan
from edge.acd.reservation import connected, ended, offer_failed
from edge.acd.token import Token
from edge.alone.alone import Alone, GateOf
from edge.alone.kept import Kept
from edge.alone.merging import Merged, merge
from edge.alone.past import Past
from edge.alone.store import SiteStore
from edge.calls.records import CallRecords, Landed, Written
from edge.calls.transfers import Transfers
from edge.waiting import AloneTokens
from state import keys
from state.codec import Record, decode, encode
from state.errors import UnavailableError
from state.memory import MemoryStore
from state.mirror import Mirror
from state.model import (
    Agent,
    AgentId,
    CallId,
    CallRecord,
    DidNumber,
    EdgeId,
    EdgeLife,
    EdgeState,
    Now,
    Offer,
    OfferState,
    Outcome,
    Presence,
    PresenceState,
    Queue,
    QueueId,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Ticket,
    TicketState,
    Work,
    WorkEnd,
)
from state.store import Compare, Delete, Operation, Put, TxnResult
from tests.edge.one_edge import settings
from tests.edge.troubled import TroubledStore
from tests.edge.virtual_time import LoopClock, until

A1, ANN, CALL, OTHER = EdgeId("a1"), AgentId("ann"), CallId("0" * 24), CallId("1" * 24)
NUMBER = DidNumber("15550001")
TALK = SkillNeed(skill=SkillId("talking"))


def ticket(call: CallId = CALL, holder: str = "a1") -> Ticket:
    return Ticket(
        call=call,
        did=NUMBER,
        queue=QueueId("sales"),
        needs=(TALK,),
        priority=0,
        state=TicketState.QUEUED,
        holder=EdgeId(holder),
        site=SiteId(holder[0]),
        via=SiteId("a"),
        caller="4930123",
        sip_call_id="x@y",
        arrived_ms=1,
        queued_ms=1,
    )


def guess(*, edge: str = "a1", cause: str = "edge_died") -> CallRecord:
    return CallRecord(
        call=CALL,
        did=NUMBER,
        queue=QueueId("sales"),
        outcome=Outcome.LOST,
        cause=cause,
        edge=EdgeId(edge),
        site=SiteId("a"),
        via=SiteId("a"),
        sip_call_id="x@y",
        arrived_ms=1,
        queued_ms=1,
        connected_ms=None,
        ended_ms=2,
    )


class SlowStore(MemoryStore):
    """One that can be away, and of whose answers something may happen before they arrive."""

    def __init__(self, clock: LoopClock) -> None:
        super().__init__(clock)
        self.is_away = False
        self.before_answer: Callable[[], None] | None = None

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Do it, unless nobody is there."""
        if self.is_away:
            raise UnavailableError("away")
        result = await super().txn(compares, success, failure, patience_s=patience_s)
        happens, self.before_answer = self.before_answer, None
        if happens is not None:
            happens()
        return result


class Bench:
    """A store that others use, and one edge that is cut off from it."""

    past: Past
    """Of an edge that lives."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.shared = SlowStore(self.clock)
        self.calls: list[CallRecords] = []
        self.join()

    def join(self) -> None:
        """Follow the shared store, whichever it is."""
        self.mirror = Mirror(self.shared, self.clock)
        self.store = SiteStore(self.shared, self.mirror, self.clock)

    async def fill(self) -> None:
        """Configure one site with one agent, who is ready, and one edge."""
        life = EdgeLife(edge=A1, site=SiteId("a"), sip="h:1", state=EdgeState.SERVING, started_ms=0)
        here = Presence(agent=ANN, site=SiteId("a"), state=PresenceState.READY, since_ms=0)
        for key, value in (
            (keys.site(SiteId("a")), Site(id=SiteId("a"), name="A", sip="h:1")),
            (keys.queue(QueueId("sales")), Queue(id=QueueId("sales"), needs=(TALK,))),
            (
                keys.agent(ANN),
                Agent(id=ANN, name="Ann", site=SiteId("a"), skills={TALK.skill: 5}),
            ),
            (keys.presence(ANN), here),
            (keys.edge(A1), life),
        ):
            await self.put(key, value)

    async def put(self, key: str, value: Record) -> None:
        """Write, as somebody else."""
        await self.shared.txn((), (Put(key=key, value=encode(value)),))

    async def read(self) -> None:
        """Let the mirror be current."""
        await self.mirror._list()  # noqa: SLF001 - one look, in place of a loop

    def records(self, call: CallId = CALL) -> CallRecords:
        """Return what writes for a call."""
        made = CallRecords(store=self.store, clock=self.clock, call=call)
        self.calls.append(made)
        return made

    async def waits(self, *, is_seen: bool = False) -> CallRecords:
        """Let a caller come and wait; `is_seen`: the mirror knows of it."""
        records = self.records()
        await records.create(ticket(), self.clock.now())
        if is_seen:
            await self.read()
        return records

    async def survivor_closes(self) -> None:
        """Let a survivor close the call in the shared store."""
        closed = (Delete(key=keys.ticket(CALL)), Put(key=keys.ended(CALL), value=encode(guess())))
        await self.shared.txn((), closed)

    async def others_give_ann(self) -> None:
        """Let the majority give Ann to another call."""
        theirs = Offer(
            agent=ANN, call=OTHER, edge=EdgeId("b1"), state=OfferState.RINGING, since_ms=0
        )
        await self.put(keys.offer(ANN), theirs)

    async def others_give_ann_and_back(self) -> None:
        """Let the majority give Ann to another call; her gate refuses, and she is given back."""
        await self.others_give_ann()
        rested = Work(agent=ANN, end=WorkEnd.WITHDRAWN, rest_s=1.0)
        freed = (Delete(key=keys.offer(ANN)), Put(key=keys.work(ANN), value=encode(rested)))
        await self.shared.txn((), freed)

    def transfers(self, alone: AloneTokens) -> Transfers:
        """Return what passes calls on."""
        return Transfers(
            settings=settings(A1, SiteId("a")),
            clock=self.clock,
            snapshot=lambda: self.store.snapshot,
            unreachable=frozenset,
            alone=lambda: alone,
        )

    async def give(self, records: CallRecords, token: Token) -> None:
        """Reserve Ann as the reserver does, and let the two talk."""
        await self.reserve(records, token)
        await self.talk(records)

    async def talk(self, records: CallRecords) -> None:
        """Let the agent answer."""
        written = await records.write(
            lambda held, at: (
                connected(held, held.given, at)
                if held is not None and held.given is not None
                else None
            )
        )
        assert isinstance(written, Landed)

    async def reserve(self, records: CallRecords, token: Token | None = None) -> None:
        """Reserve an agent as the reserver does."""
        snapshot = self.store.snapshot
        offering = next(
            each
            for each in match(snapshot, self.clock.now())
            if records.held is not None and each.call == records.held.ticket.value.call
        )

        def plan(held: Held | None, at: Now) -> Plan:
            assert held is not None
            return reserved(offering, held, snapshot, edge=A1, at=at, alone=token)

        assert isinstance(await records.write(plan), Landed)

    async def give_back(self, records: CallRecords) -> None:
        """Let the agent not answer."""

        def plan(held: Held | None, at: Now) -> Plan | None:
            assert held is not None
            assert held.given is not None
            return offer_failed(held, held.given, WITHDRAWN, at, tried=True)

        assert isinstance(await records.write(plan), Landed)

    async def give_back_unheard(self, records: CallRecords) -> Plan:
        """Let the agent not answer: the store has done it, and nobody has heard of that."""
        held = records.held
        assert held is not None
        assert held.given is not None
        plan = offer_failed(held, held.given, WITHDRAWN, self.clock.now(), tried=True)
        assert (await self.shared.txn(plan.compares, plan.success)).succeeded
        return plan

    async def end(self, records: CallRecords) -> Written:
        """Let the agent hang up."""
        part = AgentPart(end=WorkEnd.TALKED, rest_s=1.0)
        ending = Ending(outcome=Outcome.ANSWERED, cause="agent_hung_up")
        return await records.write(
            lambda held, at: None if held is None else ended(held, ending, part, at)
        )

    async def merge(self) -> Merged:
        """Write what was done alone, and go on by the shared store."""
        await self.read()
        assert self.store.overlay is not None
        overlay = with_rests_so_far(self.store.overlay, self.clock.now().mono_s)
        done = await merge(self.shared, overlay, self.mirror.snapshot, A1)
        await self.read()
        self.store.end(done.revisions, done.ranks)
        return done

    async def shared_offers(self) -> frozenset[AgentId]:
        """Return the agents who are given to a call in the shared store."""
        found = await self.shared.range(keys.OFFER, prefix=True)
        return frozenset(AgentId(each.key.removeprefix(keys.OFFER)) for each in found.records)

    async def record(self) -> CallRecord:
        """Return the record of the call in the shared store: there is one."""
        (found,) = (await self.shared.range(keys.ended(CALL))).records
        return decode(CallRecord, found.value, found.key)

    async def has(self, key: str) -> bool:
        """Tell whether the shared store has a key."""
        return bool((await self.shared.range(key)).records)


async def configured() -> Bench:
    """Return one whose store and mirror know of a site, an agent who is ready, and an edge."""
    made = Bench()
    await made.fill()
    await made.read()
    return made


@asynccontextmanager
async def living(
    bench: Bench, folder: Path | None = None, *, gate_of: GateOf | None = None
) -> AsyncIterator[tuple[TroubledStore, Alone]]:
    """Let the edge follow the store, and serve alone if it must. `folder`: for its next life."""
    way = TroubledStore(bench.shared)
    mirror = Mirror(way, bench.clock)
    kept, kept_past = (Kept(folder and folder / name) for name in ("alone-a1", "past-a1"))
    store = bench.store = SiteStore(way, mirror, bench.clock, kept)
    past = bench.past = Past(edge=A1, store=way, mirror=mirror, kept=kept_past)
    alone = Alone(
        edge=A1,
        site=SiteId("a"),
        clock=bench.clock,
        mirror=mirror,
        shared=way,
        store=store,
        gate_of=gate_of or _no_gate,
        on_change=lambda _: None,
        kept=kept,
        past=past,
        held=lambda: [each.held for each in bench.calls if each.held is not None],
    )
    running = [asyncio.create_task(part) for part in (mirror.run(), alone.run(), past.run())]
    await until(lambda: ANN in store.snapshot.agents, "the mirror shows what there is")
    yield way, alone
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _no_gate(_: AgentId) -> None:
    return None
