from __future__ import annotations

import heapq
import math
from random import Random

import pytest
from msgspec.structs import replace

from edge.acd.forecast import (
    SAMPLED_MOST,
    accuracy,
    accuracy_of,
    forecast,
    forecast_for_newcomer,
    is_sampled,
)
from state import keys
from state.model import (
    AgentId,
    CallRecord,
    DidNumber,
    EdgeId,
    Outcome,
    PresenceState,
    Queue,
    QueueId,
    SiteId,
    TicketState,
    Work,
)
from tests.acd.worlds import NOW, WALL_MS, World, call_id, needs, ticket

SALES = Queue(id=QueueId("sales"), needs=needs(sales=1))


def busy(world: World, name: str) -> None:
    """Let an agent who takes a minute for a call be in one."""
    agent = AgentId(name)
    done = Work(agent=agent, busy_s=600.0, recent_calls=10.0)
    world.put(keys.work(agent), done)
    world.offer(name)


def staffed(*names: str) -> World:
    world = World()
    world.set_queue(SALES)
    for name in names:
        world.agent(name, sales=1)
        busy(world, name)
    return world


def test_a_call_that_does_not_wait_has_no_forecast() -> None:
    assert forecast(staffed("ann").snapshot, call_id(1), NOW) is None


def test_one_of_n_agents_becomes_free_every_nth_part_of_a_call() -> None:
    world = staffed("ann", "bob", "cyd")
    calls = [world.ticket(number, sales=1) for number in range(3)]
    found = [forecast(world.snapshot, call, NOW) for call in calls]
    assert [(f.position, f.staff, f.wait_s) for f in found if f is not None] == [
        (1, 3, 20.0),
        (2, 3, 40.0),
        (3, 3, 60.0),
    ]
    newcomer = forecast_for_newcomer(world.snapshot, SALES, NOW)
    assert (newcomer.position, newcomer.wait_s) == (4, 80.0)


def test_who_has_a_free_agent_for_themself_waits_no_time() -> None:
    world = staffed("ann")
    world.agent("bob", sales=1)
    world.agent("cyd", sales=1)
    first, second = world.ticket(1, sales=1), world.ticket(2, sales=1)
    third = world.ticket(3, sales=1)
    found = {call: forecast(world.snapshot, call, NOW) for call in (first, second, third)}
    assert [f.wait_s for f in found.values() if f is not None] == [0.0, 0.0, 20.0]


def test_a_call_ahead_counts_by_the_share_of_its_agents_who_are_ours_too() -> None:
    world = staffed("ann")
    for name in ("bob", "cyd", "dan"):
        world.agent(name, sales=1, french=1)
        busy(world, name)
    world.ticket(1, sales=1)
    world.ticket(2, dutch=1)
    french = world.ticket(3, sales=1, french=1)
    found = forecast(world.snapshot, french, NOW)
    assert found is not None
    # Of the four who may take the first call, three are ours; nobody speaks dutch.
    assert (found.position, found.staff) == (2, 3)
    assert found.wait_s == pytest.approx((1 + 3 / 4) * 60 / 3)


def test_who_is_away_is_no_staff_and_without_staff_there_is_no_forecast() -> None:
    world = staffed("ann", "bob")
    world.presence("bob", state=PresenceState.PAUSED)
    call = world.ticket(1, sales=1)
    found = forecast(world.snapshot, call, NOW)
    assert found is not None
    assert (found.staff, found.wait_s) == (1, 60.0)
    world.presence("ann", state=PresenceState.SIGNED_OUT)
    none = forecast(world.snapshot, call, NOW)
    assert none is not None
    assert (none.position, none.staff, none.wait_s) == (1, 0, None)


def test_a_newcomer_of_a_higher_priority_stands_before_the_others() -> None:
    world = staffed("ann")
    world.ticket(1, sales=1)
    vip = replace(SALES, priority=5)
    assert forecast_for_newcomer(world.snapshot, vip, NOW).position == 1


def test_who_hears_the_greeting_came_before_a_newcomer_and_will_be_served_before() -> None:
    world = staffed("ann", "bob", "cyd")
    world.ticket(1, sales=1)
    world.ticket(2, state=TicketState.GREETING, sales=1)
    world.ticket(3, state=TicketState.GREETING, holder="b1", sales=1)
    found = forecast_for_newcomer(world.snapshot, SALES, NOW)
    assert (found.position, found.wait_s) == (4, 80.0)
    vip = forecast_for_newcomer(world.snapshot, replace(SALES, priority=5), NOW)
    assert (vip.position, vip.wait_s) == (1, 20.0)
    world.drop(keys.edge(EdgeId("b1")))
    assert forecast_for_newcomer(world.snapshot, SALES, NOW).position == 3


def test_an_agent_who_is_free_is_for_those_who_hear_the_greeting_first() -> None:
    world = staffed("ann")
    world.agent("bob", sales=1)
    assert forecast_for_newcomer(world.snapshot, SALES, NOW).wait_s == 0.0
    world.ticket(1, state=TicketState.GREETING, sales=1)
    assert forecast_for_newcomer(world.snapshot, SALES, NOW).wait_s == 30.0


def test_a_greeting_is_no_waiting_by_which_those_who_hear_it_would_stand_higher() -> None:
    world = staffed("ann")
    world.set_queue(replace(SALES, aging_s=1.0))
    greeted = ticket(1, state=TicketState.GREETING, sales=1)
    world.set_ticket(greeted, waits_s=10.0)
    vip = replace(SALES, priority=5)
    assert forecast_for_newcomer(world.snapshot, vip, NOW).position == 1


# ---- its error -----------------------------------------------------------------------------------


def test_the_error_is_measured() -> None:
    assert accuracy([]) is None
    found = accuracy([(10.0, 20.0), (30.0, 20.0), (50.0, 20.0)])
    assert found is not None
    assert (found.count, found.bias_s, found.median_error_s) == (3, 10.0, 10.0)
    assert found.mean_error_s == pytest.approx(50 / 3)


def record(*, waited_s: float, estimate_s: float | None, answered: bool = True) -> CallRecord:
    ended_ms = WALL_MS + round(waited_s * 1000)
    return CallRecord(
        call=call_id(1),
        did=DidNumber("1"),
        queue=SALES.id,
        outcome=Outcome.ANSWERED if answered else Outcome.ABANDONED,
        cause="caller_hung_up",
        edge=EdgeId("a1"),
        site=SiteId("a"),
        via=SiteId("a"),
        sip_call_id="1",
        arrived_ms=WALL_MS,
        queued_ms=WALL_MS,
        connected_ms=ended_ms if answered else None,
        ended_ms=ended_ms,
        estimate_s=estimate_s,
    )


def test_only_calls_that_were_answered_and_estimated_are_measured() -> None:
    found = accuracy_of(
        [
            record(waited_s=10, estimate_s=15.0),
            record(waited_s=10, estimate_s=None),
            record(waited_s=1, estimate_s=500.0, answered=False),
        ]
    )
    assert found is not None
    assert (found.count, found.bias_s) == (1, 5.0)


def test_in_a_day_of_random_calls_the_estimate_is_right_on_average() -> None:
    """Ten agents, calls of 60 s on average one after the other, a queue that comes and goes."""
    random = Random(7)  # noqa: S311 - a seed makes it the same every time
    names = [f"agent{number}" for number in range(10)]
    by_ahead = {}
    world = staffed(*names)
    for ahead in range(30):
        by_ahead[ahead] = forecast_for_newcomer(world.snapshot, SALES, NOW).wait_s
        world.ticket(ahead, sales=1)
    free_at = [0.0] * len(names)
    starts: list[float] = []
    pairs = []
    arrives_s = 0.0
    for _ in range(4000):
        arrives_s += random.expovariate(1 / 6.1)
        waiting = sum(start > arrives_s for start in starts[-60:])
        begins_s = max(arrives_s, heapq.heappop(free_at))
        heapq.heappush(free_at, begins_s + random.expovariate(1 / 60))
        starts.append(begins_s)
        estimate_s = by_ahead.get(waiting)
        if begins_s > arrives_s and estimate_s is not None:
            pairs.append((estimate_s, begins_s - arrives_s))
    found = accuracy(pairs)
    assert found is not None
    waits = [waited for _, waited in pairs]
    assert found.count > 1000
    assert abs(found.bias_s) < 0.1 * sum(waits) / len(waits)


def test_where_many_work_and_wait_fewer_callers_are_measured_and_of_very_many_none() -> None:
    world = World()
    assert [is_sampled(world.snapshot, since_s) for since_s in (4.9, 5.0)] == [False, True]
    for number in range(600):
        world.agent(f"agent{number}", sales=1)
    assert [is_sampled(world.snapshot, since_s) for since_s in (5.9, 6.0)] == [False, True]
    for number in range(SAMPLED_MOST - 599):
        world.ticket(number + 1)
    assert not is_sampled(world.snapshot, math.inf)
