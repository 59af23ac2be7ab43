from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge.acd.admission import Admitted, TurnedAway, admit, length
from state import keys
from state.model import (
    AgentId,
    DidNumber,
    Limit,
    Outcome,
    Queue,
    QueueId,
    TicketState,
    TurnAway,
    Work,
)
from tests.acd.worlds import NOW, World, needs

NUMBER = DidNumber("15550001")
SALES = Queue(id=QueueId("sales"), needs=needs(sales=1))
FULL = Limit(most=2)


def world_of(*queues: Queue) -> World:
    world = World()
    world.did(NUMBER, "sales")
    for queue in queues:
        world.set_queue(queue)
    return world


def admitted_to(world: World) -> str | None:
    admission = admit(world.snapshot, NUMBER, NOW)
    return admission.queue.id if isinstance(admission, Admitted) else None


def turned_away(world: World) -> tuple[Outcome, str]:
    admission = admit(world.snapshot, NUMBER, NOW)
    assert isinstance(admission, TurnedAway)
    assert (admission.did.number, admission.queue.id) == (NUMBER, "sales")
    return admission.outcome, admission.cause


def test_a_number_or_a_queue_that_is_not_there_admits_nobody() -> None:
    world = world_of(SALES)
    assert admit(world.snapshot, DidNumber("1"), NOW) is None
    world.drop(keys.queue(SALES.id))
    assert admit(world.snapshot, NUMBER, NOW) is None


def test_a_queue_without_limits_takes_everybody() -> None:
    world = world_of(SALES)
    for number in range(50):
        world.ticket(number)
    admission = admit(world.snapshot, NUMBER, NOW)
    assert isinstance(admission, Admitted)
    assert (admission.queue.id, admission.estimate_s) == ("sales", None)


def test_a_queue_is_full_when_as_many_wait_as_it_takes() -> None:
    world = world_of(replace(SALES, longest_queue=FULL))
    world.ticket(1, state=TicketState.GREETING)
    world.ticket(2, state=TicketState.CONNECTED)
    world.ticket(3, queue="help")
    assert length(world.snapshot, SALES.id) == 1
    assert admitted_to(world) == "sales"
    world.ticket(4, state=TicketState.OFFERED)
    assert turned_away(world) == (Outcome.REFUSED, "queue_full")


def test_whom_a_full_queue_does_not_take_it_may_offer_a_call_back() -> None:
    limit = Limit(most=0, turn_away=TurnAway.CALLBACK)
    assert turned_away(world_of(replace(SALES, longest_queue=limit))) == (
        Outcome.CALLBACK,
        "queue_full",
    )


def test_a_full_queue_overflows_to_the_next_and_that_to_the_one_after() -> None:
    first = replace(SALES, longest_queue=Limit(most=0, overflow=QueueId("help")))
    second = replace(
        SALES, id=QueueId("help"), longest_queue=Limit(most=0, overflow=QueueId("last"))
    )
    world = world_of(first, second, replace(SALES, id=QueueId("last")))
    assert admitted_to(world) == "last"


@pytest.mark.parametrize("target", ["sales", "help", "gone"])
def test_queues_that_overflow_in_a_circle_or_to_nowhere_turn_the_caller_away(target: str) -> None:
    limit = Limit(most=0, overflow=QueueId(target), turn_away=TurnAway.CALLBACK)
    back = Limit(most=0, overflow=QueueId("sales"))
    world = world_of(
        replace(SALES, longest_queue=limit),
        replace(SALES, id=QueueId("help"), longest_queue=back),
    )
    assert turned_away(world) == (Outcome.CALLBACK, "queue_full")


def test_a_queue_may_look_at_the_wait_that_is_to_be_expected() -> None:
    world = world_of(replace(SALES, longest_estimate_s=Limit(most=60)))
    ann = world.agent("ann", sales=1)
    world.put(keys.work(ann), Work(agent=ann, busy_s=400.0, recent_calls=10.0))
    world.offer(ann)
    admission = admit(world.snapshot, NUMBER, NOW)
    assert isinstance(admission, Admitted)
    assert admission.estimate_s == 40.0
    world.ticket(1, sales=1)
    assert turned_away(world) == (Outcome.REFUSED, "wait_too_long")


def test_a_rush_is_turned_away_though_it_still_hears_the_greeting() -> None:
    world = world_of(replace(SALES, longest_estimate_s=Limit(most=60)))
    ann = world.agent("ann", sales=1)
    world.put(keys.work(ann), Work(agent=ann, busy_s=400.0, recent_calls=10.0))
    world.offer(ann)
    world.ticket(1, state=TicketState.GREETING, sales=1)
    assert turned_away(world) == (Outcome.REFUSED, "wait_too_long")


def test_where_nothing_can_be_estimated_nobody_is_turned_away_for_it() -> None:
    world = world_of(replace(SALES, longest_estimate_s=Limit(most=0)))
    assert admitted_to(world) == "sales"
    world.agent("ann", sales=1)
    world.offer(AgentId("ann"))
    assert admitted_to(world) == "sales"
