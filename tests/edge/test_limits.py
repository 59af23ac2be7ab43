"""Queues that are full, or take too long: what the caller gets, and what is written down."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from state import keys
from state.model import Limit, Outcome, Queue, QueueId, Step, TurnAway
from tests.edge.one_edge import SALES
from tests.edge.stage import Center, center
from tests.edge.virtual_time import in_virtual_time, until


async def rules(made: Center, **fields: object) -> None:
    """Change the rules of the queue that SALES leads to, and wait until they are known."""
    edge = made.edges["a1"]
    before = edge.snapshot.queues[QueueId("sales")]
    queue: Queue = replace(before.value, **fields)  # a test names its fields
    await made.put(keys.queue(queue.id), queue)
    await until(lambda: edge.snapshot.queues[queue.id].mod_revision > before.mod_revision, "known")


@in_virtual_time
async def test_a_full_queue_is_busy_and_the_record_says_so() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        await rules(made, longest_queue=Limit(most=1, turn_away=TurnAway.CALLBACK))
        first = await a1.waiting()
        await until(lambda: bool(a1.snapshot.tickets), "the ticket is seen")
        second = a1.sip.arrive(SALES)
        assert a1.sip.over[second].status == 486
        record = await made.record(a1, second)
        assert (record.outcome, record.cause) == (Outcome.CALLBACK, "queue_full")
        assert (record.queue, record.queued_ms, record.agent) == ("sales", None, None)
        assert a1.state_of(first) == "queued"
        a1.sip.hang_up(first)
        await made.nothing_is_left()


@in_virtual_time
async def test_a_caller_of_a_full_queue_waits_in_the_one_that_it_overflows_to() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        await rules(made, longest_queue=Limit(most=0, overflow=QueueId("greeted")))
        leg = await a1.waiting()
        assert a1.state_of(leg) == "greeting"
        (ticket,) = await made.tickets()
        assert (ticket.queue, ticket.did) == ("greeted", SALES)
        a1.sip.hang_up(leg)
        await made.nothing_is_left()


@in_virtual_time
async def test_who_has_waited_too_long_is_let_go() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        await rules(made, longest_wait_s=Limit(most=30))
        leg = await a1.waiting()
        await asyncio.sleep(29)
        assert a1.state_of(leg) == "queued"
        await until(lambda: a1.sip.open[leg].said[-1] == "bye", "the caller is let go")
        a1.sip.hang_up(leg)
        record = await made.record(a1, leg)
        assert (record.outcome, record.cause) == (Outcome.REFUSED, "waited_too_long")
        assert record.queued_ms is not None
        assert 29_900 <= record.ended_ms - record.queued_ms <= 31_000
        await made.nothing_is_left()


@in_virtual_time
async def test_who_is_being_offered_an_agent_is_not_let_go_until_they_refuse() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        await rules(made, steps=(Step(after_s=1.0, turn_away=TurnAway.REFUSE),), ring_timeout_s=4.0)
        leg = await a1.waiting()
        agent = await a1.rung("ann")
        await asyncio.sleep(2)
        assert a1.state_of(leg) == "ringing"
        await until(lambda: a1.sip.open[leg].said[-1] == "bye", "the caller is let go")
        assert a1.sip.open[agent].said[-1] == "cancel"
        a1.sip.hang_up(leg)
        a1.sip.decline(agent, 487, "Request Terminated")
        record = await made.record(a1, leg)
        assert (record.outcome, record.tried) == (Outcome.REFUSED, ("ann",))
        await made.nothing_is_left()
