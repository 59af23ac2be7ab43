"""The home edge writes what it knows of its agents, and changes their rests when asked."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from edge.acd.attendance import RestChange
from edge.duties.presence import PresenceKeeper, due
from edge.errors import CommandError
from state import keys
from state.clock import ManualClock
from state.codec import decode, encode
from state.memory import MemoryStore
from state.model import (
    Agent,
    AgentId,
    EdgeId,
    Offer,
    OfferState,
    Presence,
    PresenceState,
    Readiness,
    Rest,
    Rested,
    RestTaken,
    SiteId,
    Wish,
    Work,
    WorkEnd,
)
from state.snapshot import Snapshot
from state.snapshot import replace as relist
from state.store import Put
from tests.acd.worlds import WALL_MS, World, call_id

ANN = AgentId("ann")
A1, B1 = EdgeId("a1"), EdgeId("b1")
NOBODY: frozenset[AgentId] = frozenset()


class Home:
    """A store with ann in it, who rests, and the keepers of two sites."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.snapshot = Snapshot()

    async def furnish(self, *, rest_s: float) -> None:
        """Let ann be there, just out of a call."""
        world = World()
        world.agent("ann", sales=1)
        world.put(keys.work(ANN), Work(agent=ANN, rest_s=rest_s, ended_ms=WALL_MS, call=call_id(1)))
        for record in world.snapshot.raw.values():
            await self.store.txn((), (Put(key=record.key, value=record.value),))
        await self.look()

    async def look(self) -> None:
        """Let the mirrors catch up."""
        listing = await self.store.range(keys.STATE, prefix=True)
        seen_s = self.clock.now().mono_s
        self.snapshot = relist(self.snapshot, listing.records, listing.revision, seen_s)[0]

    def keeper(self, edge: EdgeId) -> PresenceKeeper:
        """Return the keeper of an edge."""
        return PresenceKeeper(
            store=self.store,
            clock=self.clock,
            edge=edge,
            site=SiteId(edge[0]),
            snapshot=lambda: self.snapshot,
            is_alone=lambda: False,
        )

    async def rested(self) -> tuple[RestTaken, ...]:
        """Return what the ledger says of the wrap-ups of her call."""
        found = (await self.store.range(keys.rested(call_id(1)))).records
        return decode(Rested, found[0].value, found[0].key).rests if found else ()

    async def presence(self) -> Presence:
        """Return what stands in the store."""
        (record,) = (await self.store.range(keys.presence(ANN))).records
        return decode(Presence, record.value, record.key)


@pytest.fixture
async def home() -> Home:
    made = Home()
    await made.furnish(rest_s=30.0)
    return made


async def test_a_rest_is_finished_or_prolonged_by_the_home_edge(home: Home) -> None:
    keeper = home.keeper(A1)
    work = home.snapshot.works[ANN].mod_revision
    home.clock.advance(10.0)
    assert await keeper.change_rest(ANN, RestChange.EXTEND, 15.0) == pytest.approx(35.0)
    said = await home.presence()
    assert (said.rest_of, said.rest_s) == (work, 45.0)
    await home.look()
    assert await keeper.change_rest(ANN, RestChange.FINISH, 0.0) == 0.0
    await home.look()
    with pytest.raises(CommandError, match="not_resting"):
        await keeper.change_rest(ANN, RestChange.FINISH, 0.0)


async def test_a_wrap_up_that_is_changed_is_told_beside_the_calls_record(home: Home) -> None:
    keeper = home.keeper(A1)
    home.clock.advance(10.0)
    await keeper.change_rest(ANN, RestChange.EXTEND, 15.0)
    await home.look()
    (rest,) = await home.rested()
    assert (rest.agent, rest.since_ms, rest.rest_s) == (ANN, WALL_MS, 45.0)
    await keeper.change_rest(ANN, RestChange.FINISH, 0.0)
    (rest,) = await home.rested()
    assert rest.rest_s == 10.0, "the last change counts"


async def test_a_wrap_up_that_is_changed_over_the_api_is_told_too(home: Home) -> None:
    work = home.snapshot.works[ANN].mod_revision
    asked = Rest(agent=ANN, work=work, rest_s=3.0, by="sue")
    await home.store.txn((), (Put(key=keys.rest(ANN), value=encode(asked)),))
    await home.look()
    keeper = home.keeper(A1)
    keeper.set_registered(frozenset({ANN}))
    keeping = asyncio.create_task(keeper.run())
    try:
        for _ in range(200):
            if await home.rested():
                break
            await asyncio.sleep(0)
    finally:
        keeping.cancel()
    assert [rest.rest_s for rest in await home.rested()] == [3.0]
    assert (await home.presence()).rest_s == 3.0


async def test_two_agents_of_a_call_change_their_wrap_ups_and_both_are_told(home: Home) -> None:
    other = RestTaken(agent=AgentId("ben"), since_ms=1, rest_s=2.0)
    before = Rested(call=call_id(1), rests=(other,), at_ms=2)
    await home.store.txn((), (Put(key=keys.rested(call_id(1)), value=encode(before)),))
    await home.keeper(A1).change_rest(ANN, RestChange.EXTEND, 15.0)
    assert [rest.agent for rest in await home.rested()] == ["ben", "ann"]


async def test_of_a_pause_after_a_ring_and_of_an_old_record_nothing_is_told(home: Home) -> None:
    for end, call in ((WorkEnd.NO_ANSWER, call_id(1)), (WorkEnd.TALKED, None)):
        work = Work(agent=ANN, end=end, rest_s=30.0, ended_ms=WALL_MS, call=call)
        await home.store.txn((), (Put(key=keys.work(ANN), value=encode(work)),))
        await home.look()
        await home.keeper(A1).change_rest(ANN, RestChange.EXTEND, 15.0)
        assert not await home.rested()


async def test_a_rest_is_as_good_as_over_once_the_agent_is_given_to_the_next_call(
    home: Home,
) -> None:
    offer = Offer(
        agent=ANN, call=call_id(1), edge=A1, state=OfferState.RINGING, since_ms=WALL_MS, epoch=1
    )
    await home.store.txn((), (Put(key=keys.offer(ANN), value=encode(offer)),))
    await home.look()
    with pytest.raises(CommandError, match="not_resting"):
        await home.keeper(A1).change_rest(ANN, RestChange.EXTEND, 15.0)


async def test_another_edge_says_whom_to_ask(home: Home) -> None:
    with pytest.raises(CommandError, match="ask a1"):
        await home.keeper(B1).change_rest(ANN, RestChange.FINISH, 0.0)
    with pytest.raises(CommandError, match="not configured"):
        await home.keeper(B1).change_rest(AgentId("zoe"), RestChange.FINISH, 0.0)


async def test_a_presence_that_has_just_changed_is_not_written_over(home: Home) -> None:
    keeper = home.keeper(A1)
    await keeper.change_rest(ANN, RestChange.EXTEND, 1.0)
    with pytest.raises(CommandError, match="ask again"):
        await keeper.change_rest(ANN, RestChange.EXTEND, 1.0)
    assert (await home.presence()).rest_s == 31.0


def test_an_agent_who_lets_it_ring_too_often_is_paused_until_they_say_they_are_back() -> None:
    world = World()
    world.set_agent(Agent(id=ANN, name="ann", site=SiteId("a"), skills={}, pause_after=2))
    asked = Wish(agent=ANN, readiness=Readiness.READY)
    world.put(keys.wish(ANN), asked)
    there = frozenset({ANN})
    assert not list(due(world.snapshot, A1, there, WALL_MS))
    done = Work(agent=ANN, end=WorkEnd.NO_ANSWER, unanswered=2)
    world.put(keys.work(ANN), done)
    ((said, _),) = due(world.snapshot, A1, there, WALL_MS)
    assert (said.state, said.reason) == (PresenceState.PAUSED, "unanswered")
    world.put(keys.presence(ANN), said)
    assert not list(due(world.snapshot, A1, there, WALL_MS))
    world.put(keys.wish(ANN), replace(asked, by="sue"))
    ((said, _),) = due(world.snapshot, A1, there, WALL_MS)
    assert (said.state, said.reason) == (PresenceState.READY, "")
    assert not list(due(world.snapshot, B1, NOBODY, WALL_MS))
