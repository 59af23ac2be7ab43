"""Queues that are full, or take too long: what the caller gets, and what is written down."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from state import keys
from state.model import AgentId, Limit, Outcome, Queue, QueueId, Step, TurnAway, Work
from tests.edge.one_edge import SALES
from tests.edge.stage import Center, center
from tests.edge.virtual_time import in_virtual_time, until

ANN = AgentId("ann")


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


@in_virtual_time
async def test_waits_are_estimated_for_some_callers_of_a_queue_that_has_no_limit_of_them() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]

        work = Work(agent=ANN, calls=1, recent_calls=1.0, busy_s=60.0)
        await made.put(keys.work(ANN), work)
        await until(lambda: ANN in a1.snapshot.works, "her work is seen")
        await asyncio.sleep(6.0)
        legs = [a1.sip.arrive(SALES) for _ in range(2)]
        await asyncio.sleep(5.0)
        legs.append(a1.sip.arrive(SALES))
        await until(lambda: len(a1.snapshot.tickets) == 3, "the tickets are seen")
        found = [a1.snapshot.tickets[a1.call_of(leg)].value.estimate_s for leg in legs]
        assert found[0] == 0.0, "she is free"
        assert found[1] is None, "one in five seconds is enough"
        # By then the first has rung for her in vain, which has kept her for some seconds.
        assert found[2] == pytest.approx(120.0, abs=10.0), "two calls of a minute are before them"
