"""Where callers stand in line once their calls went through a merge. On a store in memory."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge.acd.ending import WITHDRAWN, Ending
from edge.acd.reservation import ended, queued
from edge.acd.token import Token
from edge.alone.merging import merge
from edge.calls.records import Landed
from state import keys
from state.codec import encode
from state.model import (
    Outcome,
    TicketState,
)
from state.store import Delete, Put
from tests.edge.lone import A1, CALL, Bench, configured, guess, ticket
from tests.edge.troubled import TroubledStore

TOKEN = Token(epoch=2, revision=1)


@pytest.fixture
async def bench() -> Bench:
    return await configured()


async def test_a_place_that_a_first_try_has_given_back_is_not_lost_by_the_second(
    bench: Bench,
) -> None:
    records = bench.records()
    await records.create(ticket(), bench.clock.now())
    await bench.read()
    place = bench.store.snapshot.tickets[CALL].create_revision
    bench.store.begin()
    await bench.give(records, TOKEN)
    closed = (Delete(key=keys.ticket(CALL)), Put(key=keys.ended(CALL), value=encode(guess())))
    await bench.shared.txn((), closed)
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
    records = bench.records()
    await records.create(ticket(), bench.clock.now())
    await bench.read()
    place = bench.store.snapshot.tickets[CALL].create_revision
    for _ in range(tries):
        bench.store.begin()
        closed = (Delete(key=keys.ticket(CALL)), Put(key=keys.ended(CALL), value=encode(guess())))
        await bench.shared.txn((), closed)
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
    records = bench.records()
    await records.create(ticket(), bench.clock.now())
    await bench.merge()
    created = bench.store.snapshot.tickets[CALL].create_revision
    lost = Ending(outcome=Outcome.LOST, cause="media_lost")
    written = await records.write(
        lambda held, at: None if held is None else ended(held, lost, WITHDRAWN, at)
    )
    assert isinstance(written, Landed)
    await bench.read()
    assert bench.store.snapshot.places[CALL].value.place == created


async def test_a_write_whose_answer_is_lost_after_a_merge_is_known_to_have_landed(
    bench: Bench,
) -> None:
    records = bench.records()
    greeted = replace(ticket(), state=TicketState.GREETING)
    await records.create(greeted, bench.clock.now())
    await bench.read()
    bench.store.begin()
    closed = (Delete(key=keys.ticket(CALL)), Put(key=keys.ended(CALL), value=encode(guess())))
    await bench.shared.txn((), closed)
    await bench.merge()
    way = TroubledStore(bench.shared)
    way.loses_answers = 1
    bench.store._store = way  # noqa: SLF001 - from here on, in trouble
    written = await records.write(lambda held, at: None if held is None else queued(held, at))
    assert isinstance(written, Landed)
