"""What an edge learns of its site's gates when it loads them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import cast

import pytest

from edge.acd.token import Token
from edge.alone.sister import Lone
from edge.duties.presence import PresenceKeeper
from edge.duties.steward import MERGED_S, Steward
from edge.media.relay import Relay
from edge.proxy.errors import ProxyError
from edge.proxy.events import Forwarded, GoodbyeUnheard, Refused
from edge.proxy.gate import GateEntry, GateLoad, GateState
from edge.proxy.proxy import SETTLE_S
from edge.proxy.tables import Tables
from edge.settings import Settings
from state import keys
from state.clock import ManualClock
from state.codec import encode
from state.keys import Kind
from state.memory import MemoryStore
from state.mirror import Mirror, MirrorState
from state.model import (
    FIRST_EPOCH,
    Agent,
    AgentId,
    CallId,
    EdgeId,
    Offer,
    OfferState,
    Presence,
    PresenceState,
    SiteId,
)
from state.store import Delete, Put, WatchBatch
from tests.edge.virtual_time import LoopClock, in_virtual_time, settle, until
from tests.steering.test_forwarding import OUT, world

ANN, SITE = AgentId("ann"), SiteId("a")


class Keeper:
    """Writes down which epochs it is told of."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def note_epoch(self, seen: int) -> None:
        """Be told."""
        self.seen.append(seen)


class Sister:
    """Another edge of the site."""

    alone_ago_s = inf
    """0.0: she does, and has not said whom she has given to calls, unless that is in `agents`."""
    agents: list[frozenset[AgentId]]
    """Each time that she is asked the next, the last one for good."""

    def __init__(self) -> None:
        self.agents = []

    async def __call__(self) -> Lone:
        """Tell how long ago she served alone, or what she has."""
        if self.alone_ago_s:
            return Lone(merged_ago_s=self.alone_ago_s)
        if not self.agents:
            return Lone(merged_ago_s=inf, is_unclear=True)
        said = self.agents.pop(0) if len(self.agents) > 1 else self.agents[0]
        return Lone(merged_ago_s=inf, agents=said)


def steward_of(
    store: MemoryStore, mirror: Mirror, keeper: Keeper, sister: Sister | None = None
) -> Steward:
    """Return one that is not run: nobody is there whom it could tell."""
    settings = Settings(
        edge=EdgeId("a1"),
        site=SITE,
        sip="198.18.1.10:5081",
        kamailio_rpc=Path("rpc"),
        evapi="127.0.0.1:8448",
        ng="direct",
        etcd=("198.18.1.10:2379",),
        run_dir=Path("run"),
        command_socket=Path("edge.sock"),
    )
    return Steward(
        settings=settings,
        clock=ManualClock(),
        store=store,
        mirror=mirror,
        snapshot=lambda: mirror.snapshot,
        is_alone=lambda: False,
        lone_sisters=sister or Sister(),
        media=cast("Relay", None),
        unreachable=frozenset,
        keeper=cast("PresenceKeeper", keeper),
        on_applied=lambda _: None,
    )


class Lagging(MemoryStore):
    """Tells nobody of changes any more, once it is told to: watches only say that they live."""

    lags = False

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Yield changes until then."""
        async for batch in super().watch(prefix, from_revision):
            told = WatchBatch(revision=from_revision - 1, changes=())
            yield told if self.lags else batch


class House:
    """A store, one agent of site a, and the steward of an edge there whose mirror follows."""

    def __init__(self) -> None:
        self.clock, self.keeper, self.sister = LoopClock(), Keeper(), Sister()
        self.store = Lagging(self.clock)
        self.mirror = Mirror(self.store, self.clock)
        self.steward = steward_of(self.store, self.mirror, self.keeper, self.sister)

    async def put(self, key: str, value: Agent | Offer | Presence) -> None:
        """Write a record."""
        await self.store.txn((), [Put(key=key, value=encode(value))])

    async def give(self, call: str, *, alone: Token | None = None) -> Token:
        """Give the agent to a call, and let them be rung; return the token."""
        offer = Offer(
            agent=ANN,
            call=CallId(call),
            edge=EdgeId("a1"),
            state=OfferState.RINGING,
            since_ms=0,
            epoch=FIRST_EPOCH if alone is None else alone.epoch,
            granted=None if alone is None else alone.revision,
        )
        await self.put(keys.offer(ANN), offer)
        (record,) = (await self.store.range(keys.offer(ANN))).records
        return Token(epoch=FIRST_EPOCH, revision=record.create_revision) if alone is None else alone

    async def take_back(self) -> None:
        """Delete the offer."""
        await self.store.txn((), [Delete(key=keys.offer(ANN))])

    async def to_load(self) -> GateLoad:
        """Return what the steward's proxy would load a gate with that was started anew."""
        return await self.steward._to_load()  # noqa: SLF001 - what its proxy asks


@asynccontextmanager
async def house(made: House | None = None) -> AsyncIterator[House]:
    """Bring one up."""
    made = made or House()
    await made.put(keys.agent(ANN), Agent(id=ANN, name="Ann", site=SITE, skills={}))
    following = asyncio.create_task(made.mirror.run())
    await until(lambda: made.mirror.state is MirrorState.LIVE, "the mirror is live")
    try:
        yield made
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@in_virtual_time
async def test_a_gate_loaded_with_a_token_made_alone_lifts_the_tokens_of_the_store() -> None:
    async with house() as made:
        await made.give("c1", alone=Token(epoch=FIRST_EPOCH + 1, revision=1))
        load = await made.to_load()
        assert load.offers[ANN].token.is_alone
        assert made.keeper.seen == [FIRST_EPOCH + 1]


@in_virtual_time
async def test_an_edge_whose_mirror_lags_loads_the_gate_with_what_the_store_has() -> None:
    async with house() as made:
        await made.give("before")
        await until(lambda: ANN in made.mirror.snapshot.offers, "the mirror shows it")
        made.store.lags = True
        await made.take_back()
        rung = await made.give("since")
        presence = Presence(
            agent=ANN, site=SITE, state=PresenceState.READY, since_ms=0, epoch=FIRST_EPOCH + 2
        )
        await made.put(keys.presence(ANN), presence)
        load = await made.to_load()
        assert made.mirror.state is MirrorState.LIVE
        assert made.mirror.snapshot.offers[ANN].value.call == "before"
        assert load.offers[ANN].token == rung
        assert load.floor.epoch == FIRST_EPOCH + 2
        assert load.floor.revision > rung.revision


def steward_alone() -> Steward:
    """Return one whose mirror has seen nothing."""
    clock = ManualClock()
    store = MemoryStore(clock)
    return steward_of(store, Mirror(store, clock), Keeper())


def test_kamailio_is_told_which_calls_it_hands_on() -> None:
    tables = steward_alone()._tables(world().snapshot)  # noqa: SLF001 - what it tells its proxy
    assert tables is not None
    assert tables.forward == {"1": f"t2 {OUT}"}


async def test_calls_that_were_handed_on_are_counted_as_kamailio_does() -> None:
    steward = steward_alone()
    for count in (1, 4):  # those between were missed
        await steward._hear(Forwarded(trunk="t2", outcome="sent", count=count))  # noqa: SLF001 - news
    await steward._hear(Forwarded(trunk="t2", outcome="loop", count=1))  # noqa: SLF001 - news
    assert steward.forwarded == {"sent": 4, "loop": 1}


@in_virtual_time
@pytest.mark.parametrize("is_over", [True, False])
async def test_the_gate_of_whom_nobody_heard_hang_up_is_looked_at_once_their_offer_is_gone(
    monkeypatch: pytest.MonkeyPatch, *, is_over: bool
) -> None:
    """Their edge stood still, and ends the call when it wakes up: nobody says BYE any more."""
    looked: list[frozenset[AgentId]] = []

    async def settle_gate(agents: Collection[AgentId]) -> frozenset[AgentId]:
        looked.append(frozenset(agents))
        return frozenset()

    async with house() as made:
        monkeypatch.setattr(made.steward._proxy, "settle_gate", settle_gate)  # noqa: SLF001 - no Kamailio
        looking = asyncio.create_task(made.steward._doubted.run())  # noqa: SLF001 - what it runs
        if not is_over:
            await made.give("c1")
            await until(lambda: ANN in made.mirror.snapshot.offers, "the mirror shows it")
        await made.steward._hear(GoodbyeUnheard(agent=ANN))  # noqa: SLF001 - news
        await settle()
        assert looked == ([{ANN}] if is_over else [])
        if not is_over:
            await made.take_back()
            await until(lambda: ANN not in made.mirror.snapshot.offers, "the mirror shows it")
        for _ in range(3):
            made.steward.take({Kind.OFFER})
            await settle()
        assert looked == [{ANN}]
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


@in_virtual_time
async def test_all_gates_are_looked_at_soon_again_though_a_look_was_held_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An edge is frozen for 14 s in the middle of it: not how long it takes to look."""
    looked: list[float] = []
    loop = asyncio.get_running_loop()

    async def settle_gate() -> frozenset[AgentId]:
        looked.append(loop.time())
        await asyncio.sleep(14.0 if len(looked) == 2 else 0.1)
        return frozenset()

    async with house() as made:
        proxy = made.steward._proxy  # noqa: SLF001 - no Kamailio
        monkeypatch.setattr(proxy, "settle_gate", settle_gate)
        keeping = asyncio.create_task(proxy._keep_gate_settled())  # noqa: SLF001 - what it runs
        await asyncio.sleep(90.0)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    pauses = [after - before for before, after in pairwise(looked)]
    assert max(pauses) <= SETTLE_S + 14.1
    assert len(looked) >= 4


@in_virtual_time
@pytest.mark.parametrize(
    ("alone_ago_s", "is_freed"), [(0.0, False), (1.0, False), (MERGED_S, True), (inf, True)]
)
@pytest.mark.parametrize("token", [Token(epoch=1, revision=1), Token(epoch=2, revision=1)])
async def test_nobody_is_freed_for_a_second_call_who_talks_with_a_caller_of_a_sister_who_is_alone(
    monkeypatch: pytest.MonkeyPatch, token: Token, alone_ago_s: float, *, is_freed: bool
) -> None:
    """The others took the call for lost, or the store has never heard of it: she will merge it."""
    talks = GateEntry(token=token, state=GateState.TALKING, call=CallId("c1"))
    freed: list[Token] = []

    async def gate_of(_: AgentId) -> GateEntry:
        return talks

    async def free_gate(_: AgentId, of: Token) -> None:
        freed.append(of)

    async with house() as made:
        lifted = Presence(
            agent=ANN, site=SITE, state=PresenceState.READY, since_ms=0, epoch=FIRST_EPOCH + 2
        )
        await made.put(keys.presence(ANN), lifted)
        await until(lambda: ANN in made.mirror.snapshot.presences, "the mirror shows it")
        proxy = made.steward._proxy  # noqa: SLF001 - no Kamailio
        await proxy.apply(Tables(home={ANN: "0.0"}))
        monkeypatch.setattr(proxy, "gate_of", gate_of)
        monkeypatch.setattr(proxy, "free_gate", free_gate)
        made.sister.alone_ago_s = alone_ago_s
        await made.steward.settle()
    assert freed == ([token] if is_freed else [])


class Doubted(House):
    """The gate of the agent holds them for a call of a sister who is dead."""

    def __init__(self) -> None:
        super().__init__()
        self.freed: list[Token] = []
        self.released: list[EdgeId] = []
        self.steward._media = cast("Relay", self)  # noqa: SLF001 - no relay

    async def gate_of(self, _: AgentId) -> GateEntry:
        """Tell it."""
        token = Token(epoch=1, revision=1)
        return GateEntry(token=token, state=GateState.TALKING, call=CallId("c1"))

    async def free_gate(self, _: AgentId, token: Token) -> None:
        """Note it."""
        self.freed.append(token)

    async def release_all_of(self, edge: EdgeId) -> int:
        """Let go of the media of an edge."""
        self.released.append(edge)
        return 0


@asynccontextmanager
async def doubted(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Doubted]:
    async with house(Doubted()) as made:
        assert isinstance(made, Doubted)
        proxy = made.steward._proxy  # noqa: SLF001 - no Kamailio
        await proxy.apply(Tables(home={ANN: "0.0"}))
        monkeypatch.setattr(proxy, "gate_of", made.gate_of)
        monkeypatch.setattr(proxy, "free_gate", made.free_gate)
        yield made


@in_virtual_time
async def test_a_gate_that_refused_while_a_sister_was_alone_is_freed_when_that_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with doubted(monkeypatch) as made:
        looking = asyncio.create_task(made.steward._doubted.run())  # noqa: SLF001 - what it runs
        made.sister.alone_ago_s = 0.0
        refused = Refused(agent=ANN, call=CallId("c2"), why="busy")
        await made.steward._hear(refused)  # noqa: SLF001 - news
        await asyncio.sleep(3.0)
        assert not made.freed
        made.sister.alone_ago_s = inf
        await until(lambda: bool(made.freed), "she can be rung again", within_s=2.0)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


@in_virtual_time
async def test_what_a_sister_held_who_died_while_she_was_alone_is_freed_once_she_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with doubted(monkeypatch) as made:
        sister = EdgeId("a2")
        made.sister.alone_ago_s = 0.0
        await made.steward.edge_died(sister)
        assert not made.freed
        made.sister.alone_ago_s = inf
        for _ in range(3):  # as the janitor says, twice a second
            await made.steward.edge_died(sister)
        assert len(made.freed) == 1
        assert set(made.released) == {sister}


@in_virtual_time
async def test_a_gate_that_has_forgotten_stays_shut_while_a_sister_serves_alone() -> None:
    async with house() as made:
        made.sister.alone_ago_s = 0.0
        with pytest.raises(ProxyError, match="serves alone"):
            await made.to_load()
        made.sister.alone_ago_s = 0.1
        assert (await made.to_load()).floor.revision > 0


@in_virtual_time
@pytest.mark.parametrize(
    ("said", "is_freed"),
    [
        ([frozenset[AgentId]()], True),
        ([frozenset({AgentId("bob")})], True),
        ([frozenset({ANN})], False),
        ([frozenset[AgentId](), frozenset({ANN})], False),
    ],
    ids=["she has nobody", "she has another", "she has her", "she has given her to a call since"],
)
async def test_a_gate_is_freed_for_whom_a_sister_who_stays_alone_has_not(
    monkeypatch: pytest.MonkeyPatch, said: list[frozenset[AgentId]], *, is_freed: bool
) -> None:
    """She may be alone for hours: the way to the store is broken for her, and for nobody else."""
    async with doubted(monkeypatch) as made:
        made.sister.alone_ago_s, made.sister.agents = 0.0, said
        await made.steward.settle()
        assert bool(made.freed) is is_freed
