"""What a part waits for between two rounds of its work."""

from __future__ import annotations

import asyncio

import pytest

from state.wake import Wake
from tests.edge.virtual_time import in_virtual_time


@in_virtual_time
async def test_set_before_anybody_waits_ends_the_next_wait_and_only_that() -> None:
    wake = Wake()
    wake.set()
    wake.set()
    assert await wake.wait(5.0)
    began = asyncio.get_running_loop().time()
    assert not await wake.wait(5.0)
    assert asyncio.get_running_loop().time() == pytest.approx(began + 5.0)


@in_virtual_time
async def test_set_during_a_wait_ends_it_early() -> None:
    wake, loop = Wake(), asyncio.get_running_loop()
    began = loop.time()
    loop.call_later(2.0, wake.set)
    assert await wake.wait(5.0)
    assert loop.time() == pytest.approx(began + 2.0)


@in_virtual_time
async def test_without_a_limit_it_waits_until_it_is_set() -> None:
    wake = Wake()
    asyncio.get_running_loop().call_later(86_400.0, wake.set)
    assert await wake.wait()


@in_virtual_time
async def test_set_at_the_very_moment_of_the_limit_is_not_lost() -> None:
    wake, loop = Wake(), asyncio.get_running_loop()
    loop.call_later(5.0, wake.set)
    first = await wake.wait(5.0)
    second = await wake.wait(0.0)
    assert (first, second) in {(True, False), (False, True)}


@in_virtual_time
async def test_whoever_is_cancelled_leaves_it_fit_for_the_next() -> None:
    wake = Wake()
    waiting = asyncio.create_task(wake.wait(60.0))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    wake.set()
    assert await wake.wait(1.0)


@in_virtual_time
async def test_a_second_one_that_waits_is_told_so() -> None:
    wake = Wake()
    waiting = asyncio.create_task(wake.wait())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one does already"):
        await wake.wait()
    wake.set()
    assert await waiting
