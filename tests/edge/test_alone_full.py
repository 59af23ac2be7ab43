"""A store whose space is used up: a site serves alone as without a quorum, and says why."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from edge.acd.token import Token, token_of
from edge.alone.alone import Alone
from edge.alone.mode import FULL_S, LEAVE_S, Because, Mode, Seen, Standing, merged, next_standing
from edge.alone.space import FULL_EVERY_S, SpaceWatch
from edge.calls.transfers import Target
from state import keys
from state.errors import UnavailableError
from state.memory import MemoryStore
from state.model import Agent, AgentId, Presence, PresenceState, SiteId
from state.overlay import ALONE_FROM
from state.snapshot import Snapshot
from tests.edge.lone import A1, ANN, CALL, OTHER, TALK, Bench, configured, ticket
from tests.edge.virtual_time import LoopClock, in_virtual_time, until

BOB = AgentId("bob")
GOOD = Seen(age_s=0.2, is_configured=True, has_lease=True)
AWAY = replace(GOOD, age_s=60.0)
FULL = replace(GOOD, full_s=60.0)
NEW = Standing(since_s=0.0, looked_s=0.0)


def looks(standing: Standing, seen: Seen, first: float, last: float) -> Standing:
    for tenth in range(round(first * 10), round(last * 10) + 1):
        standing = next_standing(standing, seen, tenth / 10)
    return standing


# ---- when ----------------------------------------------------------------------------------------


def test_a_site_is_alone_once_the_store_has_been_full_for_two_seconds_and_not_before() -> None:
    young = replace(FULL, full_s=FULL_S)
    assert looks(NEW, young, 0.1, 9.0).mode is Mode.QUORUM
    alone = looks(NEW, FULL, 0.1, FULL_S + 0.2)
    assert (alone.mode, alone.because) == (Mode.ALONE, Because.STORE_FULL)


def test_who_was_frozen_takes_a_full_store_for_full_only_when_it_has_looked_for_so_long() -> None:
    frozen = next_standing(looks(NEW, GOOD, 0.1, 1.0), FULL, 30.0)
    assert looks(frozen, FULL, 30.1, 31.8).mode is Mode.QUORUM


def test_without_a_configuration_nobody_serves_alone() -> None:
    assert looks(NEW, replace(FULL, is_configured=False), 0.1, 9.0).mode is Mode.QUORUM


def test_it_is_alone_until_there_has_been_room_for_a_second() -> None:
    alone = looks(NEW, FULL, 0.1, 3.0)
    assert looks(alone, FULL, 3.1, 60.0).mode is Mode.ALONE, "a quorum alone is not enough"
    flickers = looks(looks(alone, GOOD, 3.1, 3.9), FULL, 4.0, 4.0)
    assert looks(flickers, GOOD, 4.1, 4.0 + LEAVE_S).mode is Mode.ALONE
    back = looks(alone, GOOD, 3.1, 3.2 + LEAVE_S)
    assert back.mode is Mode.MERGING
    assert next_standing(back, FULL, 4.4).mode is Mode.ALONE
    assert merged(back, 4.4).because is None


def test_the_reason_told_is_the_one_that_stands() -> None:
    away = looks(NEW, AWAY, 0.1, 4.0)
    assert away.because is Because.NO_QUORUM
    full = looks(away, FULL, 4.1, 4.1)
    assert full.because is Because.STORE_FULL
    assert looks(full, AWAY, 4.2, 4.2).because is Because.NO_QUORUM
    assert looks(full, GOOD, 4.2, 4.2).because is Because.STORE_FULL, "what it was until now"


# ---- finding out ---------------------------------------------------------------------------------


class Moody(MemoryStore):
    """One whose members may be silent, or raise no alarm though they take no write."""

    def __init__(self) -> None:
        super().__init__(LoopClock())
        self.is_silent = False
        self.takes = True

    async def takes_writes(self) -> bool:
        """Say so, or nothing."""
        if self.is_silent:
            raise UnavailableError("silent")
        return self.takes and await super().takes_writes()


@in_virtual_time
async def test_an_edge_that_writes_nothing_finds_out_too() -> None:
    store = Moody()
    watch = SpaceWatch(store, LoopClock())
    running = asyncio.create_task(watch.run())

    def full_s() -> float:
        return -1.0 if watch.full_s is None else watch.full_s

    await asyncio.sleep(3.0)
    assert full_s() < 0
    store.is_full = True
    await until(lambda: full_s() >= 0, "it is found out", within_s=1.2)
    await asyncio.sleep(2.0)
    assert full_s() >= 2.0
    # Disarmed, but with no room made: etcd raises the alarm again at the next write.
    store.is_full, store.takes = False, False
    await asyncio.sleep(2.0)
    assert full_s() >= 0
    store.takes, store.is_silent = True, True
    await asyncio.sleep(2.0)
    assert full_s() >= 0, "who says nothing says nothing new"
    store.is_silent = False
    await until(lambda: full_s() < 0, "there is room", within_s=FULL_EVERY_S + 0.2)
    running.cancel()


# ---- alone, and back -----------------------------------------------------------------------------


@pytest.fixture
async def bench() -> Bench:
    return await configured()


async def _idle(_: AgentId) -> None:
    return None


@in_virtual_time
async def test_a_full_store_has_a_site_serve_alone_and_say_so_until_it_has_merged() -> None:
    bench = await configured()
    watch = SpaceWatch(bench.shared, bench.clock)
    alone = Alone(
        edge=A1,
        site=SiteId("a"),
        clock=bench.clock,
        mirror=bench.mirror,
        shared=bench.shared,
        store=bench.store,
        gate_of=_idle,
        on_change=lambda _: None,
        full_s=lambda: watch.full_s,
    )
    running = [asyncio.create_task(each.run()) for each in (bench.mirror, watch, alone)]
    await asyncio.sleep(1.0)
    # Ann calls from her own telephone, by way of another site: nobody would tell when that is over.
    own = replace(ticket(OTHER, holder="b1"), caller="ann", by=ANN)
    await bench.put(keys.ticket(OTHER), own)
    await until(lambda: ANN in bench.store.snapshot.calling, "she is seen to call")
    records = bench.records()
    bench.shared.is_full = True
    creating = asyncio.create_task(records.create(ticket(), bench.clock.now()))
    await until(lambda: alone.mode is Mode.ALONE, "it serves alone", within_s=FULL_S + 1.5)
    assert alone.status()["because"] == "store_full"
    await until(lambda: ANN not in bench.store.snapshot.calling, "she can be had", within_s=0.5)
    await asyncio.wait_for(creating, 3.0)
    await bench.give(records, Token(epoch=2, revision=1))
    await asyncio.sleep(20.0)
    assert alone.mode is Mode.ALONE
    assert not await bench.has(keys.ticket(CALL))
    bench.shared.is_full = False
    await until(lambda: alone.mode is Mode.QUORUM, "it is one again", within_s=LEAVE_S + 1.5)
    assert alone.status()["because"] is None
    assert await bench.has(keys.ticket(CALL))
    assert await bench.shared_offers() == {ANN}
    assert await bench.has(keys.ticket(OTHER)), "what is another's stays"
    assert ANN in bench.store.snapshot.calling
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@in_virtual_time
async def test_a_reservation_begun_by_the_store_does_not_land_on_the_copy_without_a_token() -> None:
    """Its number would be one of the copy's, which no gate reads as a token."""
    bench = await configured()
    records = await bench.waits(is_seen=True)
    bench.shared.is_full = True
    reserving = asyncio.create_task(bench.reserve(records))
    await asyncio.sleep(1.0)
    bench.store.begin()
    with pytest.raises(AssertionError):
        await reserving
    assert not bench.store.snapshot.offers
    # By a token of its own the agent is given at once.
    await bench.give(records, Token(epoch=2, revision=1))
    offer = bench.store.snapshot.offers[ANN]
    assert token_of(offer) == Token(epoch=2, revision=1)


@in_virtual_time
async def test_one_that_the_full_store_has_done_all_the_same_stands_by_the_stores_token() -> None:
    bench = await configured()
    records = await bench.waits(is_seen=True)

    await bench.reserve(records)
    await bench.read()
    bench.shared.is_full = True
    bench.store.begin()
    assert token_of(bench.store.snapshot.offers[ANN]).revision < ALONE_FROM
    await bench.talk(records)
    assert token_of(bench.store.snapshot.offers[ANN]).revision < ALONE_FROM


class Gate:
    """What is needed of the gates, once the site serves alone."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @property
    def is_alone(self) -> bool:
        """Whether it does."""
        return self._bench.store.is_alone

    async def token(self, agent: AgentId, snapshot: Snapshot) -> Token | None:
        """Return the first token."""
        _ = agent, snapshot
        return Token(epoch=2, revision=1)


@pytest.mark.parametrize("consults", [False, True])
@in_virtual_time
async def test_a_second_agent_asked_of_a_full_store_is_given_anew_once_the_site_is_alone(
    *, consults: bool
) -> None:
    bench = await configured()
    records, transfers = bench.records(), bench.transfers(Gate(bench))
    await records.create(ticket(), bench.clock.now())
    await bench.read()
    await bench.reserve(records)
    await bench.talk(records)
    await bench.put(
        keys.agent(BOB), Agent(id=BOB, name="Bob", site=SiteId("a"), skills={TALK.skill: 1})
    )
    await bench.put(
        keys.presence(BOB),
        Presence(agent=BOB, site=SiteId("a"), state=PresenceState.READY, since_ms=0),
    )
    await bench.read()
    bench.shared.is_full = True
    asking = asyncio.create_task(transfers.reserve(records, ticket(), ANN, BOB, consults=consults))
    await asyncio.sleep(1.0)
    bench.store.begin()
    got = await asking
    assert isinstance(got, Target)
    assert got.token == Token(epoch=2, revision=1)
    assert token_of(bench.store.snapshot.offers[BOB]) == got.token
