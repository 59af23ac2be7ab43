"""Where callers stand in line once their calls went through a merge. On a store in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.acd.ending import WITHDRAWN, Ending
from edge.acd.granting import reserved
from edge.acd.heirs import left_places
from edge.acd.match import match
from edge.acd.plan import Held, Plan
from edge.acd.reservation import created, ended, orphan_closed, queued
from edge.acd.token import Token
from edge.alone.merging import merge
from edge.calls.records import CallRecords, Landed
from state import keys
from state.model import (
    CallId,
    Heir,
    Now,
    Outcome,
    Place,
    TicketState,
)
from state.store import Put
from tests.edge.lone import (
    A1,
    CALL,
    NUMBER,
    OTHER,
    Bench,
    configured,
    guess,
    living,
    ticket,
)
from tests.edge.troubled import TroubledStore
from tests.edge.virtual_time import in_virtual_time, until

TOKEN = Token(epoch=2, revision=1)


@pytest.fixture
async def bench() -> Bench:
    return await configured()


async def test_a_place_that_a_first_try_has_given_back_is_not_lost_by_the_second(
    bench: Bench,
) -> None:
    records = await bench.waits(is_seen=True)
    place = bench.store.snapshot.tickets[CALL].create_revision
    bench.store.begin()
    await bench.give(records, TOKEN)
    await bench.survivor_closes()
    overlay = bench.store.overlay
    assert overlay is not None
    await bench.read()
    await merge(bench.shared, overlay, bench.mirror.snapshot, A1)
    await bench.merge()
    assert bench.store.snapshot.tickets[CALL].value.place == place
    assert isinstance(await bench.end(records), Landed)


@pytest.mark.parametrize("tries", [1, 2])
async def test_a_caller_whose_offer_fails_after_a_merge_keeps_the_place_that_it_gave_back(
    bench: Bench, tries: int
) -> None:
    records = await bench.waits(is_seen=True)
    place = bench.store.snapshot.tickets[CALL].create_revision
    for _ in range(tries):
        bench.store.begin()
        await bench.survivor_closes()
        await bench.merge()
        assert bench.store.snapshot.tickets[CALL].value.place == place
    await bench.reserve(records)
    await bench.read()
    await bench.give_back(records)
    await bench.read()
    assert bench.store.snapshot.tickets[CALL].value.place == place
    # And one who is cut off now has it when they call again.
    lost = Ending(outcome=Outcome.LOST, cause="media_lost")
    written = await records.write(
        lambda held, at: None if held is None else ended(held, lost, WITHDRAWN, at)
    )
    assert isinstance(written, Landed)
    await bench.read()
    assert bench.store.snapshot.places[CALL].value.place == place


async def test_a_caller_who_came_alone_and_is_cut_off_after_the_merge_has_a_place_of_the_store(
    bench: Bench,
) -> None:
    bench.store.begin()
    records = await bench.waits()
    await bench.merge()
    created = bench.store.snapshot.tickets[CALL].create_revision
    lost = Ending(outcome=Outcome.LOST, cause="media_lost")
    written = await records.write(
        lambda held, at: None if held is None else ended(held, lost, WITHDRAWN, at)
    )
    assert isinstance(written, Landed)
    await bench.read()
    assert bench.store.snapshot.places[CALL].value.place == created


async def test_a_place_that_only_a_later_version_reads_does_not_end_the_edge_that_merges(
    bench: Bench,
) -> None:
    """Its next life would merge the same, and end the same."""
    bench.store.begin()
    await bench.waits()
    await bench.put(keys.ended(CALL), guess())
    await bench.shared.txn((), (Put(key=keys.place(CALL), value=b'{"v":2}'),))
    await bench.merge()
    assert bench.store.snapshot.tickets[CALL].value.place is None


async def test_a_write_whose_answer_is_lost_after_a_merge_is_known_to_have_landed(
    bench: Bench,
) -> None:
    records = bench.records()
    greeted = replace(ticket(), state=TicketState.GREETING)
    await records.create(greeted, bench.clock.now())
    await bench.read()
    bench.store.begin()
    await bench.survivor_closes()
    await bench.merge()
    way = TroubledStore(bench.shared)
    way.loses_answers = 1
    bench.store._store = way  # noqa: SLF001 - from here on, in trouble
    written = await records.write(lambda held, at: None if held is None else queued(held, at))
    assert isinstance(written, Landed)


@in_virtual_time
async def test_a_next_life_that_merges_keeps_no_place_that_a_survivor_left_of_who_was_served(
    tmp_path: Path,
) -> None:
    bench = await configured()
    async with living(bench, tmp_path) as (way, alone):
        records = await bench.waits()
        way.is_away = True
        await until(lambda: alone.is_alone, "it serves alone")
        await bench.give(records, TOKEN)
        assert isinstance(await bench.end(records), Landed)
    bench.calls.clear()
    await bench.survivor_closes()
    left = Place(call=CALL, did=NUMBER, caller="4930123", place=7, waited_s=1.0)
    await bench.put(keys.place(CALL), left)
    async with living(bench, tmp_path) as (_, alone):
        await until(lambda: bool(alone.merges), "it has merged")
    assert (await bench.record()).outcome is Outcome.ANSWERED
    assert not await bench.has(keys.place(CALL))


# ---- the places of callers who were left behind --------------------------------------------------


async def _left_behind(bench: Bench) -> int:
    """Let somebody wait at an edge that is dead; return their place."""
    left = ticket(OTHER, "b1")
    plan = created(left, bench.clock.now())
    assert (await bench.shared.txn(plan.compares, plan.success)).succeeded
    await bench.read()
    return bench.store.snapshot.tickets[OTHER].create_revision


async def _come_again(bench: Bench, cut_off_of: CallId | None = None) -> CallRecords:
    """Let them come again here, where nobody has a quorum, and have an agent at their place."""
    bench.store.begin()
    records = bench.records()
    again = replace(ticket(), again_of=(OTHER,), cut_off_of=cut_off_of)
    await records.create(again, bench.clock.now())
    snapshot = bench.store.snapshot
    (offering,) = [each for each in match(snapshot, bench.clock.now()) if each.call == CALL]

    def plan(held: Held | None, at: Now) -> Plan:
        assert held is not None
        left = snapshot.tickets[OTHER]
        return reserved(offering, held, snapshot, edge=A1, at=at, alone=TOKEN, left=left)

    assert isinstance(await records.write(plan), Landed)
    return records


async def _closed(bench: Bench) -> None:
    """Let a survivor close the call of the dead edge, which leaves its place; unread so far."""
    plan = orphan_closed(bench.store.snapshot.tickets[OTHER], None, bench.clock.now(), guard=None)
    assert (await bench.shared.txn(plan.compares, plan.success)).succeeded


async def test_a_place_that_an_heir_has_had_without_a_quorum_is_nobodys_after_the_merge(
    bench: Bench,
) -> None:
    place = await _left_behind(bench)
    await _come_again(bench)
    await bench.merge()
    snapshot = bench.store.snapshot
    assert snapshot.tickets[CALL].value.place == place
    assert snapshot.heirs[OTHER].value == Heir(call=OTHER, heir=CALL)
    await _closed(bench)
    await bench.read()
    assert OTHER in bench.store.snapshot.places
    assert not list(left_places(bench.store.snapshot))


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed before", "left behind still"])
async def test_it_is_nobodys_either_if_the_heirs_call_is_over_by_then(
    bench: Bench, *, is_closed: bool
) -> None:
    await _left_behind(bench)
    if is_closed:
        await _closed(bench)
    records = await _come_again(bench)
    await bench.talk(records)
    assert isinstance(await bench.end(records), Landed)
    await bench.merge()
    assert bench.store.snapshot.heirs[OTHER].value.heir == CALL
    assert not list(left_places(bench.store.snapshot))


async def test_that_it_was_had_is_written_once_and_over_nobody_elses_word(bench: Bench) -> None:
    await _left_behind(bench)
    await _come_again(bench)
    theirs = Heir(call=OTHER, heir=CallId("2" * 24))
    await bench.put(keys.heir(OTHER), theirs)
    await bench.merge()
    entry = bench.store.snapshot.heirs[OTHER]
    assert (entry.value, entry.create_revision) == (theirs, entry.mod_revision)


async def test_a_second_try_to_merge_finds_it_written(bench: Bench) -> None:
    await _left_behind(bench)
    await _come_again(bench)
    overlay = bench.store.overlay
    assert overlay is not None
    await bench.read()
    await merge(bench.shared, overlay, bench.mirror.snapshot, A1)
    assert (await bench.merge()).written == 0
    entry = bench.store.snapshot.heirs[OTHER]
    assert entry.create_revision == entry.mod_revision


# ---- the places of callers who were cut off in talk, and have talked again -----------------------


async def test_that_somebody_talked_again_and_is_gone_is_told_with_all_else_that_they_had(
    bench: Bench,
) -> None:
    third = CallId("3" * 24)
    await _left_behind(bench)
    await bench.put(keys.ticket(third), replace(ticket(third, "b1"), state=TicketState.CONNECTED))
    await bench.read()
    records = await _come_again(bench, third)
    await bench.talk(records)
    assert isinstance(await bench.end(records), Landed)
    await bench.merge()
    assert {call: e.value.heir for call, e in bench.store.snapshot.heirs.items()} == {
        OTHER: CALL,
        third: CALL,
    }
