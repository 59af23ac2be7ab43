"""A site that is alone for long: what came and went costs a record, and holds up no merge."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.acd.token import Token
from edge.alone import kept
from edge.alone.alone import PUT_AWAY_S, Alone
from edge.alone.closed import SETTLED_S, closed
from edge.alone.kept import Kept
from edge.alone.mode import Mode
from edge.alone.moments import revision_at
from edge.alone.store import SiteStore
from edge.calls.records import Landed
from state import keys
from state.codec import decode, encode
from state.model import CallId, CallRecord, EdgeId, Offer, OfferState, Place, Work, WorkEnd
from state.raw import Change
from state.store import Put
from tests.edge.lone import ANN, CALL, NUMBER, OTHER, Bench, configured, guess, living, ticket
from tests.edge.troubled import TroubledStore
from tests.edge.virtual_time import in_virtual_time, until

CALLS = [CallId(f"{number:024x}") for number in range(0x100, 0x100 + 300)]
A2 = EdgeId("a2")
LATER_S = SETTLED_S + PUT_AWAY_S + 1.0


async def is_cut_off(way: TroubledStore, alone: Alone) -> None:
    way.is_away = True
    await until(lambda: alone.is_alone, "it serves alone")


async def come_and_go(bench: Bench, *calls: CallId) -> None:
    for call in calls:
        records = bench.records(call)
        await records.create(ticket(call), bench.clock.now())
        assert isinstance(await bench.end(records), Landed)


async def causes(bench: Bench, *calls: CallId) -> list[str]:
    """Return what the shared store has of how calls ended."""
    found = [(await bench.shared.range(keys.ended(call))).records for call in calls]
    return [decode(CallRecord, each.value, each.key).cause for some in found for each in some]


@in_virtual_time
async def test_a_site_is_whole_at_once_after_long_and_its_records_come_while_it_serves() -> None:
    bench = await configured()
    async with living(bench) as (way, alone):
        await is_cut_off(way, alone)
        await come_and_go(bench, *CALLS)
        await asyncio.sleep(LATER_S)
        await come_and_go(bench, OTHER)
        way.is_away, way.latency_s = False, 0.4  # all of them would take longer than a merge may
        await until(lambda: alone.mode is Mode.QUORUM, "it is whole", within_s=10.0)
        assert await causes(bench, OTHER) == ["agent_hung_up"]
        came = await bench.records().create(ticket(), bench.clock.now())
        assert isinstance(came, Landed)
        await until(lambda: not len(bench.past), "all is written", within_s=60.0)
        assert await causes(bench, *CALLS) == ["agent_hung_up"] * len(CALLS)
        assert not any([await bench.has(keys.ticket(call)) for call in CALLS])


@in_virtual_time
async def test_a_merge_that_is_broken_off_leaves_nothing_begun() -> None:
    bench = await configured()
    async with living(bench) as (way, alone):
        await is_cut_off(way, alone)
        await come_and_go(bench, *CALLS[:100])
        way.is_away, way.latency_s = False, 1.0  # three turns at two looks each are too many
        await until(lambda: alone.mode is Mode.MERGING, "it begins")
        way.is_away = True
        await until(lambda: alone.is_alone, "it is broken off")
    gc.collect()  # pytest fails a test in which a coroutine goes that nobody has awaited


@in_virtual_time
async def test_a_copy_does_not_grow_with_the_calls_that_came_and_went(tmp_path: Path) -> None:
    bench = await configured()
    async with living(bench, tmp_path) as (way, alone):
        await is_cut_off(way, alone)
        waits = bench.records()
        await waits.create(ticket(), bench.clock.now())
        await come_and_go(bench, *CALLS)
        await asyncio.sleep(LATER_S)
        overlay = bench.store.overlay
        assert overlay is not None
        assert waits.held is not None
        assert not overlay.ended
        assert set(overlay.written) == {keys.ticket(CALL)}
        assert bench.store.own_since(0) == [(keys.ticket(CALL), waits.held.ticket.mod_revision)]
        assert len(bench.past) == len(CALLS)


@in_virtual_time
async def test_what_is_kept_of_a_call_that_came_and_went_is_its_record_and_not_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "LARGE", 10_000)
    bench = await configured()
    async with living(bench, tmp_path) as (way, alone):
        await is_cut_off(way, alone)
        waits = bench.records()
        await waits.create(ticket(), bench.clock.now())
        await bench.give(waits, Token(epoch=2, revision=1))
        sizes = []
        for first in range(0, len(CALLS), 50):
            await come_and_go(bench, *CALLS[first : first + 50])
            await asyncio.sleep(LATER_S)
            sizes.append((tmp_path / "alone-a1").stat().st_size)
        assert max(sizes) < 1.1 * sizes[0] < 1500 * 50
        assert (tmp_path / "past-a1").stat().st_size < 1000 * len(CALLS)
        again = SiteStore(bench.shared, bench.mirror, bench.clock)
        again.begin(written_before=Kept(tmp_path / "alone-a1").load())
        assert set(again.snapshot.tickets) == {CALL}
        assert again.snapshot.offers[ANN].value.call == CALL
        assert keys.ticket(CALL) in dict(again.own_since(0)), "it is this edge's to merge"


@in_virtual_time
async def test_the_next_life_writes_what_came_and_went_in_the_one_before(tmp_path: Path) -> None:
    bench = await configured()
    async with living(bench, tmp_path) as (way, alone):
        await is_cut_off(way, alone)
        await come_and_go(bench, *CALLS[:60])
        await asyncio.sleep(LATER_S)
    async with living(bench, tmp_path) as (_, alone):
        await until(lambda: alone.mode is Mode.QUORUM and not len(bench.past), "it is written")
    assert await causes(bench, *CALLS[:60]) == ["agent_hung_up"] * 60
    assert not (tmp_path / "past-a1").exists(), "nothing is left to write"


@in_virtual_time
async def test_a_second_time_alone_takes_nothing_from_what_the_first_has_left() -> None:
    bench = await configured()
    async with living(bench) as (way, alone):
        await is_cut_off(way, alone)
        await come_and_go(bench, *CALLS)
        await asyncio.sleep(LATER_S)
        way.is_away = False
        await until(lambda: alone.mode is Mode.QUORUM, "it is whole")
        assert len(bench.past)
        await is_cut_off(way, alone)
        await come_and_go(bench, CALL)
        await asyncio.sleep(LATER_S)
        way.is_away = False
        await until(lambda: not len(bench.past), "all is written")
        assert await causes(bench, CALL, *CALLS) == ["agent_hung_up"] * (1 + len(CALLS))


@in_virtual_time
async def test_a_guess_makes_room_for_a_record_that_comes_late_and_a_refusal_stands() -> None:
    bench = await configured()
    async with living(bench) as (way, alone):
        await is_cut_off(way, alone)
        await come_and_go(bench, CALL, OTHER)
        await asyncio.sleep(LATER_S)
        lost = replace(guess(edge="b1", cause="trunk_refused"), call=OTHER)
        for call, record in ((CALL, guess()), (OTHER, lost)):
            await bench.shared.txn((), (Put(key=keys.ended(call), value=encode(record)),))
        way.is_away = False
        await until(lambda: alone.mode is Mode.QUORUM and not len(bench.past), "it is written")
        assert await causes(bench, CALL, OTHER) == ["agent_hung_up", "trunk_refused"]


@in_virtual_time
async def test_what_the_store_has_yet_of_a_call_that_is_over_is_left_to_the_merge() -> None:
    bench = await configured()
    async with living(bench) as (way, alone):
        records = bench.records()
        await records.create(ticket(), bench.clock.now())
        await until(lambda: CALL in bench.store.snapshot.tickets, "it is seen")
        await is_cut_off(way, alone)
        assert isinstance(await bench.end(records), Landed)
        keeps = Place(call=OTHER, did=NUMBER, caller="4930123", place=1)
        await come_and_go(bench, OTHER)
        text = encode(keeps)
        key = keys.place(OTHER)
        bench.store.note(
            [Change(key=key, value=text, create_revision=0, mod_revision=0)], is_ours=True
        )
        await asyncio.sleep(LATER_S)
        overlay = bench.store.overlay
        assert overlay is not None
        assert set(overlay.ended) == {keys.ended(CALL), keys.ended(OTHER)}
        way.is_away = False
        await until(lambda: alone.mode is Mode.QUORUM, "it is whole")
        assert await causes(bench, CALL, OTHER) == ["agent_hung_up"] * 2
        assert await bench.has(key)
        assert not await bench.has(keys.ticket(CALL))


@in_virtual_time
async def test_what_a_sisters_agents_have_done_leaves_no_trail_of_revisions() -> None:
    bench = await configured()
    bench.store.begin()
    store = bench.store
    for calls in range(5):
        given = Change(
            key=keys.offer(ANN),
            value=encode(
                Offer(agent=ANN, call=OTHER, edge=A2, state=OfferState.TALKING, since_ms=0)
            ),
            create_revision=0,
            mod_revision=0,
        )
        work = Work(agent=ANN, calls=calls, end=WorkEnd.TALKED, rest_s=1.0)
        store.note([given], is_ours=False)
        done = replace(given, key=keys.work(ANN), value=encode(work))
        store.note([done, replace(given, value=None)], is_ours=False)
    assert bench.store.snapshot.works[ANN].value.calls == 4
    assert not store._revisions  # noqa: SLF001 - what it costs


@in_virtual_time
async def test_what_a_sister_has_closed_is_forgotten_and_never_written_for_her() -> None:
    bench = await configured()
    bench.store.begin()
    await come_and_go(bench, CALL)
    hers = Change(key=keys.ended(OTHER), value=encode(guess()), create_revision=0, mod_revision=0)
    bench.store.note([hers], is_ours=False)
    overlay = bench.store.overlay
    assert overlay is not None
    now_s = bench.clock.now().mono_s
    assert not closed(overlay, bench.mirror.snapshot, revision_at(now_s - SETTLED_S)).calls
    found = closed(overlay, bench.mirror.snapshot, revision_at(now_s + 1.0))
    assert set(found.calls) == {CALL, OTHER}
    assert [each.key for each in found.records] == [keys.ended(CALL)]
