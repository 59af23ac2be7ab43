"""Looks that break off are told; those that go on are ended with the block."""

from __future__ import annotations

import asyncio

from loadtests.load.watching import watched


async def look(ended: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.set()


async def breaks_off() -> None:
    raise PermissionError("/proc/1/fd")


async def test_look_goes_on_until_the_end_of_the_block_and_says_nothing() -> None:
    ended = asyncio.Event()
    async with watched({"the logs": look(ended)}) as broken:
        await asyncio.sleep(0)
        assert not ended.is_set()
    assert ended.is_set()
    assert broken == []


async def test_look_that_breaks_off_is_told_by_what_it_looked_at() -> None:
    async with watched({"the processes": breaks_off(), "the logs": look(asyncio.Event())}) as told:
        await asyncio.sleep(0)
    assert told == ["nobody looked at the processes to the end: PermissionError: /proc/1/fd"]
