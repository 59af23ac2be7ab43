"""Every call ends in one way, written by its own edge while it has the call, whatever it was told.

The interleavings: what a call holds is not what stands in the store, in each way in which that can
be; and then it ends.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd import call_events as ev
from edge.acd.ending import WITHDRAWN, Ending
from edge.acd.owed import Owed
from edge.acd.reservation import ended
from edge.calls.call import CallShell
from edge.calls.journal import Journal
from edge.calls.records import CallRecords, Landed
from edge.duties.debts import Debts
from state import keys
from state.codec import decode, encode
from state.memory import MemoryStore
from state.mirror import Mirror
from state.model import (
    AgentId,
    CallRecord,
    EdgeId,
    Offer,
    OfferState,
    Outcome,
    Ticket,
    TicketState,
    Work,
    WorkEnd,
)
from state.overlay import ALONE_FROM
from state.store import Delete, Operation, Put
from tests.acd.worlds import ticket
from tests.edge.one_edge import Edge
from tests.edge.stage import center
from tests.edge.virtual_time import LoopClock, in_virtual_time, play, settle, until

ANN, A1, B1 = AgentId("ann"), EdgeId("a1"), EdgeId("b1")
PLACE: Ticket = replace(ticket(1, sales=1), holder=A1, state=TicketState.CONNECTED, agent=ANN)
OFFER = Offer(agent=ANN, call=PLACE.call, edge=A1, state=OfferState.TALKING, since_ms=0)
ENDING = Ending(outcome=Outcome.ANSWERED, cause="caller_hung_up")


def put(key: str, value: Ticket | Offer | Work | CallRecord) -> Put:
    return Put(key=key, value=encode(value))


RECORD = CallRecord(
    call=PLACE.call,
    did=PLACE.did,
    queue=PLACE.queue,
    outcome=Outcome.LOST,
    cause="edge_died",
    edge=A1,
    site=PLACE.site,
    via=PLACE.via,
    sip_call_id=PLACE.sip_call_id,
    arrived_ms=1,
    queued_ms=1,
    connected_ms=None,
    ended_ms=2,
)
MINE: dict[str, Operation] = {
    "work written": put(keys.work(ANN), Work(agent=ANN, end=WorkEnd.WITHDRAWN)),
    "ticket written": put(keys.ticket(PLACE.call), PLACE),
    "offer written": put(keys.offer(ANN), OFFER),
    "offer gone": Delete(key=keys.offer(ANN)),
    "offer another call's": put(keys.offer(ANN), replace(OFFER, call=ticket(2, sales=2).call)),
    "ticket waits": put(
        keys.ticket(PLACE.call), replace(PLACE, state=TicketState.QUEUED, agent=None)
    ),
}
"""What may have happened unheard, and the call is its edge's all the same."""
NOT_MINE: dict[str, Operation] = {
    "ticket gone": Delete(key=keys.ticket(PLACE.call)),
    "ticket another's": put(keys.ticket(PLACE.call), replace(PLACE, holder=B1)),
    "record stands": put(keys.ended(PLACE.call), RECORD),
}


async def hold() -> tuple[MemoryStore, CallRecords]:
    """Return a store and the records of a call that talks with Ann."""
    clock = LoopClock()
    store = MemoryStore(clock)
    await store.txn((), (put(keys.ticket(PLACE.call), PLACE), put(keys.offer(ANN), OFFER)))
    records = CallRecords(store=store, clock=clock, call=PLACE.call, is_known=False)
    found = await records._look(None, A1)  # noqa: SLF001 - as a life that begins reads it
    assert found is not None
    assert found.given is not None
    records.restore(found)
    return store, records


async def has(store: MemoryStore, key: str) -> bool:
    return bool((await store.range(key)).records)


async def say_goodbye(records: CallRecords) -> object:
    return await records.end(
        lambda held, at: None if held is None else ended(held, ENDING, WITHDRAWN, at), A1
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(MINE)), max_size=4))
def test_a_call_that_is_its_edges_ends_with_its_record_whatever_it_was_not_told_of(
    unheard: list[str],
) -> None:
    async def scene() -> None:
        store, records = await hold()
        for what in unheard:
            await store.txn((), (MINE[what],))
        given_away = await _offer_of(store, but=PLACE)
        assert isinstance(await say_goodbye(records), Landed)
        record = (await store.range(keys.ended(PLACE.call))).records[0]
        assert decode(CallRecord, record.value, record.key).cause == "caller_hung_up"
        assert not await has(store, keys.ticket(PLACE.call))
        assert await _offer_of(store, but=PLACE) == given_away, "another call's agent is its own"
        assert not await _offer_of(store, of=PLACE)

    play(scene())


async def _offer_of(
    store: MemoryStore, *, of: Ticket | None = None, but: Ticket | None = None
) -> list[bytes]:
    found = [
        (each.value, decode(Offer, each.value, each.key).call)
        for each in (await store.range(keys.offer(ANN))).records
    ]
    return [
        value
        for value, call in found
        if (of is None or call == of.call) and (but is None or call != but.call)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(MINE)), max_size=3),
    st.sampled_from(sorted(NOT_MINE)),
    st.lists(st.sampled_from(["work written", "offer gone"]), max_size=2),
)
def test_a_call_that_is_not_its_edges_any_more_is_left_as_it_is(
    before: list[str], what: str, after: list[str]
) -> None:
    async def scene() -> None:
        store, records = await hold()
        for operation in (*(MINE[each] for each in before), NOT_MINE[what]):
            await store.txn((), (operation,))
        for each in after:
            await store.txn((), (MINE[each],))
        stood = (await store.range(keys.ROOT, prefix=True)).records
        assert not isinstance(await say_goodbye(records), Landed)
        assert (await store.range(keys.ROOT, prefix=True)).records == stood

    play(scene())


# ---- whole calls ---------------------------------------------------------------------------------


@in_virtual_time
@pytest.mark.parametrize("state", ["queued", "ringing", "connected"])
async def test_a_call_whose_place_only_seems_lost_is_ended_by_its_own_edge(state: str) -> None:
    agents = () if state == "queued" else ("ann",)
    async with center(*agents, edges=("a1", "a2")) as made:
        a1 = made.edges["a1"]
        leg = (await a1.talking())[0] if state == "connected" else await a1.waiting()
        await until(lambda: a1.state_of(leg) == state, state)
        await settle()
        _shell(a1).deliver(ev.TicketLost())
        _all_go(a1)
        assert await made.outcome(a1, leg) == (Outcome.LOST, "held_elsewhere")
        await made.nothing_is_left()
        assert len(await made.records()) == 1


@in_virtual_time
async def test_a_call_of_a_site_that_was_alone_is_told_that_its_place_is_closed() -> None:
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, _ = await a1.talking()
        await settle()
        held = _shell(a1).records.held
        assert held is not None
        # It has not written since: it goes by the revision that its site's copy had.
        alone = replace(held.ticket, mod_revision=ALONE_FROM + 7)
        _shell(a1).records.held = replace(held, ticket=alone)
        call = held.ticket.value.call
        await made.store.txn((), (Delete(key=keys.ticket(call)), Delete(key=keys.offer(ANN))))
        await until(lambda: a1.state_of(theirs) == "ending", "its end is told")


@in_virtual_time
async def test_a_caller_whose_place_is_closed_is_told_though_the_watch_lost_its_last_change() -> (
    None
):
    async with center("ann", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        ours = await a1.rung("ann")
        a1.store.loses_events_of = "/ticket/"
        a1.sip.pick_up(ours)
        await a1.answer_ours(theirs)
        await settle()
        held = _shell(a1).records.held
        assert held is not None
        shown = a1.snapshot.tickets[held.ticket.value.call]
        assert shown.mod_revision < held.ticket.mod_revision
        a1.store.loses_events_of = ""
        call = held.ticket.value.call
        record = replace(RECORD, call=call)
        await made.store.txn((), (Delete(key=keys.ticket(call)), put(keys.ended(call), record)))
        await until(lambda: a1.state_of(theirs) == "ending", "it ends", within_s=40.0)
        _all_go(a1)
        await made.nothing_is_left()
        assert (await made.records())[call].cause == "edge_died"


@in_virtual_time
@pytest.mark.parametrize("who", ["caller", "agent"])
async def test_a_talk_ends_with_its_record_though_somebody_wrote_its_agents_work(who: str) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        await settle()
        await made.put(keys.work(ANN), Work(agent=ANN, end=WorkEnd.WITHDRAWN, rest_s=1.0))
        a1.sip.hang_up(theirs if who == "caller" else ours)
        _all_go(a1)
        assert await made.outcome(a1, theirs) == (Outcome.ANSWERED, f"{who}_hung_up")
        await made.nothing_is_left()
        assert a1.snapshot.works[ANN].value.end is WorkEnd.TALKED


def _shell(edge: Edge) -> CallShell:
    (shell,) = edge.switchboard.held()
    return shell


def _all_go(edge: Edge) -> None:
    """Let everybody take the goodbye that they have been told."""
    for leg in list(edge.sip.open):
        edge.sip.decline(leg)
        edge.sip.hang_up(leg)


# ---- what a former life owes ---------------------------------------------------------------------


@in_virtual_time
@pytest.mark.parametrize("late", sorted(MINE))
async def test_a_debt_is_paid_though_something_happened_after_the_state_was_read(
    late: str,
) -> None:
    """A write that the former life had sent may land when the next one has read the state."""
    store, _ = await hold()
    clock = LoopClock()
    mirror = Mirror(store, clock)
    await mirror._list()  # noqa: SLF001 - one look, in place of a loop
    await store.txn((), (MINE[late],))
    owed = Owed(ticket=PLACE, ending=ENDING, part=WITHDRAWN, at=clock.now())
    debts = Debts(
        edge=A1,
        clock=clock,
        store=store,
        snapshot=lambda: mirror.snapshot,
        is_current=lambda: True,
        journal=Journal(Path("never opened")),
        owed={PLACE.call: owed},
    )
    await debts.run()
    assert not debts.owed
    found = (await store.range(keys.ended(PLACE.call))).records[0]
    assert decode(CallRecord, found.value, found.key).cause == "caller_hung_up"
    assert not await has(store, keys.ticket(PLACE.call))
    assert not await _offer_of(store, of=PLACE)
