"""What the edges of a site tell each other while they are alone, over their command sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from math import inf
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.acd.token import Token
from edge.alone.alone import OVER_S, Alone
from edge.alone.mode import Mode
from edge.alone.sister import (
    GONE_S,
    MOST_TOLD,
    Holding,
    Lone,
    Sisters,
    Told,
    is_acceptable,
    telling,
)
from edge.commands import CommandPort
from state import keys
from state.clock import ManualClock
from state.codec import encode
from state.model import (
    AgentId,
    EdgeId,
    EdgeLife,
    EdgeState,
    Offer,
    OfferState,
    SiteId,
    Work,
    WorkEnd,
)
from state.raw import Change
from tests.edge.lone import A1, ANN, CALL, OTHER, Bench, configured, ticket
from tests.edge.virtual_time import in_virtual_time

A2 = EdgeId("a2")
LIFE = EdgeLife(edge=A2, site=SiteId("a"), sip="h:2", state=EdgeState.SERVING, started_ms=0)
NOTHING = Holding(calls=frozenset(), agents=frozenset())


async def _no_gate(_: AgentId) -> None:
    return None


def alone_at(bench: Bench) -> Alone:
    return Alone(
        edge=A1,
        site=SiteId("a"),
        clock=bench.clock,
        mirror=bench.mirror,
        shared=bench.shared,
        store=bench.store,
        gate_of=_no_gate,
        on_change=lambda _: None,
    )


async def with_a_call_of_the_sister() -> Bench:
    bench = await configured()
    await bench.put(keys.edge(A2), LIFE)
    await bench.put(keys.ticket(CALL), ticket(holder="a2"))
    offer = Offer(agent=ANN, call=CALL, edge=A2, state=OfferState.RINGING, since_ms=0)
    await bench.put(keys.offer(ANN), offer)
    await bench.put(keys.ticket(OTHER), ticket(OTHER))
    await bench.read()
    return bench


# ---- what a sister has no more -------------------------------------------------------------------


@in_virtual_time
async def test_a_sisters_call_that_is_over_keeps_nobody_here_though_its_end_was_lost() -> None:
    bench = await with_a_call_of_the_sister()
    alone = alone_at(bench)
    bench.store.begin()
    alone.drop_what_is_over(A2, NOTHING)
    assert CALL in bench.store.snapshot.tickets, "another life of hers may be taking it up"
    await asyncio.sleep(OVER_S)
    alone.drop_what_is_over(A2, NOTHING)
    assert CALL not in bench.store.snapshot.tickets
    assert ANN not in bench.store.snapshot.offers
    assert OTHER in bench.store.snapshot.tickets, "that is none of hers"
    # It was not this edge's to end, and is not merged.
    await bench.merge()
    assert await bench.has(keys.ticket(CALL))
    assert not await bench.has(keys.ended(CALL))


@in_virtual_time
async def test_what_a_sister_has_stays_and_so_does_what_she_has_again() -> None:
    bench = await with_a_call_of_the_sister()
    alone = alone_at(bench)
    bench.store.begin()
    has = Holding(calls=frozenset({CALL}), agents=frozenset({ANN}))
    for said in (has, NOTHING, has, NOTHING):
        alone.drop_what_is_over(A2, said)
        await asyncio.sleep(0.7 * OVER_S)
    assert CALL in bench.store.snapshot.tickets
    assert ANN in bench.store.snapshot.offers


@in_virtual_time
async def test_with_a_quorum_the_store_alone_says_what_is_over() -> None:
    bench = await with_a_call_of_the_sister()
    alone = alone_at(bench)
    for _ in range(3):
        alone.drop_what_is_over(A2, NOTHING)
        await asyncio.sleep(OVER_S)
    assert alone.mode is Mode.QUORUM
    assert CALL in bench.store.snapshot.tickets


# ---- over the sockets ----------------------------------------------------------------------------


class Sockets:
    """The command socket of a sister, and who asks there."""

    def __init__(self, folder: Path, bench: Bench) -> None:
        self.taken: list[Change] = []
        self.holding: list[Holding] = []
        self.answer: Mapping[str, object] = {}
        self.port = CommandPort(folder / f"edge-{A2}.sock", {"alone": self._tell})
        self.sisters = Sisters(
            edge=A1,
            own_socket=folder / f"edge-{A1}.sock",
            clock=bench.clock,
            is_alone=lambda: True,
            on_told=self.note_told,
            on_holding=lambda _, holding: self.holding.append(holding),
        )

    async def _tell(self, _: Mapping[str, object]) -> Mapping[str, object]:
        return self.answer

    def note_told(self, _: EdgeId, changes: Sequence[Change]) -> frozenset[str]:
        """Take in what she says that she has written."""
        self.taken += changes
        return frozenset(each.key for each in changes)

    async def ask(self) -> None:
        """Let it be asked once or twice."""
        asking = asyncio.create_task(self.sisters.run())
        await asyncio.sleep(0.15)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled(), "it has ended by itself"


async def test_what_is_told_arrives_once_with_what_is_had(tmp_path: Path) -> None:
    bench = await configured()
    bench.store.begin()
    records = await bench.waits()
    await bench.give(records, Token(epoch=2, revision=1))
    assert bench.store.overlay is not None
    sockets = Sockets(tmp_path, bench)
    await sockets.port.start()
    sockets.answer = telling(bench.store.overlay, A1, bench.store.own_since(0))
    await sockets.ask()
    assert {each.key for each in sockets.taken} == {keys.ticket(CALL), keys.offer(ANN)}
    assert sockets.holding[0] == Holding(calls=frozenset({CALL}), agents=frozenset({ANN}))
    assert sockets.sisters.lives(A2)
    await sockets.port.close()


class Telling(Sockets):
    """A sister who has done something alone; all that she answers is kept."""

    def __init__(self, folder: Path, bench: Bench) -> None:
        super().__init__(folder, bench)
        self.alone, self.bench = alone_at(bench), bench
        self.told: list[list[str]] = []
        """The keys of each answer."""
        self.takes = True
        self.calls = count(1)

    async def _tell(self, request: Mapping[str, object]) -> Mapping[str, object]:
        since, again = request["since"], request["again"]
        assert isinstance(since, int)
        assert isinstance(again, list)
        answer = self.alone.telling(since, again)
        records = answer["records"]
        assert isinstance(records, list)
        self.told.append([each["key"] for each in records])
        return answer

    async def once(self) -> None:
        """Let her be asked, once."""
        await self.sisters.lone()

    def note_told(self, sister: EdgeId, changes: Sequence[Change]) -> frozenset[str]:
        """Take it in, or not."""
        taken = super().note_told(sister, changes)
        return taken if self.takes else frozenset()

    def write(self, *names: str, is_ours: bool = True) -> None:
        """Let her write, or hear of, what these agents have done."""
        self.bench.store.note(
            [
                Change(
                    key=keys.work(AgentId(name)),
                    value=b'{"v":1,"agent":"%b","calls":%d}' % (name.encode(), next(self.calls)),
                    create_revision=0,
                    mod_revision=0,
                )
                for name in names
            ],
            is_ours=is_ours,
        )


@asynccontextmanager
async def telling_sister(folder: Path) -> AsyncIterator[Telling]:
    """Let a sister serve alone, and answer."""
    bench = await configured()
    bench.store.begin()
    sockets = Telling(folder, bench)
    await sockets.port.start()
    yield sockets
    await sockets.port.close()


async def test_what_has_been_told_is_not_told_again_however_much_it_was(tmp_path: Path) -> None:
    async with telling_sister(tmp_path) as sockets:
        sockets.write("ann", "bob")
        await sockets.once()
        sockets.write("cid")
        await sockets.once()
        sockets.write("ann")
        await sockets.once()
        told = [[key.rpartition("/")[2] for key in each] for each in sockets.told]
        assert told == [["ann", "bob"], ["cid"], ["ann"]]
        assert [each.key for each in sockets.taken] == [
            key for each in sockets.told for key in each
        ]


async def test_what_a_sister_has_told_is_not_kept_for_a_second_time(tmp_path: Path) -> None:
    """She may serve alone for a day."""
    async with telling_sister(tmp_path) as sockets:
        for number in range(5):
            sockets.write(f"a{number}", f"b{number}")
            await sockets.once()
        assert len(sockets.taken) == 10
        assert len(sockets.sisters._told[A2]) == 2  # noqa: SLF001 - what it costs


@pytest.mark.parametrize("is_later", [True, False])
async def test_who_wrote_last_is_told_by_no_clock_that_people_set(*, is_later: bool) -> None:
    """The host's was set back, or forward, between the two."""
    bench = await configured()
    bench.store.begin()
    ours = Work(agent=ANN, calls=1, end=WorkEnd.TALKED, rest_s=1.0, ended_ms=600_000)
    text, key = encode(ours), keys.work(ANN)
    mine = Change(key=key, value=text, create_revision=0, mod_revision=0)
    bench.store.note([mine], is_ours=True)
    overlay = bench.store.overlay
    assert overlay is not None
    held = overlay.snapshot.works[ANN].mod_revision
    hers = encode(replace(ours, calls=2, ended_ms=1 if is_later else 1_200_000))
    revision = held + 5 if is_later else held - 5
    told = Told(key=key, value=hers.decode(), create_revision=0, revision=revision)
    assert is_acceptable(overlay, A1, told.change()) is is_later
    told_by_her = telling(overlay, A1, bench.store.own_since(0))["records"]
    assert [each["revision"] for each in told_by_her] == [held]  # type: ignore[attr-defined]


async def test_very_much_is_told_in_parts_and_what_is_had_behind_all_of_it(tmp_path: Path) -> None:
    async with telling_sister(tmp_path) as sockets:
        names = [f"a{number}" for number in range(2 * MOST_TOLD + 3)]
        for name in names:
            sockets.write(name)
        while len(sockets.taken) < len(names):
            assert not sockets.holding
            await sockets.once()
        await sockets.once()
        assert max(map(len, sockets.told)) == MOST_TOLD
        assert [each.key.rpartition("/")[2] for each in sockets.taken] == names
        assert sockets.holding


async def test_what_could_not_be_taken_in_is_told_again_as_long_as_it_is_the_sisters(
    tmp_path: Path,
) -> None:
    async with telling_sister(tmp_path) as sockets:
        sockets.takes = False
        sockets.write("ann", "bob")
        await sockets.once()
        # Of one she has taken in what somebody else has said since.
        sockets.write("bob", is_ours=False)
        sockets.told.clear()
        await sockets.once()
        assert sockets.told[0] == [keys.work(ANN)]
        sockets.takes = True
        await sockets.once()
        sockets.told.clear()
        await sockets.once()
        assert sockets.told[-1] == []


async def test_a_sister_of_another_version_is_heard_as_far_as_she_is_understood(
    tmp_path: Path,
) -> None:
    bench = await configured()
    alone = alone_at(bench)
    bench.store.begin()
    work = b'{"v":1,"agent":"ann","ended_ms":5}'
    bench.store.note(
        [Change(key=keys.work(ANN), value=work, create_revision=0, mod_revision=0)], is_ours=True
    )
    sockets = Sockets(tmp_path, bench)
    sockets.sisters = Sisters(
        edge=A1,
        own_socket=tmp_path / f"edge-{A1}.sock",
        clock=bench.clock,
        is_alone=lambda: True,
        on_told=alone.take_from_sister,
        on_holding=alone.drop_what_is_over,
    )
    await sockets.port.start()
    good = encode(ticket(OTHER, holder="a2")).decode()
    sockets.answer = {
        "records": [
            {"key": "/everline/state/novelty/x", "value": "{}", "create_revision": 1},
            {"key": keys.work(ANN), "value": '{"v":2}', "create_revision": 1},
            {"key": keys.ticket(OTHER), "value": good, "create_revision": 1, "since": 2},
            "of another shape",
        ],
        "holding": {"calls": 3},
    }
    await sockets.ask()
    assert OTHER in bench.store.snapshot.tickets
    assert bench.store.snapshot.works[ANN].value.ended_ms == 5
    await sockets.port.close()


async def test_it_is_known_for_a_while_that_a_sister_was_alone_and_longer_if_she_has_frozen(
    tmp_path: Path,
) -> None:
    bench = await configured()
    sockets = Sockets(tmp_path, bench)
    clock = ManualClock()
    sockets.sisters = Sisters(
        edge=A1,
        own_socket=tmp_path / f"edge-{A1}.sock",
        clock=clock,
        is_alone=lambda: False,
        on_told=sockets.note_told,
        on_holding=lambda *_: None,
    )
    lone = sockets.sisters.lone
    nobody = Lone(merged_ago_s=inf)
    assert await lone() == nobody, "there is none"
    await sockets.port.start()
    sockets.answer = {"mode": Mode.QUORUM}
    assert await lone() == nobody
    bench.store.begin()
    assert bench.store.overlay is not None
    alone = telling(bench.store.overlay, A2, bench.store.own_since(0))
    sockets.answer = alone
    assert await lone() == Lone(merged_ago_s=inf, agents=frozenset())
    assert sockets.sisters.alone() == {A2}
    clock.advance(3.0)
    sockets.answer = {"mode": Mode.QUORUM}
    assert await lone() == Lone(merged_ago_s=3.0), "she has merged"
    assert not sockets.sisters.alone()
    sockets.answer = {**alone, "holding": {"calls": [], "agents": ["bob"]}}
    assert (await lone()).agents == frozenset({AgentId("bob")})
    sockets.answer = {**alone, "holding": {"calls": []}}
    assert (await lone()).is_unclear, "what she has she does not say, as far as one understands"
    await sockets.port.close()
    clock.advance(GONE_S)
    assert (await lone()).is_unclear, "she may be frozen, and have her calls"
    clock.advance(0.1)
    assert await lone() == nobody
    assert not sockets.sisters.alone()
    assert not sockets.taken, "who has a quorum goes by the store"
