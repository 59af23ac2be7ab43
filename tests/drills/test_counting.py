"""Calls and agents of living sites, looked at through a desk on a store in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from drills.desk.asks import CallsAsk
from drills.desk.call_answers import Calls
from drills.desk.client import Line, connected
from drills.desk.errors import DeskError
from drills.drill import counting
from drills.drill.counting import Counting
from drills.live_books import books
from state import keys
from state.codec import encode
from state.model import AgentId, CallId, Outcome, TicketState
from state.store import Delete, Operation, Put
from tests.acd.worlds import World, call_id
from tests.cli.asked import NOW_MS, Asked, opened, record

SOON_S = 10.0


@pytest.fixture
async def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    monkeypatch.setattr(counting, "EVERY_S", 0.02)
    monkeypatch.setattr(counting, "AGAIN_S", 0.02)
    async with opened(tmp_path, monkeypatch) as desk:
        await desk.fill(furnished().snapshot)
        await heard(set())
        yield desk


def furnished() -> World:
    """Return a center with a queue and two agents, at a and b."""
    world = World()
    world.queue("sales", sales=3)
    world.agent("ann", sales=5)
    world.agent("bob", sales=3, site="b")
    return world


async def heard(calls: set[CallId]) -> None:
    """Wait until the desk tells of exactly these calls that run."""
    async with asyncio.timeout(SOON_S):
        while {each.call for each in (await running()).calls} != calls:
            pass


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what looks, which threads make, come to."""
    async with asyncio.timeout(SOON_S):
        while not is_so():  # noqa: ASYNC110 - threads have no event of this loop
            await asyncio.sleep(0.01)


async def running() -> Calls:
    def ask() -> Calls:
        with connected(None) as line:
            return line.ask(CallsAsk(last=100, is_live=True), Calls)

    return await asyncio.to_thread(ask)


async def arrive(desk: Asked, *numbers: int) -> None:
    world = furnished()
    calls = {world.ticket(number) for number in numbers}
    await desk.fill(world.snapshot)
    await heard(calls | {each.call for each in (await running()).calls})


async def end(desk: Asked, number: int, outcome: Outcome = Outcome.ANSWERED) -> None:
    call = call_id(number)
    done: tuple[Operation, ...] = (
        Delete(key=keys.ticket(call)),
        Put(key=keys.ended(call), value=encode(record(call, outcome=outcome))),
    )
    await desk.store.txn((), done)


def desk_of() -> contextlib.AbstractContextManager[Line]:
    return connected(None)


@contextlib.asynccontextmanager
async def counted_on() -> AsyncIterator[Counting]:
    found = Counting(desk_of)
    await found.begin()
    task = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.wait((task,))
        await found.end()


async def seen(found: Counting, *numbers: int) -> None:
    """Wait until these calls have been seen on."""
    await until(lambda: {call_id(each) for each in numbers} <= found.calls_seen)


async def test_those_that_run_can_be_asked_for_without_the_ledger(asked: Asked) -> None:
    await end(asked, 1)
    await arrive(asked, 2)
    found = await running()
    assert [(each.call, each.state) for each in found.calls] == [(call_id(2), TicketState.QUEUED)]
    assert (found.total, found.bad_records) == (0, {})


async def test_calls_that_were_on_and_came_and_went_are_counted_once_each(asked: Asked) -> None:
    await end(asked, 1)
    await arrive(asked, 2, 3)
    async with counted_on() as found:
        await arrive(asked, 4)
        await seen(found, 4)
        await end(asked, 4, Outcome.LOST)
        await end(asked, 2)
        await end(asked, 5, Outcome.ABANDONED)
    counted = found.counted
    assert counted is not None
    made = books(counted, (), NOW_MS)
    ends = {each.call: each.outcome for each in made.rows}
    assert ends == {
        call_id(2): "answered",
        call_id(3): "on",
        call_id(4): "lost",
        call_id(5): "abandoned",
    }
    assert made.figures["ledger_sums"] == 1.0


async def test_a_call_that_vanishes_without_a_record_is_looked_for_and_then_said(
    asked: Asked,
) -> None:
    await arrive(asked, 2)
    async with counted_on() as found:
        await seen(found, 2)
        await asked.store.txn((), (Delete(key=keys.ticket(call_id(2))),))
        await heard(set())
    counted = found.counted
    assert counted is not None
    assert books(counted, (), NOW_MS).figures["unaccounted"] == 1


async def test_a_record_that_is_a_moment_late_is_waited_for(asked: Asked) -> None:
    await arrive(asked, 2)
    async with counted_on() as found:
        await seen(found, 2)
        await asked.store.txn((), (Delete(key=keys.ticket(call_id(2))),))
        await heard(set())
        late = asyncio.get_running_loop().create_task(_late(asked))
    await late
    counted = found.counted
    assert counted is not None
    assert counted.without_account() == set()


async def _late(desk: Asked) -> None:
    await asyncio.sleep(0.03)
    await end(desk, 2)


async def test_an_agent_who_was_moved_is_seen_where_they_can_be_rung_now(asked: Asked) -> None:
    async with counted_on() as found:
        await until(lambda: found.homes.at(AgentId("ann")) == "a")
        world = furnished()
        world.move("ann", "b", home="a")
        world.presence("ann", site="b")
        await asked.fill(world.snapshot)
        await until(lambda: found.homes.at(AgentId("ann")) == "b")
    (moved,) = found.homes.moved(NOW_MS)
    assert (moved.was_at, moved.now_at, moved.agents) == ("a", "b", ("ann",))


async def test_a_desk_that_does_not_answer_makes_no_ledger() -> None:
    def silent() -> contextlib.AbstractContextManager[Line]:
        raise DeskError("lab 1 has not answered within 15 s")

    found = Counting(silent)
    await found.begin()
    await found.end()
    assert found.counted is None
