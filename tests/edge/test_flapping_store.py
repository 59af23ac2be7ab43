"""A store that is full, and not, and full again: every call has an end, one, and nobody is kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from edge.acd.ending import AgentPart, Ending
from edge.acd.granting import reserved
from edge.acd.match import match
from edge.acd.plan import Held, Plan
from edge.acd.reservation import ended
from edge.acd.token import token_of
from edge.alone.alone import Alone
from edge.alone.mode import Mode
from edge.alone.space import SpaceWatch
from edge.calls.records import CallRecords, Landed
from state import keys
from state.errors import StoreFullError
from state.model import AgentId, CallId, Now, Outcome, SiteId, WorkEnd
from state.overlay import ALONE_FROM
from state.store import Compare, Operation, TxnResult
from tests.edge.lone import A1, Bench, SlowStore, ticket
from tests.edge.virtual_time import LoopClock, in_virtual_time, until

CALLS = 25
FLAPS_S = (0.05, 0.3, 0.9, 1.6, 2.5, 4.0, 6.0)
COMES_S, TALKS_S = (0.05, 0.5, 1.5), (0.1, 1.0, 3.0)


class FullStore(SlowStore):
    """One that, full, does half of what it is asked all the same; of half of that it says no."""

    def __init__(self, clock: LoopClock, dice: random.Random) -> None:
        super().__init__(clock)
        self._dice = dice

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Do it, or not."""
        was_full = self.is_full
        luck = self._dice.random() if was_full else 1.0
        self.is_full = was_full and luck >= 0.5
        try:
            result = await super().txn(compares, success, failure, patience_s=patience_s)
        finally:
            self.is_full = was_full
        if luck < 0.25:
            raise StoreFullError("and done all the same")
        return result


class Site:
    """One edge, which serves alone when the store is full, and its calls."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - a test
        self.bench = Bench()
        clock = self.bench.clock
        self.shared = self.bench.shared = FullStore(clock, self.dice)
        self.bench.join()
        self.watch = SpaceWatch(self.shared, clock)
        self.calls: dict[CallId, CallRecords] = {}
        self.alone = Alone(
            edge=A1,
            site=SiteId("a"),
            clock=clock,
            mirror=self.bench.mirror,
            shared=self.shared,
            store=self.bench.store,
            gate_of=_idle,
            on_change=lambda _: None,
            full_s=lambda: self.watch.full_s,
            held=lambda: [each.held for each in self.calls.values() if each.held is not None],
            holds=self.calls.__contains__,
        )

    async def flap(self) -> None:
        """Be full, and not, until cancelled."""
        while True:
            self.shared.is_full = not self.shared.is_full
            await asyncio.sleep(self.dice.choice(FLAPS_S))

    async def serve(self, call: CallId) -> None:
        """Take a call, give it the agent, end it."""
        records = self.calls[call] = self.bench.records(call)
        await records.create(ticket(call), self.bench.clock.now())
        while not await self._is_given(records):  # noqa: ASYNC110 - as the reserver looks
            await asyncio.sleep(0.05)
        await self.bench.talk(records)
        await asyncio.sleep(self.dice.choice(TALKS_S))
        assert isinstance(await records.end(_end, A1), Landed)
        del self.calls[call]

    async def _is_given(self, records: CallRecords) -> bool:
        snapshot, held, alone = self.bench.store.snapshot, records.held, self.alone
        offers = {each.call: each for each in match(snapshot, self.bench.clock.now())}
        offering = None if held is None else offers.get(held.ticket.value.call)
        if offering is None:
            return False
        is_alone = alone.is_alone
        token = await alone.token(offering.agent, snapshot) if is_alone else None

        def make(held: Held | None, at: Now) -> Plan | None:
            if held is None or alone.is_alone is not is_alone:
                return None
            return reserved(offering, held, snapshot, edge=A1, at=at, alone=token)

        written = await records.write(make, wait=False)
        if not isinstance(written, Landed) or (held := records.held) is None or held.given is None:
            return False
        assert token_of(held.given.offer).revision < ALONE_FROM, "no gate would read it"
        return True


async def _idle(_: AgentId) -> None:
    return None


def _end(held: Held | None, at: Now) -> Plan | None:
    part = AgentPart(end=WorkEnd.TALKED, rest_s=0.2)
    ending = Ending(outcome=Outcome.ANSWERED, cause="agent_hung_up")
    return None if held is None else ended(held, ending, part, at)


@pytest.mark.parametrize("seed", range(4))
@in_virtual_time
async def test_every_call_is_served_and_written_down_though_the_store_is_full_now_and_then(
    seed: int,
) -> None:
    site = Site(seed)
    await site.bench.fill()
    parts = (site.bench.mirror.run(), site.watch.run(), site.alone.run())
    running = [asyncio.create_task(each) for each in parts]
    await asyncio.sleep(1.0)
    flapping = asyncio.create_task(site.flap())
    names = [CallId(f"{number:024d}") for number in range(CALLS)]
    serving = []
    for call in names:
        serving.append(asyncio.create_task(site.serve(call)))
        await asyncio.sleep(site.dice.choice(COMES_S))
    await asyncio.wait_for(asyncio.gather(*serving), 600.0)
    flapping.cancel()
    site.shared.is_full = False
    await until(lambda: site.alone.mode is Mode.QUORUM, "it is one again")
    for call in names:
        assert await site.bench.has(keys.ended(call))
        assert not await site.bench.has(keys.ticket(call))
    assert not await site.bench.shared_offers()
    for each in (*running, flapping):
        each.cancel()
    await asyncio.gather(*running, flapping, return_exceptions=True)
