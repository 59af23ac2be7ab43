"""The shell that measures how long calls wait for their answer and tells Kamailio how many may."""

from __future__ import annotations

import asyncio

from edge.calls.arrivals import Arrivals, Waits
from edge.duties.headroom import HeadroomKeeper
from edge.steering.crowding import CROWDED_S, Crowding
from edge.steering.headroom import WINDOW_S, Headroom
from state.model import CallId
from tests.edge.one_edge import SALES
from tests.edge.stage import center
from tests.edge.virtual_time import LoopClock, in_virtual_time, until


def calls(number: int) -> list[CallId]:
    return [CallId(f"{number}-{each}") for each in range(100)]


@in_virtual_time
async def test_room_is_said_in_every_look_and_gets_less_when_calls_wait_for_each_other() -> None:
    clock, arrivals, told = LoopClock(), Arrivals(), list[int]()
    keeper = HeadroomKeeper(
        clock=clock, waits=Waits, arrivals=arrivals, tell=told.append, tell_others=lambda _: None
    )
    running = asyncio.create_task(keeper.run())
    try:
        for number in range(4):
            for call in calls(number):
                arrivals.begin(call, clock.now().mono_s)
            await asyncio.sleep(WINDOW_S)
            for call in calls(number):
                arrivals.over(call, clock.now().mono_s)
    finally:
        running.cancel()
    assert len(told) >= 3
    assert told[0] == Headroom().calls
    assert told[-1] < told[0]
    assert keeper.headroom.is_limiting


@in_virtual_time
async def test_edge_that_answers_nobody_says_that_there_is_less_room() -> None:
    clock, arrivals, told = LoopClock(), Arrivals(), list[int]()
    for call in calls(1):
        arrivals.begin(call, clock.now().mono_s)
    keeper = HeadroomKeeper(
        clock=clock, waits=Waits, arrivals=arrivals, tell=told.append, tell_others=lambda _: None
    )
    running = asyncio.create_task(keeper.run())
    await asyncio.sleep(4.5 * WINDOW_S)
    running.cancel()
    assert told[-1] < told[0]


@in_virtual_time
async def test_other_sites_hear_of_it_when_it_has_lasted_and_not_before() -> None:
    clock, arrivals, told = LoopClock(), Arrivals(), list[tuple[float, bool]]()

    def hear(crowding: Crowding) -> None:
        told.append((clock.now().mono_s - begun_s, crowding.is_crowded))

    begun_s = clock.now().mono_s
    for call in calls(1):
        arrivals.begin(call, begun_s)
    keeper = HeadroomKeeper(
        clock=clock, waits=Waits, arrivals=arrivals, tell=lambda _: None, tell_others=hear
    )
    running = asyncio.create_task(keeper.run())
    await asyncio.sleep(CROWDED_S + 4 * WINDOW_S)
    running.cancel()
    said_s = [at_s for at_s, is_crowded in told if is_crowded]
    assert said_s
    assert said_s[0] > CROWDED_S


@in_virtual_time
async def test_call_waits_for_its_answer_until_it_has_got_it() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        arrivals = a1.switchboard.arrivals
        leg = a1.sip.arrive(SALES)
        assert len(arrivals) == 1
        await until(lambda: a1.state_of(leg) == "queued", "answered")
        assert len(arrivals) == 0
        assert arrivals.answers().count == 1


@in_virtual_time
async def test_caller_who_gives_up_before_the_answer_waits_no_more() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        leg = a1.sip.arrive(SALES)
        assert a1.state_of(leg) == "arriving"
        a1.sip.hang_up(leg)
        await until(lambda: a1.state_of(leg) == "gone", "over")
        assert len(a1.switchboard.arrivals) == 0


def test_call_waits_from_when_it_came_to_the_socket() -> None:
    arrivals = Arrivals()
    arrivals.begin(CallId("one"), 10.0)
    arrivals.begin(CallId("two"), 10.5)
    assert (len(arrivals), arrivals.oldest_s(11.0)) == (2, 1.0)
    arrivals.over(CallId("one"), 11.0)
    arrivals.over(CallId("one"), 12.0)
    assert (len(arrivals), arrivals.oldest_s(11.0)) == (1, 0.5)
    assert arrivals.answers() == Waits(count=1, sum_s=1.0)
    arrivals.over(CallId("two"), 11.0)
    assert arrivals.oldest_s(12.0) == 0.0
