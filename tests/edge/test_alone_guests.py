"""Agents who are with another site's callers when their own is cut off wrap up after them."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from edge.acd.agent_state import AgentState, agent_states
from edge.acd.token import Token
from edge.alone.alone import Alone
from edge.calls.records import Landed
from edge.proxy.gate import GateEntry, GateState
from state import keys
from state.codec import encode
from state.model import (
    AgentId,
    EdgeId,
    EdgeLife,
    EdgeState,
    Offer,
    OfferState,
    Queue,
    QueueId,
    SiteId,
    TicketState,
    Work,
    WorkEnd,
)
from state.store import Delete, Put
from tests.edge.lone import ANN, OTHER, TALK, Bench, configured, living, ticket
from tests.edge.troubled import TroubledStore
from tests.edge.virtual_time import in_virtual_time, until

B1, WRAP_UP_S = EdgeId("b1"), 30.0
TOKEN = Token(epoch=1, revision=7)


class Gate:
    """Ann's, who is with a caller of site b."""

    def __init__(self, state: GateState) -> None:
        self.state = state

    async def __call__(self, _: AgentId) -> GateEntry:
        """Tell what it holds."""
        return GateEntry(token=TOKEN, state=self.state, call=None)


async def with_a_guest(offer: OfferState) -> Bench:
    """Return an edge of site a; site b has given Ann to its caller."""
    bench = await configured()
    life = EdgeLife(edge=B1, site=SiteId("b"), sip="h:2", state=EdgeState.SERVING, started_ms=0)
    theirs = replace(ticket(OTHER, holder="b1"), agent=ANN, state=TicketState.CONNECTED)
    given = Offer(agent=ANN, call=OTHER, edge=B1, state=offer, since_ms=0)
    queue = Queue(id=QueueId("sales"), needs=(TALK,), wrap_up_s=WRAP_UP_S)
    await bench.put(keys.queue(queue.id), queue)
    await bench.put(keys.edge(B1), life)
    await bench.put(keys.ticket(OTHER), theirs)
    await bench.put(keys.offer(ANN), given)
    await bench.read()
    return bench


def state(bench: Bench) -> AgentState:
    return agent_states(bench.store.snapshot, bench.clock.now())[ANN]


async def is_cut_off(way: TroubledStore, alone: Alone) -> None:
    way.is_away = True
    await until(lambda: alone.is_alone, "it serves alone")


async def is_free(bench: Bench) -> None:
    await until(lambda: ANN not in bench.store.snapshot.offers, "the call is over")


@pytest.mark.parametrize(
    ("offer", "gate", "after"),
    [
        (OfferState.TALKING, GateState.TALKING, AgentState.WRAP_UP),
        (OfferState.TALKING, GateState.IDLE, AgentState.WRAP_UP),
        (OfferState.RINGING, GateState.TALKING, AgentState.WRAP_UP),
        (OfferState.RINGING, GateState.RINGING, AgentState.READY),
    ],
    ids=["talks", "has talked", "has picked up since", "rings in vain"],
)
@in_virtual_time
async def test_who_has_talked_with_another_sites_caller_wraps_up_alone(
    offer: OfferState, gate: GateState, after: AgentState
) -> None:
    bench, held = await with_a_guest(offer), Gate(gate)
    async with living(bench, gate_of=held) as (way, alone):
        await is_cut_off(way, alone)
        await asyncio.sleep(3.0)
        held.state = GateState.IDLE
        await is_free(bench)
        assert state(bench) is after
        await asyncio.sleep(WRAP_UP_S)
        assert state(bench) is AgentState.READY


@in_virtual_time
async def test_what_an_agent_has_done_for_another_site_meanwhile_is_the_stores_to_say() -> None:
    bench = await with_a_guest(OfferState.TALKING)
    async with living(bench, gate_of=Gate(GateState.IDLE)) as (way, alone):
        await is_cut_off(way, alone)
        await is_free(bench)
        await asyncio.sleep(WRAP_UP_S + 1.0)
        truth = Work(agent=ANN, calls=9, busy_s=77.0, end=WorkEnd.TALKED, rest_s=WRAP_UP_S)
        over = (
            Delete(key=keys.offer(ANN)),
            Delete(key=keys.ticket(OTHER)),
            Put(key=keys.work(ANN), value=encode(truth)),
        )
        await bench.shared.txn((), over)
        records = await bench.waits()
        await bench.give(records, Token(epoch=2, revision=1))
        way.is_away = False
        await until(lambda: bool(alone.merges), "it has merged")
        assert bench.store.snapshot.works[ANN].value == truth
        assert isinstance(await bench.end(records), Landed)
        await is_free(bench)
