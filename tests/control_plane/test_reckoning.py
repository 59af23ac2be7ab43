"""What moves would come to is reckoned once, and kept for a while."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from control_plane.configuration.reckoning import NotKnown, Reckonings, key_of
from edge.steering.judgement import Move
from edge.steering.prediction import Prediction
from state.configuration import Configuration
from state.model import Contingency, Site, SiteId

NOTHING = Prediction(queues=(), sites=(), unserved_per_s=0.0)


def a_move(seed: int = 1) -> Move:
    return Move(
        seed=seed,
        from_ms=0,
        now_ms=1,
        target_s=20.0,
        level=0.8,
        formula="none",
        before=NOTHING,
        after=NOTHING,
    )


class Reckoner:
    """Counts how often it is asked, and takes until it may go on."""

    def __init__(self, *, may_go_on: bool) -> None:
        self.may_go_on = threading.Event()
        if may_go_on:
            self.may_go_on.set()
        self.times = 0

    def reckon(self) -> Move:
        """Return a move whose seed is the number of times."""
        self.times += 1
        assert self.may_go_on.wait(5.0)
        return a_move(self.times)


@asynccontextmanager
async def reckonings(kept_s: float = 60.0) -> AsyncIterator[Reckonings]:
    made = Reckonings(kept_s)
    try:
        yield made
    finally:
        made.close()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5.0):
        while not is_so():  # noqa: ASYNC110 - in another thread
            await asyncio.sleep(0.005)


async def test_what_is_known_in_time_is_reckoned_anew_each_time() -> None:
    quick = Reckoner(may_go_on=True)
    async with reckonings() as all_of_them:
        for seed in (1, 2):
            found = await all_of_them.found(b"k", quick.reckon, 5.0)
            assert isinstance(found, Move)
            assert found.seed == seed


async def test_what_came_too_late_is_there_for_who_asks_again() -> None:
    slow = Reckoner(may_go_on=False)
    async with reckonings() as all_of_them:
        assert await all_of_them.found(b"k", slow.reckon, 0.02) is NotKnown.LATE
        assert await all_of_them.found(b"k", slow.reckon, 0.02) is NotKnown.LATE
        assert await all_of_them.found(b"other", Reckoner(may_go_on=True).reckon, 5.0) == a_move()
        slow.may_go_on.set()
        assert await all_of_them.found(b"k", slow.reckon, None) == a_move()
        slow.may_go_on.clear()
        try:
            assert await all_of_them.found(b"k", slow.reckon, 0.02) == a_move()
        finally:
            slow.may_go_on.set()
        assert slow.times == 1


async def test_what_is_old_is_no_answer() -> None:
    slow = Reckoner(may_go_on=False)
    async with reckonings(kept_s=0.0) as all_of_them:
        assert await all_of_them.found(b"k", slow.reckon, 0.02) is NotKnown.LATE
        slow.may_go_on.set()
        await all_of_them.found(b"k", slow.reckon, None)
        slow.may_go_on.clear()
        await asyncio.sleep(0.01)
        try:
            assert await all_of_them.found(b"k", slow.reckon, 0.02) is NotKnown.LATE
        finally:
            slow.may_go_on.set()
        assert slow.times == 2


async def test_a_fault_of_the_reckoning_is_said_and_not_kept() -> None:
    faults = 0

    def stumble() -> Move:
        nonlocal faults
        faults += 1
        raise AssertionError("a replay's plan does not hold")

    async with reckonings() as all_of_them:
        assert await all_of_them.found(b"k", stumble, 5.0) is NotKnown.FAILED
        assert await all_of_them.found(b"k", Reckoner(may_go_on=True).reckon, 5.0) == a_move()
        assert faults == 1


async def test_who_leaves_takes_the_reckoning_from_nobody_else() -> None:
    slow = Reckoner(may_go_on=False)
    async with reckonings() as all_of_them:
        first = asyncio.create_task(all_of_them.found(b"k", slow.reckon, None))
        await until(lambda: slow.times == 1)
        second = asyncio.create_task(all_of_them.found(b"k", slow.reckon, None))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        slow.may_go_on.set()
        assert await second == a_move()
        assert slow.times == 1


def test_a_move_is_the_same_whoever_makes_it_and_another_if_it_does_something_else() -> None:
    a, b = (Site(id=SiteId(each), name=each, sip=f"{each}:1") for each in "ab")
    now, then = Configuration(sites=(a,)), Configuration(sites=(a, b))
    plan = Contingency(id="storm", name="A storm", since_ms=1)
    by_plan = Configuration(sites=(a, b), contingencies=(plan,))
    assert key_of(then, now) == key_of(by_plan, now)
    assert len({key_of(then, now), key_of(now, then), key_of(now, now)}) == 3
