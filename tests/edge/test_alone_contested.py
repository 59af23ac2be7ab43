"""What a merge does while an agent of one of its calls is another call's: it waits, not long."""

from __future__ import annotations

import asyncio

from edge.acd.token import Token
from edge.alone.mode import Mode
from edge.calls.records import Landed
from state import keys
from tests.edge.lone import ANN, OTHER, configured, living, ticket
from tests.edge.virtual_time import in_virtual_time, until

TOKEN = Token(epoch=2, revision=1)


@in_virtual_time
async def test_a_talk_that_ends_while_the_merge_waits_for_its_agent_does_not_hold_it_up() -> None:
    """Free by her telephone, she talks with another's caller, and the end waits for the merge."""
    bench = await configured()
    async with living(bench) as (way, alone):
        records = bench.records()
        way.is_away = True
        await until(lambda: alone.is_alone, "it serves alone")
        await records.create(ticket(), bench.clock.now())
        await bench.give(records, TOKEN)
        way.is_away = False
        await bench.others_give_ann()
        await until(lambda: alone.mode is Mode.MERGING, "a quorum is back")
        ending = asyncio.create_task(bench.end(records))
        await until(lambda: alone.mode is Mode.QUORUM, "it is merged", within_s=4.5)
        assert isinstance(await ending, Landed)
    assert (await bench.record()).cause == "agent_hung_up"
    assert await bench.has(keys.offer(ANN)), "she is in the other call"


@in_virtual_time
async def test_callers_are_served_while_a_merge_waits_for_an_agent_who_is_anothers() -> None:
    bench = await configured()
    async with living(bench) as (way, alone):
        records = bench.records()
        way.is_away = True
        await until(lambda: alone.is_alone, "it serves alone")
        await records.create(ticket(), bench.clock.now())
        await bench.give(records, TOKEN)
        way.is_away = False
        await bench.others_give_ann()
        await until(lambda: alone.mode is Mode.MERGING, "a quorum is back")
        came_s = bench.clock.now().mono_s
        written = await bench.records(OTHER).create(ticket(OTHER), bench.clock.now())
        assert isinstance(written, Landed)
        assert bench.clock.now().mono_s - came_s < 3.0
        await bench.others_give_ann_and_back()
        await until(lambda: alone.mode is Mode.QUORUM, "it is merged", within_s=4.5)
