"""Presence: written by the home edge alone, when it changes, and put right when news is lost."""

from __future__ import annotations

import asyncio
import random

import pytest

from edge.duties.presence import PresenceKeeper, due
from edge.steering import home_edge
from state import keys
from state.mirror import Mirror
from state.model import (
    AgentId,
    Barred,
    CallId,
    EdgeId,
    EdgeLife,
    EdgeState,
    Offer,
    OfferState,
    PresenceState,
    Readiness,
    SiteId,
    Wish,
)
from state.snapshot import Delta, Snapshot
from state.store import Delete
from tests.edge.stage import Center
from tests.edge.troubled import TroubledStore
from tests.edge.virtual_time import WALL_MS, LoopClock, in_virtual_time, settle, until

ANN, BOB = AgentId("ann"), AgentId("bob")


class Desk:
    """One edge's keeper of presence."""

    def __init__(self, center: Center, name: str) -> None:
        clock = LoopClock()
        self.store = TroubledStore(center.store)
        self.freed: list[Delta] = []
        self.mirror = Mirror(self.store, clock)
        self.keeper = PresenceKeeper(
            store=self.store,
            clock=clock,
            edge=EdgeId(name),
            site=SiteId(name[0]),
            snapshot=lambda: self.mirror.snapshot,
            is_alone=lambda: False,
        )
        self.mirror.subscribe(lambda _, deltas: self.keeper.take(deltas))
        self.tasks = [
            asyncio.create_task(self.mirror.run()),
            asyncio.create_task(self.keeper.run()),
        ]

    def state(self, agent: AgentId = ANN) -> PresenceState | None:
        """Return what the snapshot says."""
        entry = self.mirror.snapshot.presences.get(agent)
        return None if entry is None else entry.value.state

    def site(self, agent: AgentId = ANN) -> SiteId | None:
        """Return which site says it."""
        entry = self.mirror.snapshot.presences.get(agent)
        return None if entry is None else entry.value.site

    async def end(self) -> None:
        """Die."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def center_without_presence() -> Center:
    center = Center()
    await center.configure()
    for name in (ANN, BOB):
        await center.agent(name)
        await center.store.txn((), (Delete(key=keys.presence(name)),))
    return center


async def lives(center: Center, name: str) -> None:
    life = EdgeLife(
        edge=EdgeId(name),
        site=SiteId(name[0]),
        sip=f"198.18.1.10:508{name[1]}",
        state=EdgeState.SERVING,
        started_ms=WALL_MS,
    )
    await center.put(keys.edge(EdgeId(name)), life)


async def wishes_to_be(center: Center, readiness: Readiness = Readiness.READY) -> None:
    await center.put(keys.wish(ANN), Wish(agent=ANN, readiness=readiness))


@in_virtual_time
async def test_an_agent_is_ready_when_registered_and_wishing_to_be_in_whatever_order() -> None:
    center = await center_without_presence()
    await lives(center, "a1")
    desk = Desk(center, "a1")
    await wishes_to_be(center)
    desk.keeper.set_registered(frozenset())
    await asyncio.sleep(0.1)
    assert desk.state() is None
    desk.keeper.note(ANN, registered=True)
    await until(lambda: desk.state() is PresenceState.READY, "ready")
    await wishes_to_be(center, Readiness.PAUSED)
    await until(lambda: desk.state() is PresenceState.PAUSED, "paused")
    desk.keeper.note(ANN, registered=False)
    await until(lambda: desk.state() is PresenceState.SIGNED_OUT, "signed out")
    desk.keeper.note(BOB, registered=True)
    await until(lambda: desk.state(BOB) is PresenceState.PAUSED, "without a wish: paused")
    await desk.end()


@in_virtual_time
async def test_only_the_home_edge_writes_and_the_next_one_goes_on_when_it_dies() -> None:
    center = await center_without_presence()
    desks = {}
    for name in ("a1", "a2"):
        await lives(center, name)
        desks[name] = Desk(center, name)
    await wishes_to_be(center)
    for desk in desks.values():
        desk.keeper.set_registered(frozenset({ANN}))
    first = desks["a1"]
    await until(lambda: first.state() is PresenceState.READY, "ready")
    home = home_edge(first.mirror.snapshot, ANN)
    assert home is not None
    other = "a2" if home == "a1" else "a1"
    assert desks[other].store.txns == 0
    # The home edge dies, and the agent signs out where only the other can hear it.
    await desks[home].end()
    desks[other].keeper.note(ANN, registered=False)
    await center.store.txn((), (Delete(key=keys.edge(home)),))
    await until(lambda: desks[other].state() is PresenceState.SIGNED_OUT, "the other goes on")
    await desks[other].end()


@in_virtual_time
async def test_an_event_that_was_lost_is_made_up_for_by_the_next_reading() -> None:
    center = await center_without_presence()
    await lives(center, "a1")
    desk = Desk(center, "a1")
    await wishes_to_be(center)
    desk.keeper.note(ANN, registered=True)  # before the first reading: it is in that
    desk.keeper.set_registered(frozenset({ANN}))
    await until(lambda: desk.state() is PresenceState.READY, "ready")
    desk.keeper.set_registered(frozenset())
    await until(lambda: desk.state() is PresenceState.SIGNED_OUT, "signed out")
    await desk.end()


@in_virtual_time
async def test_what_happens_while_the_table_is_read_is_newer_than_what_is_read() -> None:
    center = await center_without_presence()
    await lives(center, "a1")
    desk = Desk(center, "a1")
    await wishes_to_be(center)
    desk.keeper.set_registered(frozenset({BOB}))
    await asyncio.sleep(0.1)
    desk.keeper.reading()
    desk.keeper.note(ANN, registered=True)
    desk.keeper.note(BOB, registered=False)
    desk.keeper.set_registered(frozenset({BOB}))
    await until(lambda: desk.state() is PresenceState.READY, "ready")
    assert desk.state(BOB) is PresenceState.SIGNED_OUT
    await desk.end()


@in_virtual_time
async def test_registrations_that_are_renewed_write_nothing() -> None:
    center = await center_without_presence()
    await lives(center, "a1")
    desk = Desk(center, "a1")
    await wishes_to_be(center)
    desk.keeper.set_registered(frozenset({ANN}))
    await until(lambda: desk.state() is PresenceState.READY, "ready")
    before = desk.store.txns
    for _ in range(100):
        desk.keeper.note(ANN, registered=True)
        desk.keeper.set_registered(frozenset({ANN}))
        await asyncio.sleep(0.1)
    assert desk.store.txns == before == 1
    await desk.end()


@in_virtual_time
async def test_a_store_in_trouble_is_asked_again_and_not_stormed() -> None:
    center = await center_without_presence()
    await lives(center, "a1")
    desk = Desk(center, "a1")
    await wishes_to_be(center)
    await until(lambda: ANN in desk.mirror.snapshot.wishes, "seen")
    desk.store.loses_answers = 3
    desk.store.rejects = 5
    desk.keeper.set_registered(frozenset({ANN}))
    await until(lambda: desk.state() is PresenceState.READY, "ready")
    assert desk.store.txns < 15
    await desk.end()


@in_virtual_time
async def test_a_mirror_that_is_late_makes_no_storm_of_writes() -> None:
    center = await center_without_presence()
    await lives(center, "a1")
    desk = Desk(center, "a1")
    await wishes_to_be(center)
    await until(lambda: ANN in desk.mirror.snapshot.wishes, "seen")
    desk.store.watch_latency_s = 2.0
    desk.keeper.set_registered(frozenset({ANN}))
    for _ in range(50):
        desk.keeper.wake()
        await settle(5)
        await asyncio.sleep(0.01)
    revision = (await center.store.range(keys.presence(ANN))).records[0]
    assert revision.version == 1
    await until(lambda: desk.state() is PresenceState.READY, "ready")
    await desk.end()


@in_virtual_time
async def test_an_agent_moved_to_another_site_is_written_by_its_edge() -> None:
    center = await center_without_presence()
    for name in ("a1", "b1"):
        await lives(center, name)
    desk = Desk(center, "a1")
    await center.agent("ann", site="b")
    await wishes_to_be(center)
    desk.keeper.set_registered(frozenset({ANN}))
    await asyncio.sleep(1)
    assert desk.store.txns == 0
    await desk.end()


@in_virtual_time
async def test_an_agent_whose_site_died_is_at_home_where_their_phone_has_come_and_goes_back() -> (
    None
):
    center = await center_without_presence()
    desks = {}
    for name in ("a1", "b1"):
        await lives(center, name)
        desks[name] = Desk(center, name)
        desks[name].keeper.set_registered(frozenset())
    there, here = desks["a1"], desks["b1"]
    await wishes_to_be(center)
    there.keeper.note(ANN, registered=True)
    await until(lambda: here.state() is PresenceState.READY, "ready at a")
    # The site dies: its edge, and with it what it knew of her.
    await there.end()
    await center.store.txn((), (Delete(key=keys.edge(EdgeId("a1"))),))
    await asyncio.sleep(0.1)
    assert here.site() == "a", "nobody has her telephone"
    here.keeper.note(ANN, registered=True)
    await until(lambda: here.site() == "b", "ready at b")
    assert here.mirror.snapshot.agents[ANN].value.site == "b"
    # Its next life does not get her back for being there, but for having her telephone.
    await lives(center, "a1")
    again = Desk(center, "a1")
    again.keeper.set_registered(frozenset())
    await asyncio.sleep(0.1)
    again.keeper.note(ANN, registered=True)
    await asyncio.sleep(0.1)
    assert again.site() == "b"
    here.keeper.note(ANN, registered=False)
    await until(lambda: again.site() == "a", "home again")
    assert again.state() is PresenceState.READY
    assert again.mirror.snapshot.agents[ANN].value.site == "a"
    for desk in (here, again):
        await desk.end()


@in_virtual_time
async def test_nobody_is_moved_in_a_call_but_right_after_it() -> None:
    center = await center_without_presence()
    await lives(center, "b1")
    desk = Desk(center, "b1")
    desk.mirror.subscribe(
        lambda _, deltas: desk.freed.extend(filter(desk.keeper.frees_guest, deltas))
    )
    talks = Offer(
        agent=ANN,
        call=CallId("f" * 24),
        edge=EdgeId("b1"),
        state=OfferState.TALKING,
        since_ms=WALL_MS,
    )
    await center.put(keys.offer(ANN), talks)
    desk.keeper.set_registered(frozenset({ANN}))
    await asyncio.sleep(0.1)
    assert (desk.site(), desk.freed) == (None, [])
    await center.store.txn((), (Delete(key=keys.offer(ANN)),))
    await until(lambda: desk.site() == "b", "moved")
    assert [delta.id for delta in desk.freed] == [ANN]
    await desk.end()


@in_virtual_time
async def test_who_signs_in_is_looked_at_and_not_all_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    center = await center_without_presence()
    for number in range(50):
        await center.agent(f"agent{number}")
    await lives(center, "a1")
    desk = Desk(center, "a1")
    desk.keeper.set_registered(frozenset())
    await asyncio.sleep(1.0)
    said = desk.mirror.snapshot.presences.values()
    assert {each.value.state for each in said} == {PresenceState.SIGNED_OUT}
    looked_at: list[str] = []

    def counted(snapshot: Snapshot, agent: AgentId) -> EdgeId | None:
        looked_at.append(agent)
        return home_edge(snapshot, agent)

    monkeypatch.setattr("edge.duties.presence.home_edge", counted)
    await wishes_to_be(center)
    desk.keeper.note(ANN, registered=True)
    await until(lambda: desk.state() is PresenceState.READY, "ready")
    await settle(20)
    assert set(looked_at) == {ANN}
    await lives(center, "a2")
    await until(lambda: len(set(looked_at)) > 50, "another edge takes over some")
    await desk.end()


@pytest.mark.parametrize("seed", range(4))
@in_virtual_time
async def test_whatever_changes_nothing_stays_due(seed: int) -> None:
    rng, center = random.Random(seed), await center_without_presence()  # noqa: S311 - the same each time
    names = [AgentId(f"agent{number}") for number in range(5)]
    for name in names:
        await center.agent(name)
    await lives(center, "a1")
    desk = Desk(center, "a1")
    registered: set[AgentId] = set()
    desk.keeper.set_registered(frozenset())
    for turn in range(60):
        agent = rng.choice(names)
        match rng.randrange(7):
            case 0 | 1:
                registered ^= {agent}
                desk.keeper.note(agent, registered=agent in registered)
            case 2:
                wish = Wish(agent=agent, readiness=rng.choice(list(Readiness)))
                await center.put(keys.wish(agent), wish)
            case 3:
                await center.put(keys.barred(agent), Barred(agent=agent, since_ms=turn))
            case 4:
                await center.store.txn((), (Delete(key=keys.barred(agent)),))
            case 5:
                await center.agent(agent, site=rng.choice("ab"))
            case _:
                await lives(center, rng.choice(["a2", "b1"]))
                await center.store.txn((), (Delete(key=keys.edge(EdgeId("a2"))),))
        if rng.random() < 0.5:
            await settle(rng.randrange(20))
    await asyncio.sleep(1.0)
    found = due(desk.mirror.snapshot, EdgeId("a1"), frozenset(registered), WALL_MS)
    assert list(found) == []
    await desk.end()
