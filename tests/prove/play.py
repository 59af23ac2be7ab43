"""The center of a run as a play: real mirrors, reservers and records, in virtual time, no faults.

What `tests.edge.competition` does with one queue is done here with the queues, agents and numbers
of `drills.prove.center`, and noted as a run's history: so the laws hear what the matcher does, a
bug planted in it included, without a lab.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing
from random import Random
from typing import Any, TypeAlias
from unittest import mock

from drills.prove import center
from drills.prove.checker import check
from drills.prove.faults import SITES
from drills.prove.history import History, Placed, Stored
from drills.prove.violations import Law
from edge.acd.call_events import TurnedAway
from edge.acd.ending import WITHDRAWN, AgentPart, Ending
from edge.acd.plan import Held, Plan
from edge.acd.reservation import connected, ended, offer_failed
from edge.acd.rivals import Rivals
from edge.acd.token import Token
from edge.calls.records import CallRecords, Landed
from edge.reserve import Reserver
from state import keys
from state.codec import RECORD_TYPES, Record, decode, encode
from state.keys import parse
from state.memory import MemoryStore
from state.mirror import Mirror
from state.model import (
    CallId,
    Decision,
    DidNumber,
    EdgeId,
    EdgeLife,
    EdgeState,
    Now,
    Outcome,
    Presence,
    PresenceState,
    QueueId,
    SiteId,
    Ticket,
    TicketState,
    WorkEnd,
)
from state.publishing import publish
from state.snapshot import Delta, Snapshot
from state.store import Compare, Operation, Put, TxnResult, WatchBatch
from tests.edge.competition import Delays, FarStore
from tests.edge.virtual_time import LoopClock, until

DECLINES = 0.1
AT_ONCE = 0.5
"""As in a proof's edges: of so many who come an edge reserves before anybody has seen them."""
HEARD_S = (0.0, 0.3)
"""So late the history hears of what was written."""
PLAYS = 4
"""In one of so many a planted bug has to show."""
RULES = {queue.id: queue for queue in center.QUEUES}


class Caller:
    """A call, from when it is placed until it is over."""

    def __init__(
        self,
        site: Site,
        name: str,
        did: str,
        *,
        number: str,
        before: Caller | None = None,
    ) -> None:
        """`before`: the call of theirs that came to nothing, or after which they thought again."""
        self._site = site
        self.did = did
        self.number = number
        self._again = None if before is None else before.call
        self.times: int = 1 if before is None else before.times + 1
        self.call: CallId = CallId(name)
        self.records = CallRecords(store=site.store, clock=site.clock, call=self.call)
        self.is_waiting = True

    def expect_agent(self) -> None:
        """Nothing is to be got ready."""

    def on_reserved(self, decision: Decision, token: Token) -> None:
        """Take the agent."""
        assert token.revision > 0
        if not self.is_waiting:
            return  # they have given up meanwhile
        self.is_waiting = False
        self._site.spawn(self._serve(decision))

    def deliver(self, event: TurnedAway) -> None:
        """Nobody is turned away here."""
        raise AssertionError(event)

    async def come(self) -> None:
        """Call."""
        site = self._site
        placed = Placed(
            at_s=site.now().mono_s,
            call=self.call,
            site=site.site,
            did=self.did,
            again=self._again,
        )
        site.history.note(placed)
        await asyncio.sleep(site.chance.uniform(0.0, 0.05))
        written = await site.reserver.enter(self, self._ticket(), site.now())
        assert isinstance(written, Landed)

    def _ticket(self) -> Ticket:
        now, queue = self._site.now(), RULES[QueueId(center.DIDS[self.did])]
        did = DidNumber(self.did)
        return Ticket(
            call=self.call,
            did=did,
            queue=queue.id,
            tenant=queue.tenant,
            needs=queue.needs,
            any_of=queue.any_of,
            attributes=queue.attributes,
            priority=queue.priority,
            state=TicketState.QUEUED,
            holder=self._site.edge,
            site=self._site.site,
            via=self._site.site,
            caller=self.number,
            again_of=self._site.reserver.earlier(self.number, did).calls,
            sip_call_id=self.call,
            arrived_ms=now.wall_ms,
            queued_ms=now.wall_ms,
        )

    async def _serve(self, decision: Decision) -> None:
        chance = self._site.chance
        await asyncio.sleep(chance.uniform(0.05, 0.4))
        if chance.random() < DECLINES:
            await self._write(_declined)
            self.is_waiting = True
            self._site.reserver.waits(self.call)
            return
        await self._write(_answered)
        await asyncio.sleep(chance.uniform(0.05, 0.6))
        ending = Ending(outcome=Outcome.ANSWERED, cause="caller_hung_up", decision=decision)
        await self._write(lambda held, at: ended(held, ending, WITHDRAWN, at))
        self._site.is_over(self)

    @property
    def still_waits(self) -> bool:
        """Whether their ticket is written, and nobody has been found yet."""
        return self.is_waiting and self.records.held is not None

    async def gives_up(self) -> None:
        """Hang up, if nobody has been found yet."""
        if self.still_waits:
            self.is_waiting = False
            ending = Ending(outcome=Outcome.ABANDONED, cause="caller_hung_up")
            await self._write(lambda held, at: ended(held, ending, WITHDRAWN, at))
            self._site.forget(self)

    async def _write(self, make: Any) -> None:  # noqa: ANN401 - a plan of what is held, and when
        def plan(held: Held | None, at: Now) -> Plan | None:
            made: Plan | None = None if held is None else make(held, at)
            return made

        assert isinstance(await self.records.write(plan), Landed)


def _declined(held: Held, at: Now) -> Plan:
    assert held.given is not None
    part = AgentPart(end=WorkEnd.DECLINED, rest_s=0.3)
    return offer_failed(held, held.given, part, at, tried=True)


def _answered(held: Held, at: Now) -> Plan:
    assert held.given is not None
    return connected(held, held.given, at)


class OwnStore(FarStore):
    """The store as one edge reaches it: while that is frozen, nothing is written for it."""

    def __init__(self, *far: Any) -> None:  # noqa: ANN401 - as the store's
        super().__init__(*far)
        self.goes = asyncio.Event()
        """The edge is not frozen."""
        self.goes.set()
        self.late_s = 0.0
        """What the watch tells comes so late at most, each batch after the one before."""

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Go, once the edge does."""
        await self.goes.wait()
        return await super().txn(compares, success, failure, patience_s=patience_s)

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Tell it, as late as it is: delays add up, as in a proof (`tests.prove.planted`)."""
        async with aclosing(super().watch(prefix, from_revision)) as batches:
            async for batch in batches:
                if self.late_s and batch.changes:
                    await asyncio.sleep(self._random.uniform(0.0, self.late_s))
                yield batch


class Site:
    """One edge: its callers, its mirror and its reserver."""

    def __init__(self, name: str, store: OwnStore, history: History, chance: Random) -> None:
        self.site, self.edge = SiteId(name), EdgeId(f"{name}1")
        self.clock = LoopClock()
        self.store = store
        self.history = history
        self.chance = chance
        self.mirror = Mirror(store, self.clock)
        self._callers: dict[CallId, Caller] = {}
        self._count = 0
        self.on_served: Callable[[Caller], None] = lambda _: None
        """Hears of everybody who has been served."""
        self.reserver = Reserver(
            edge=self.edge,
            clock=self.clock,
            snapshot=lambda: self.mirror.snapshot,
            unreachable=frozenset,
            call=self._callers.get,
            is_current=lambda: True,
            proof_age_s=lambda: self.mirror.age_s,
        )
        self.mirror.subscribe(self._changed)
        self._tasks: set[asyncio.Task[None]] = set()

    def _changed(self, snapshot: Snapshot, deltas: tuple[Delta, ...]) -> None:
        self.reserver.take(snapshot, deltas)
        self.reserver.wake()

    def now(self) -> Now:
        """Return this instant."""
        return self.clock.now()

    async def run(self, seconds: float, wanted: int) -> None:
        """Let so many callers call at a time, and in the end serve them all."""
        serving = asyncio.create_task(self.reserver.run())
        ends_s = self.now().mono_s + seconds
        while self.now().mono_s < ends_s:
            if len(self._callers) < wanted and self.store.goes.is_set():
                self.call()
            await asyncio.sleep(self.chance.uniform(0.0, 0.1))
        await until(lambda: not self._callers, f"{self.edge}: all callers served")
        serving.cancel()

    def call(self, before: Caller | None = None) -> Caller:
        """Let somebody call: somebody new, or who has called before."""
        self._count += 1
        name = f"{self.site}{self._count:023x}"
        if before is None:
            number = f"49{self.site}{self._count}"
            caller = Caller(self, name, self.chance.choice(center.DIALLED), number=number)
        else:
            caller = Caller(self, name, before.did, number=before.number, before=before)
        self._callers[caller.call] = caller
        self.spawn(caller.come())
        return caller

    def waiting(self) -> list[Caller]:
        """Return the callers who wait."""
        return [each for each in self._callers.values() if each.still_waits]

    def is_over(self, caller: Caller) -> None:
        """Forget somebody who has been served."""
        self.forget(caller)
        self.on_served(caller)

    def forget(self, caller: Caller) -> None:
        """Forget a call."""
        del self._callers[caller.call]
        self.reserver.gone(caller.call)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work on the side."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()


Story: TypeAlias = Callable[[Sequence[Site]], Coroutine[Any, Any, None]]


async def play(
    *,
    seed: int,
    seconds: float = 8.0,
    wanted: int = 12,
    delays: Delays | None = None,
    story: Story | None = None,
) -> History:
    """Return the history of a play: three edges, with so many callers at a time at each.

    `story` happens beside it.
    """
    chance, history = Random(seed), History()  # noqa: S311 - a repeatable world
    store = MemoryStore(LoopClock())
    watching = asyncio.create_task(_watch(store, history, chance))
    await publish(store, center.configuration({s: f"198.18.1.10:{s}" for s in SITES}))
    for put in _people():
        await store.txn((), (put,))
    far = [OwnStore(store, chance, delays or Delays()) for _ in SITES]
    sites = [Site(*each, history, chance) for each in zip(SITES, far, strict=True)]
    following = [asyncio.create_task(site.mirror.run()) for site in sites]
    many = len(center.agents(SITES))

    def are_few(_rivals: Rivals, _now_s: float) -> bool:
        return chance.random() < AT_ONCE

    with mock.patch.object(Rivals, "are_few", are_few):
        for site in sites:
            await site.mirror.wait_until(lambda snapshot: len(snapshot.presences) == many)
        runs = [site.run(seconds, wanted) for site in sites]
        await asyncio.gather(*runs, *([] if story is None else [story(sites)]))
    await asyncio.sleep(1.0)
    for task in (*following, watching):
        task.cancel()
    await asyncio.gather(*following, watching, return_exceptions=True)
    return history


def _people() -> Iterator[Put]:
    for name in SITES:
        site, edge = SiteId(name), EdgeId(f"{name}1")
        life = EdgeLife(
            edge=edge, site=site, sip=f"{name}:5081", state=EdgeState.SERVING, started_ms=1
        )
        yield _put(keys.edge(edge), life)
    made = center.configuration(dict.fromkeys(SITES, "198.18.1.10:5060"))
    for agent in made.agents:
        said = Presence(agent=agent.id, site=agent.site, state=PresenceState.READY, since_ms=1)
        yield _put(keys.presence(agent.id), said)


def _put(key: str, record: Record) -> Put:
    return Put(key=key, value=encode(record))


async def _watch(store: MemoryStore, history: History, chance: Random) -> None:
    """Note all that is written, a little late."""
    clock = LoopClock()
    async with aclosing(store.watch(keys.ROOT, 1)) as batches:
        async for batch in batches:
            await asyncio.sleep(chance.uniform(*HEARD_S))
            for each in batch.changes:
                parsed = parse(each.key)
                value = None
                if each.value is not None:
                    value = decode(RECORD_TYPES[parsed.kind], each.value, each.key)
                history.note(
                    Stored(
                        at_s=clock.now().mono_s,
                        revision=each.mod_revision,
                        kind=parsed.kind,
                        id=parsed.id,
                        value=value,
                    )
                )


async def broken_laws(
    *, seed: int, seconds: float, wanted: int, must: Law | None = None
) -> set[Law]:
    """Return which laws a play breaks with a bug planted: of the first of `PLAYS` that shows it.

    `must`: only this one shows it. Whether the callers come to be where the bug matters is chance,
    and another with each change of who reserves when.
    """
    for each in range(seed, seed + PLAYS):
        history = await play(seed=each, seconds=seconds, wanted=wanted)
        found = {violation.law for violation in check(history.events)}
        if must in found or (must is None and found):
            return found
    return set()
