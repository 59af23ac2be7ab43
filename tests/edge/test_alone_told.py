"""A site goes alone on a copy that is never older than what the store has told its edges.

An edge was frozen, and survivors closed its calls. It hears so, and lets go of them; then its site
is cut off, and the mirror has not come to their ends. On a store in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from edge.acd.ending import WITHDRAWN
from edge.acd.plan import Held, Plan
from edge.acd.reservation import given_agent, offer_failed, orphan_closed, queued
from edge.acd.token import Token
from edge.alone.alone import Alone
from edge.alone.answers import Answers
from edge.alone.copy import Read
from edge.alone.merging import merge
from edge.alone.mode import Mode
from edge.calls.records import CallRecords, Landed, Refused
from state import keys
from state.codec import decode
from state.model import AgentId, CallId, EdgeId, Now, Offer, OfferState, SiteId, WorkEnd
from state.store import Delete
from tests.edge.lone import A1, ANN, CALL, OTHER, Bench, configured, ticket
from tests.edge.virtual_time import in_virtual_time, until

TOKEN = Token(epoch=2, revision=1)
Hearing = Callable[[Bench, CallRecords], Awaitable[None]]


@pytest.fixture
async def bench() -> Bench:
    return await configured()


async def given_a_call(bench: Bench) -> CallRecords:
    """Let a caller have Ann; the mirror shows it."""
    records = await bench.waits(is_seen=True)
    await bench.reserve(records)
    await bench.read()
    return records


async def survivors_close(bench: Bench) -> None:
    """Let somebody close the call, as its edge seems dead. The mirror does not come to that."""
    snapshot = bench.mirror.snapshot
    given = given_agent(snapshot, snapshot.offers[ANN])
    plan = orphan_closed(snapshot.tickets[CALL], given, bench.clock.now(), guard=None)
    assert (await bench.shared.txn(plan.compares, plan.success)).succeeded
    assert CALL in bench.mirror.snapshot.tickets
    assert ANN in bench.mirror.snapshot.offers


async def lets_ring_in_vain(_: Bench, records: CallRecords) -> None:
    def give_back(held: Held | None, at: Now) -> Plan | None:
        if held is None or held.given is None:
            return None
        return offer_failed(held, held.given, WITHDRAWN, at, tried=True)

    assert isinstance(await records.write(give_back), Refused)


async def waits(_: Bench, records: CallRecords) -> None:
    def wait(held: Held | None, at: Now) -> Plan | None:
        return None if held is None else queued(held, at)

    assert isinstance(await records.write(wait), Refused)


async def ends(bench: Bench, records: CallRecords) -> None:
    part = await records.end(_ended, A1)
    assert isinstance(part, Refused)
    assert await bench.has(keys.ended(CALL))


def _ended(held: Held | None, at: Now) -> Plan | None:
    if held is None:
        return None
    return orphan_closed(held.ticket, held.given, at, cause="caller_hung_up", guard=None)


async def asks_for_the_ticket(bench: Bench, _: CallRecords) -> None:
    assert not (await bench.store.range(keys.ticket(CALL))).records


async def asks_for_the_record(bench: Bench, _: CallRecords) -> None:
    assert (await bench.store.range(keys.ended(CALL))).records


# ---- what was read -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hear", [lets_ring_in_vain, waits, ends, asks_for_the_ticket, asks_for_the_record]
)
async def test_a_call_of_whose_end_its_edge_has_heard_is_not_served_alone(
    bench: Bench, hear: Hearing
) -> None:
    records = await given_a_call(bench)
    await survivors_close(bench)
    await hear(bench, records)
    bench.store.begin()
    await nothing_is_served(bench)


@pytest.mark.parametrize("hear", [lets_ring_in_vain, waits])
async def test_nor_is_one_of_whose_end_it_hears_when_it_is_alone_already(
    bench: Bench, hear: Hearing
) -> None:
    records = await given_a_call(bench)
    await survivors_close(bench)
    bench.shared.before_answer = bench.store.begin
    await hear(bench, records)
    await nothing_is_served(bench)


async def nothing_is_served(bench: Bench) -> None:
    assert CALL not in bench.store.snapshot.tickets
    assert ANN not in bench.store.snapshot.offers, "she would be kept for nobody"
    done = await bench.merge()
    assert done.written == 0
    assert not await bench.has(keys.ticket(CALL)), "nobody is there"
    assert (await bench.record()).cause == "edge_died"


async def test_who_is_free_since_a_call_that_ended_can_be_given_to_another(bench: Bench) -> None:
    records = await given_a_call(bench)
    await survivors_close(bench)
    await waits(bench, records)
    bench.store.begin()
    other = bench.records(OTHER)
    await other.create(ticket(OTHER), bench.clock.now())
    await bench.give(other, TOKEN)
    await bench.merge()
    (offer,) = (await bench.shared.range(keys.offer(ANN))).records
    assert decode(Offer, offer.value, offer.key).call == OTHER
    assert not await bench.has(keys.ticket(CALL))
    assert bench.store.snapshot.works[ANN].value.end is WorkEnd.WITHDRAWN
    assert isinstance(await bench.end(other), Landed)
    assert not await bench.has(keys.offer(ANN))


async def test_a_ticket_that_another_edge_has_taken_is_as_it_was_read(bench: Bench) -> None:
    records = await given_a_call(bench)
    theirs = ticket(holder="b1")
    await bench.put(keys.ticket(CALL), theirs)
    await waits(bench, records)
    bench.store.begin()
    assert bench.store.snapshot.tickets[CALL].value == theirs


async def test_what_was_written_behind_an_answer_is_as_it_was_written(bench: Bench) -> None:
    records = await given_a_call(bench)
    await survivors_close(bench)
    await asks_for_the_ticket(bench, records)
    record = Delete(key=keys.ended(CALL))
    await bench.shared.txn((), (record,))
    again = bench.records()
    assert isinstance(await again.create(ticket(), bench.clock.now()), Landed)
    bench.store.begin()
    assert bench.store.snapshot.tickets[CALL].mod_revision > bench.mirror.snapshot.revision


@pytest.mark.parametrize("is_first", [True, False], ids=["in turn", "overtaken"])
async def test_an_answer_from_before_an_own_write_does_not_count(
    bench: Bench, *, is_first: bool
) -> None:
    await given_a_call(bench)
    shown, key = bench.mirror.snapshot, keys.ticket(CALL)
    now = shown.revision
    read = Read(key=key, record=replace(shown.raw[key], mod_revision=now + 1), revision=now + 1)
    answers = Answers()
    if is_first:
        answers.note_read([read], shown)
    answers.note_landed((Delete(key=key),), now + 2, shown)
    if not is_first:
        answers.note_read([read], shown)
    snapshot, _ = answers.with_written(shown, 0.0)
    snapshot, _ = answers.with_read(snapshot, 0.0)
    assert CALL not in snapshot.tickets


async def test_what_the_mirror_shows_by_then_is_as_it_shows_it(bench: Bench) -> None:
    records = await given_a_call(bench)
    await survivors_close(bench)
    await asks_for_the_ticket(bench, records)
    await bench.shared.txn((), (Delete(key=keys.ended(CALL)),))
    await bench.put(keys.ticket(CALL), ticket(holder="b1"))
    offer = Offer(agent=ANN, call=CALL, edge=EdgeId("b1"), state=OfferState.RINGING, since_ms=0)
    await bench.put(keys.offer(ANN), offer)
    await bench.read()
    bench.store.begin()
    assert bench.store.snapshot.tickets[CALL].value.holder == "b1"
    assert bench.store.snapshot.offers[ANN].value == offer


# ---- what the edge has let go --------------------------------------------------------------------


async def goes_alone(
    bench: Bench, held: frozenset[CallId], postponed: tuple[CallId, ...] = ()
) -> None:
    """Let the edge find that nobody proves its mirror."""
    alone = Alone(
        edge=A1,
        site=SiteId("a"),
        clock=bench.clock,
        mirror=bench.mirror,
        shared=bench.shared,
        store=bench.store,
        gate_of=_no_gate,
        on_change=lambda _: None,
        held=lambda: [each.held for each in bench.calls if each.held is not None],
        holds=lambda call: call in held,
        postponed=lambda: postponed,
    )
    running = asyncio.create_task(alone.run())
    await until(lambda: alone.mode is Mode.ALONE, "it serves alone")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _no_gate(_: AgentId) -> None:
    return None


@in_virtual_time
async def test_a_call_that_its_edge_has_let_go_of_is_not_served_alone() -> None:
    bench = await configured()
    await given_a_call(bench)
    await bench.put(keys.ticket(OTHER), ticket(OTHER, "a2"))
    await bench.read()
    await survivors_close(bench)
    bench.calls.clear()
    await goes_alone(bench, frozenset())
    assert set(bench.store.snapshot.tickets) == {OTHER}, "the sister's is hers to speak of"
    assert ANN not in bench.store.snapshot.offers
    assert bench.store.overlay is not None
    await merge(bench.shared, bench.store.overlay, bench.mirror.snapshot, A1, holds=_none)
    assert not await bench.has(keys.ticket(CALL))


@in_virtual_time
async def test_a_call_that_its_edge_holds_is_served_alone_whoever_has_closed_it() -> None:
    bench = await configured()
    await given_a_call(bench)
    await survivors_close(bench)
    await goes_alone(bench, frozenset({CALL}))
    assert CALL in bench.store.snapshot.tickets
    assert ANN in bench.store.snapshot.offers
    await bench.merge()
    assert await bench.has(keys.ticket(CALL)), "a survivor's guess makes room"


@in_virtual_time
async def test_who_waits_to_be_called_back_is_left_to_others_by_a_site_without_a_quorum() -> None:
    bench = await configured()
    await bench.waits(is_seen=True)
    await bench.put(keys.ticket(OTHER), ticket(OTHER))
    await bench.read()
    gone: list[str] = []
    bench.store.subscribe(lambda _, deltas: gone.extend(d.id for d in deltas if d.after is None))
    await goes_alone(bench, frozenset({CALL, OTHER}), postponed=(CALL,))
    assert set(bench.store.snapshot.tickets) == {OTHER}
    assert gone == [CALL], "whoever holds it hears that"
    await bench.merge()
    assert await bench.has(keys.ticket(CALL)), "of it nothing has changed there"


def _none(_: CallId) -> bool:
    return False


# ---- the merge -----------------------------------------------------------------------------------


async def test_a_call_that_ended_long_ago_is_not_written_anew(bench: Bench) -> None:
    """Even if the copy has it."""
    await given_a_call(bench)
    await survivors_close(bench)
    bench.store.begin()
    overlay = bench.store.overlay
    assert overlay is not None
    assert CALL in overlay.snapshot.tickets
    done = await merge(bench.shared, overlay, bench.mirror.snapshot, A1, holds=_none)
    assert done.written == 0
    assert not await bench.has(keys.ticket(CALL))


async def test_a_caller_who_came_alone_to_a_life_that_died_has_their_record_at_last(
    bench: Bench,
) -> None:
    """The next life holds no such call: the store has to hear of it to close it."""
    bench.store.begin()
    await bench.records().create(ticket(), bench.clock.now())
    overlay = bench.store.overlay
    assert overlay is not None
    await merge(bench.shared, overlay, bench.mirror.snapshot, A1, holds=_none)
    assert await bench.has(keys.ticket(CALL))


async def test_an_agent_who_stands_in_the_store_for_a_call_that_is_over_does_not_hold_up_a_merge(
    bench: Bench,
) -> None:
    """Nobody else would free her: the edge lives, and clears nothing away while it merges."""
    await given_a_call(bench)
    bench.store.begin(drop=(keys.ticket(CALL), keys.offer(ANN)))
    other = bench.records(OTHER)
    await other.create(ticket(OTHER), bench.clock.now())
    await bench.give(other, TOKEN)
    overlay = bench.store.overlay
    assert overlay is not None
    async with asyncio.timeout(5.0):
        await merge(
            bench.shared, overlay, bench.mirror.snapshot, A1, holds=lambda call: call == OTHER
        )
    (offer,) = (await bench.shared.range(keys.offer(ANN))).records
    assert decode(Offer, offer.value, offer.key).call == OTHER
