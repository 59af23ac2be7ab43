"""A site goes alone on a copy that has missed something: what its calls had given back is free.

A watch may lose what it should have told; while there is a quorum that heals, and alone nobody says
it again. On a store in memory.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge.calls.records import CallRecords, Landed
from state import keys
from state.model import EdgeId, Offer, OfferState, WorkEnd
from tests.edge.lone import ANN, CALL, Bench, configured

A2 = EdgeId("a2")


@pytest.fixture
async def bench() -> Bench:
    return await configured()


async def lose_news(bench: Bench) -> None:
    """Let the watch go on behind what has been written last, and not tell it."""
    revision = (await bench.shared.range(keys.STATE)).revision
    bench.mirror._turn(replace(bench.mirror.snapshot, revision=revision), ())  # noqa: SLF001 - as a batch of other changes does


async def given_a_call(bench: Bench) -> CallRecords:
    records = await bench.waits(is_seen=True)
    await bench.reserve(records)
    await bench.read()
    assert ANN in bench.store.snapshot.offers
    return records


@pytest.mark.parametrize("is_passed_first", [False, True], ids=["then passed", "passed before"])
async def test_an_agent_is_not_kept_for_a_call_whose_end_the_watch_has_lost(
    bench: Bench, *, is_passed_first: bool
) -> None:
    records = await given_a_call(bench)
    if is_passed_first:
        # The mirror is beyond that revision when the answer comes.
        def passed() -> None:
            revision = bench.mirror.snapshot.revision + 1
            later = replace(bench.mirror.snapshot, revision=revision)
            bench.mirror._turn(later, ())  # noqa: SLF001 - as above

        bench.shared.before_answer = passed
    assert isinstance(await bench.end(records), Landed)
    await lose_news(bench)
    assert ANN in bench.mirror.snapshot.offers, "nothing was lost"
    bench.store.begin()
    snapshot = bench.store.snapshot
    assert CALL not in snapshot.tickets, "the matcher would keep somebody for a caller who is gone"
    assert ANN not in snapshot.offers
    assert snapshot.works[ANN].value.end is WorkEnd.TALKED
    await bench.merge()
    assert await bench.has(keys.ended(CALL))
    assert not await bench.has(keys.ticket(CALL))


async def test_what_was_written_again_behind_a_lost_end_is_as_it_is_shown(bench: Bench) -> None:
    records = await given_a_call(bench)
    await bench.end(records)
    await lose_news(bench)
    offer = Offer(agent=ANN, call=CALL, edge=A2, state=OfferState.RINGING, since_ms=0)
    await bench.put(keys.offer(ANN), offer)
    await bench.read()
    bench.store.begin()
    assert bench.store.snapshot.offers[ANN].value.edge == A2
