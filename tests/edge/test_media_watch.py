"""The relay that died or forgot is noticed; one that is slow, or a call that just ended, is not."""

from __future__ import annotations

import asyncio

import pytest

from edge.duties.media_watch import MISSES
from state.model import Outcome
from tests.edge.fake_telephony import S
from tests.edge.stage import center
from tests.edge.virtual_time import in_virtual_time, until


@in_virtual_time
async def test_a_dead_relay_ends_every_call_and_says_so() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        waiting = await a1.waiting()
        a1.media.is_dead = True
        await until(lambda: a1.sip.open[waiting].state is S.ENDING, "noticed", within_s=6)
        for leg in (theirs, ours, waiting):
            assert "media_lost" in a1.sip.open[leg].reasons[-1]
            a1.sip.hang_up(leg)
        await until(lambda: not a1.switchboard.states(), "over")
        assert {each.outcome for each in (await made.records()).values()} == {Outcome.LOST}


@in_virtual_time
async def test_a_relay_that_misses_a_question_or_two_is_not_dead() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, _ = await a1.talking()
        for _ in range(5):
            a1.media.is_dead = True
            await asyncio.sleep(MISSES - 1.0)
            a1.media.is_dead = False
            await asyncio.sleep(2)
        assert a1.state_of(theirs) == "connected"


@in_virtual_time
async def test_a_relay_that_forgot_one_call_costs_that_call_alone() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, _ = await a1.talking()
        waiting = await a1.waiting()
        call = a1.switchboard.with_media()[0]
        await a1.media.release(call)
        await until(lambda: a1.sip.open[theirs].state is S.ENDING, "noticed", within_s=3)
        assert a1.state_of(waiting) == "queued"


@in_virtual_time
async def test_a_call_that_ends_while_the_relay_is_asked_is_no_alarm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        a1.media.delay_s = 0.3
        for _ in range(8):
            leg = await a1.waiting()
            await asyncio.sleep(0.6)
            a1.sip.hang_up(leg)
            await asyncio.sleep(0.15)
        a1.media.delay_s = 0.0
        await made.nothing_is_left()
        assert "relay_forgot" not in capsys.readouterr().out
