"""The writes of a call: in order, once, whatever the store does meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from edge.acd.ending import WITHDRAWN, Ending
from edge.acd.reservation import created, ended, queued
from edge.acd.yielding import CANCELLED
from edge.calls.records import CallRecords, Landed, NotAsked, Refused
from state import keys
from state.memory import MemoryStore
from state.model import AgentId, CallRecord, EdgeId, Outcome, Ticket, TicketState
from state.store import Delete
from tests.acd.worlds import ticket
from tests.edge.fake_telephony import S
from tests.edge.one_edge import PAUSE_S, SALES, Edge
from tests.edge.stage import Center, center
from tests.edge.troubled import TroubledStore
from tests.edge.virtual_time import LoopClock, in_virtual_time, settle, until

_ANN, _OTHER = AgentId("ann"), EdgeId("b1")
PLACE: Ticket = replace(ticket(1, sales=1), state=TicketState.GREETING)


def _records() -> tuple[CallRecords, TroubledStore, LoopClock]:
    clock = LoopClock()
    store = TroubledStore(MemoryStore(clock))
    return CallRecords(store=store, clock=clock, call=PLACE.call), store, clock


@in_virtual_time
@pytest.mark.parametrize("trouble", ["loses_requests", "loses_answers"])
async def test_a_write_whose_outcome_is_unknown_is_asked_for_until_it_is_known(
    trouble: str,
) -> None:
    records, store, clock = _records()
    setattr(store, trouble, 3)
    at = clock.now()
    written = await records.write(lambda _, __: created(PLACE, at))
    assert isinstance(written, Landed)
    assert records.held is not None
    found = (await store.range(keys.ticket(PLACE.call))).records[0]
    assert records.held.ticket.mod_revision == found.mod_revision == written.revision


@in_virtual_time
async def test_what_a_full_store_refuses_is_asked_for_until_there_is_room() -> None:
    records, store, clock = _records()
    at = clock.now()
    store.inner.is_full = True
    creating = asyncio.create_task(records.write(lambda _, __: created(PLACE, at)))
    await asyncio.sleep(5.0)
    assert not creating.done()
    store.inner.is_full = False
    assert isinstance(await creating, Landed)
    # Nor is an end given up: nobody would ever know how that call ended.
    store.inner.is_full = True
    ending = Ending(outcome=Outcome.LOST, cause="x")
    ends = asyncio.create_task(
        records.end(
            lambda held, _: ended(held, ending, WITHDRAWN, at) if held else None, PLACE.holder
        )
    )
    await asyncio.sleep(5.0)
    assert not ends.done()
    store.inner.is_full = False
    assert isinstance(await ends, Landed)
    assert (await store.range(keys.ended(PLACE.call))).records


@in_virtual_time
async def test_writes_land_in_the_order_in_which_they_were_asked_for() -> None:
    records, store, clock = _records()
    store.latency_s = 0.1
    store.loses_answers = 1
    at = clock.now()
    asked = [
        asyncio.create_task(records.write(lambda _, __: created(PLACE, at))),
        asyncio.create_task(records.write(lambda held, _: queued(held, at) if held else None)),
        asyncio.create_task(
            records.write(
                lambda held, _: (
                    ended(held, Ending(outcome=Outcome.LOST, cause="x"), WITHDRAWN, at)
                    if held
                    else None
                )
            )
        ),
    ]
    done = await asyncio.gather(*asked)
    assert all(isinstance(each, Landed) for each in done), done
    assert records.held is None
    assert not (await store.range(keys.ticket(PLACE.call))).records


@in_virtual_time
async def test_a_write_that_is_not_to_wait_says_so_when_the_store_is_away() -> None:
    records, store, clock = _records()
    store.is_away = True
    at = clock.now()
    assert isinstance(await records.write(lambda _, __: created(PLACE, at), wait=False), NotAsked)


@in_virtual_time
async def test_a_write_that_may_have_landed_is_followed_up_even_if_it_was_not_to_wait() -> None:
    records, store, clock = _records()
    store.loses_answers = 1
    at = clock.now()
    asked = asyncio.create_task(records.write(lambda _, __: created(PLACE, at), wait=False))
    await settle()
    store.is_away = True
    await asyncio.sleep(10)
    assert not asked.done()
    store.is_away = False
    assert isinstance(await asked, Landed)


@in_virtual_time
async def test_a_write_that_the_store_rejects_is_not_repeated() -> None:
    records, store, clock = _records()
    store.rejects = 1
    at = clock.now()
    assert isinstance(await records.write(lambda _, __: created(PLACE, at)), Refused)
    assert store.txns == 1


# ---- of whole calls --------------------------------------------------------------------------


@in_virtual_time
async def test_a_call_that_ends_while_the_store_is_away_is_recorded_when_it_is_back() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        await asyncio.sleep(1)
        a1.store.is_away = True
        await asyncio.sleep(5)
        a1.sip.hang_up(theirs)
        await settle()
        a1.sip.hang_up(ours)
        await asyncio.sleep(60)
        assert a1.state_of(theirs) == "ending"
        a1.store.is_away = False
        record = await made.record(a1, theirs)
        assert record.outcome is Outcome.ANSWERED
        # When it happened, not when the store took it.
        assert record.ended_ms - record.arrived_ms < 10_000
        await made.nothing_is_left()


_REFUSED = Ending(outcome=Outcome.REFUSED, cause="media_unavailable")
_CANCELLED = Ending(outcome=Outcome.ABANDONED, cause=CANCELLED)


async def _given_up_by_another(
    made: Center, sip_call_id: str, ending: Ending = _REFUSED, edge: EdgeId = _OTHER
) -> None:
    """Leave the record of an edge that could not serve this call, or heard it cancelled."""
    place = replace(PLACE, call=keys.call_id_for(sip_call_id, "theirs"), holder=edge)
    clock = LoopClock()
    records = CallRecords(store=made.store, clock=clock, call=place.call)
    at = clock.now()
    await records.write(lambda _, __: created(place, at))
    await records.write(lambda held, _: ended(held, ending, WITHDRAWN, at) if held else None)


@in_virtual_time
@pytest.mark.parametrize("ending", [_REFUSED, _CANCELLED], ids=["refused", "cancelled there"])
async def test_a_call_that_another_edge_gave_up_just_before_is_taken_over(ending: Ending) -> None:
    """Where it was cancelled two edges had it, as the first to get it was slow, and answered."""
    async with center("ann") as made:
        a1 = made.edges["a1"]
        await _given_up_by_another(made, "again@carrier", ending)
        theirs = await a1.waiting(SALES, sip_call_id="again@carrier")
        await a1.rung("ann")
        assert [each.holder for each in await made.tickets()] == ["a1"]
        a1.sip.hang_up(theirs)
        await settle()
        await _cancelled(a1)
        await made.nothing_is_left()
        assert await made.outcome(a1, theirs) == (Outcome.ABANDONED, "caller_hung_up")


@in_virtual_time
async def test_a_call_that_its_caller_has_cancelled_here_stays_over() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        await _given_up_by_another(made, "late@carrier", _CANCELLED, EdgeId("a1"))
        theirs = a1.sip.arrive(SALES, sip_call_id="late@carrier")
        await until(lambda: a1.state_of(theirs) == "ending", "not taken up again")
        assert await made.tickets() == []
        assert [each.cause for each in (await made.records()).values()] == [CANCELLED]


@in_virtual_time
async def test_a_refusal_that_is_written_down_a_moment_later_is_waited_for() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        place = replace(PLACE, call=keys.call_id_for("again@carrier", "theirs"), holder=_OTHER)
        clock = LoopClock()
        records = CallRecords(store=made.store, clock=clock, call=place.call)
        at = clock.now()
        await records.write(lambda _, __: created(place, at))
        theirs = a1.sip.arrive(SALES, sip_call_id="again@carrier")
        await asyncio.sleep(0.4)
        ending = Ending(outcome=Outcome.REFUSED, cause="media_unavailable")
        await records.write(lambda held, _: ended(held, ending, WITHDRAWN, at) if held else None)
        await a1.rung("ann")
        assert [each.holder for each in await made.tickets()] == ["a1"]
        a1.sip.hang_up(theirs)
        await settle()
        await _cancelled(a1)
        await made.nothing_is_left()


@in_virtual_time
async def test_a_caller_who_leaves_while_a_refused_call_is_taken_over_leaves_no_ticket() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        await _given_up_by_another(made, "again@carrier")
        a1.store.latency_s = 0.05
        theirs = a1.sip.arrive(SALES, sip_call_id="again@carrier")
        await settle()
        a1.sip.hang_up(theirs)
        await until(lambda: a1.state_of(theirs) == "gone", "over")
        assert await made.tickets() == []
        assert [each.outcome for each in (await made.records()).values()] == [Outcome.ABANDONED]


@in_virtual_time
async def test_a_greeting_that_ends_while_a_refused_call_is_taken_over_costs_nobody_the_call() -> (
    None
):
    async with center("ann") as made:
        a1 = made.edges["a1"]
        await _given_up_by_another(made, "again@carrier")
        a1.store.latency_s = 1.5
        theirs = await a1.waiting("15550002", sip_call_id="again@carrier")
        await a1.rung("ann")
        a1.store.latency_s = 0.0
        assert a1.state_of(theirs) == "ringing"
        a1.sip.hang_up(theirs)
        await settle()
        await _cancelled(a1)
        await made.nothing_is_left()


@in_virtual_time
async def test_a_ledger_that_cannot_be_read_costs_the_caller_the_call_and_leaves_nothing() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        await made.put(keys.ended(keys.call_id_for("again@carrier", "theirs")), b"not a record")
        theirs = a1.sip.arrive(SALES, sip_call_id="again@carrier")
        await asyncio.sleep(0.5)
        a1.sip.acknowledge(theirs)
        await settle()
        a1.sip.hang_up(theirs)
        await until(lambda: a1.state_of(theirs) == "gone", "over")
        assert a1.sip.open == {}


@in_virtual_time
async def test_the_second_edge_with_the_same_invite_gives_way() -> None:
    async with center(edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        mine = await a1.waiting(SALES, sip_call_id="same@carrier")
        theirs = a2.sip.arrive(SALES, sip_call_id="same@carrier")
        await until(lambda: a2.state_of(theirs) in {"ending", "gone"}, "it gives way")
        a2.sip.acknowledge(theirs)
        a2.sip.hang_up(theirs)
        await until(lambda: a2.state_of(theirs) == "gone", "over")
        assert [each.holder for each in await made.tickets()] == ["a1"]
        a1.sip.hang_up(mine)
        await made.nothing_is_left()


@in_virtual_time
async def test_a_ticket_that_another_closed_ends_the_call_without_a_second_record() -> None:
    async with center("ann", edges=("a1", "a2")) as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        # As if a1 had been away for longer than its lease.
        held = await made.tickets()
        record = replace(
            (await made.records()).get(held[0].call) or _lost(held[0]), outcome=Outcome.LOST
        )
        await made.put(keys.ended(held[0].call), record)
        await _delete(made, keys.ticket(held[0].call), keys.offer(_ANN))
        await until(lambda: a1.sip.open[theirs].state is S.ENDING, "let go")
        for leg in (theirs, ours):
            a1.sip.hang_up(leg)
        await made.nothing_is_left()
        assert (await made.record(a1, theirs)).cause == "edge_died"


@in_virtual_time
@pytest.mark.parametrize("outcome", ["done", "not done"])
async def test_an_agent_is_reserved_once_when_the_answer_is_lost(outcome: str) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting(sip_call_id="x@y")
        await _cancelled(a1)
        await until(lambda: a1.state_of(theirs) == "queued", "waits again")
        await asyncio.sleep(0.05)
        if outcome == "done":
            a1.store.loses_answers = 1
        else:
            a1.store.loses_requests = 1
        await asyncio.sleep(PAUSE_S)
        await a1.rung("ann")
        assert len(await made.offers()) == 1
        a1.sip.hang_up(theirs)
        await settle()
        await _cancelled(a1)
        await made.nothing_is_left()


async def _cancelled(edge: Edge) -> None:
    """Let every agent who is rung decline, and every cancel be answered."""
    for _ in range(3):
        for leg in list(edge.sip.open):
            edge.sip.decline(leg)
        await settle()


async def _delete(made: Center, *names: str) -> None:
    await made.store.txn((), [Delete(key=name) for name in names])


def _lost(place: Ticket) -> CallRecord:
    return CallRecord(
        call=place.call,
        did=place.did,
        queue=place.queue,
        outcome=Outcome.LOST,
        cause="edge_died",
        edge=place.holder,
        site=place.site,
        via=place.via,
        sip_call_id=place.sip_call_id,
        arrived_ms=place.arrived_ms,
        queued_ms=None,
        connected_ms=None,
        ended_ms=place.arrived_ms,
    )
