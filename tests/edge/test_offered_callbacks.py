"""Callers who have waited long are asked whether they want to be called back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edge.media.errors import MediaRefused
from edge.sip.events import LegId
from state.model import Limit, Outcome, Step, TicketState, TurnAway
from tests.edge.calling_back import (
    NUMBER,
    RULES,
    back_records,
    calling,
    dialled,
    joined,
    places,
    rung_back,
)
from tests.edge.fake_telephony import S
from tests.edge.one_edge import Edge
from tests.edge.stage import Center
from tests.edge.virtual_time import in_virtual_time, until

ASKED = replace(RULES, offer="callback", key="7", wait_s=4.0, notice="called_back")


@asynccontextmanager
async def asking(
    *agents: str, edges: tuple[str, ...] = ("a1",), **queue: object
) -> AsyncIterator[tuple[Center, Edge]]:
    """Run a center whose queue asks callers after 5 s, and says to which edge they come."""
    async with calling(*agents, rules=ASKED, edges=edges) as made:
        if queue:
            await made.change_queue(**queue)
        yield made, made.edges["a1"]


async def asked(edge: Edge, caller: str = NUMBER) -> LegId:
    """Let a caller wait until they are asked."""
    leg = await edge.waiting(caller=caller)
    await until(lambda: edge.media.played[-1:] == ["callback"], "asked", within_s=8.0)
    await until(lambda: ("await", edge.call_of(leg), "7") in edge.recorder.said, "listening")
    return leg


@in_virtual_time
async def test_who_takes_the_offer_is_told_so_and_called_back_at_their_place() -> None:
    async with asking() as (made, a1):
        leg = await asked(a1)
        assert a1.state_of(leg) == "queued", "they wait while they are asked"
        before = a1.snapshot.tickets[a1.call_of(leg)]
        assert before.value.state is TicketState.QUEUED
        a1.recorder.pressed.set_result("7")
        await until(lambda: a1.media.played[-1] == "called_back", "told")
        assert a1.sip.open[leg].state is not S.ENDING, "they hear it to its end"
        await until(lambda: a1.sip.open[leg].state is S.ENDING, "goodbye", within_s=5.0)
        a1.sip.hang_up(leg)
        record = await made.record(a1, leg)
        assert (record.outcome, record.cause) == (Outcome.CALLBACK, "callback_taken")
        assert record.queued_ms is not None
        (place,) = await places(made)
        assert (place.place, place.was_sent_away) == (before.create_revision, True)
        assert place.has_heard_greeting
        await made.agent("ann")
        edge, theirs = await rung_back(made)
        ours = await joined(edge, theirs, "ann")
        edge.sip.hang_up(theirs)
        edge.sip.hang_up(ours)
        await until(lambda: bool(a1.snapshot.works), "they have talked")
        (back,) = await back_records(made)
        assert (back.outcome, back.callback_of) == (Outcome.ANSWERED, record.call)


@pytest.mark.parametrize("pressed", ["", "1"])
@in_virtual_time
async def test_who_does_not_press_waits_on_with_music_and_is_served(pressed: str) -> None:
    async with asking() as (made, a1):
        leg = await asked(a1)
        if pressed:
            a1.recorder.pressed.set_result(pressed)
        await until(lambda: a1.media.played[-1] == "music", "music", within_s=8.0)
        await asyncio.sleep(60.0)
        assert a1.media.played.count("callback") == 1, "asked once"
        assert a1.state_of(leg) == "queued"
        await made.agent("ann")
        ours = await a1.rung("ann")
        a1.sip.pick_up(ours)
        await a1.answer_ours(leg)
        a1.sip.hang_up(leg)
        a1.sip.hang_up(ours)
        assert (await made.record(a1, leg)).outcome is Outcome.ANSWERED
        assert not dialled(made)
        await made.nothing_is_left()


@in_virtual_time
async def test_a_caller_is_asked_again_at_the_next_step_that_says_so_and_at_no_other() -> None:
    steps = (
        Step(after_s=5.0, turn_away=TurnAway.CALLBACK),
        Step(after_s=20.0, raise_priority=1),
        Step(after_s=40.0, turn_away=TurnAway.CALLBACK),
    )
    limit = Limit(most=80.0, turn_away=TurnAway.REFUSE)
    async with asking(steps=steps, longest_wait_s=limit) as (made, a1):
        leg = await asked(a1)
        await asyncio.sleep(30.0)
        assert a1.media.played.count("callback") == 1
        await asyncio.sleep(20.0)
        assert a1.media.played.count("callback") == 2
        await until(lambda: a1.sip.open[leg].state is S.ENDING, "sent away", within_s=40.0)
        a1.sip.hang_up(leg)
        record = await made.record(a1, leg)
        assert (record.outcome, record.cause) == (Outcome.REFUSED, "waited_too_long")


@in_virtual_time
async def test_an_agent_who_becomes_free_while_they_are_asked_is_theirs() -> None:
    async with asking() as (made, a1):
        leg = await asked(a1)
        await made.agent("ann")
        ours = await a1.rung("ann")
        a1.recorder.pressed.set_result("7")
        await until(lambda: a1.media.played[-1] == "music", "music")
        a1.sip.pick_up(ours)
        await a1.answer_ours(leg)
        await asyncio.sleep(10.0)
        assert a1.state_of(leg) == "connected"
        a1.sip.hang_up(leg)
        a1.sip.hang_up(ours)
        assert (await made.record(a1, leg)).outcome is Outcome.ANSWERED
        assert "called_back" not in a1.media.played
        await made.nothing_is_left()


@in_virtual_time
async def test_who_pressed_as_an_agent_was_rung_in_vain_is_asked_again() -> None:
    async with asking() as (made, a1):
        leg = await asked(a1)
        await made.agent("ann")
        ours = await a1.rung("ann")
        a1.recorder.pressed.set_result("7")
        await until(lambda: a1.media.played[-1] == "music", "music")
        a1.sip.decline(ours, 486, "Busy Here")
        await until(lambda: a1.media.played.count("callback") == 2, "asked again")
        await until(lambda: a1.sip.open[leg].state is S.ENDING, "goodbye", within_s=9.0)
        a1.sip.hang_up(leg)
        assert (await made.record(a1, leg)).cause == "callback_taken"


@in_virtual_time
async def test_nobody_is_rung_for_one_who_hears_that_they_will_be_called_back() -> None:
    async with asking() as (made, a1):
        leg = await asked(a1)
        a1.recorder.pressed.set_result("7")
        await until(lambda: a1.media.played[-1] == "called_back", "told")
        await until(lambda: not list(waiting(a1)), "they are in no line")
        await made.agent("ann")
        await until(lambda: a1.sip.open[leg].state is S.ENDING, "goodbye", within_s=5.0)
        assert not a1.sip.rung("ann")
        a1.sip.hang_up(leg)
        await made.record(a1, leg)
        await rung_back(made)


def waiting(edge: Edge) -> list[str]:
    """Return the calls that are in the line."""
    tickets = edge.snapshot.tickets.values()
    return [each.value.call for each in tickets if each.value.state is TicketState.QUEUED]


@in_virtual_time
async def test_who_hangs_up_once_they_have_pressed_is_called_back() -> None:
    async with asking() as (made, a1):
        leg = await asked(a1)
        a1.recorder.pressed.set_result("7")
        await until(lambda: a1.media.played[-1] == "called_back", "told")
        a1.sip.hang_up(leg)
        record = await made.record(a1, leg)
        assert (record.outcome, record.cause) == (Outcome.CALLBACK, "callback_taken")
        assert len(await places(made)) == 1


@in_virtual_time
async def test_who_hangs_up_while_they_are_asked_has_given_up() -> None:
    async with asking() as (made, a1):
        leg = await asked(a1)
        a1.sip.hang_up(leg)
        assert (await made.record(a1, leg)).outcome is Outcome.ABANDONED
        await asyncio.sleep(20.0)
        assert not await places(made)
        await made.nothing_is_left()


@in_virtual_time
async def test_who_cannot_be_called_back_is_not_asked_and_waits_on() -> None:
    async with asking() as (made, a1):
        leg = await a1.waiting(caller="+33123456")
        await asyncio.sleep(30.0)
        assert a1.media.played == ["music"]
        assert a1.state_of(leg) == "queued"
        a1.sip.hang_up(leg)
        await made.nothing_is_left()


@pytest.mark.parametrize("lack", ["no recorder", "a silent prompt", "a prompt that is not there"])
@in_virtual_time
async def test_who_cannot_be_asked_is_sent_away_to_be_called_back_as_ever(lack: str) -> None:
    async with asking() as (made, a1):
        play = a1.media.play

        async def playing(call: str, file: Path, **how: Any) -> float:  # noqa: ANN401
            if file.stem != "callback" or lack == "no recorder":
                return await play(call, file, **how)
            if lack == "a silent prompt":
                return 0.0
            raise MediaRefused("play media", "no such file")

        a1.media.play = playing  # type: ignore[method-assign]
        a1.recorder.is_there = lack != "no recorder"
        leg = await a1.waiting(caller=NUMBER)
        await until(lambda: a1.sip.open[leg].state is S.ENDING, "sent away", within_s=8.0)
        a1.sip.hang_up(leg)
        record = await made.record(a1, leg)
        assert (record.outcome, record.cause) == (Outcome.CALLBACK, "waited_too_long")
        assert len(await places(made)) == 1


@in_virtual_time
async def test_who_hears_the_notice_as_the_edge_dies_is_called_back_by_its_next_life(
    tmp_path: Path,
) -> None:
    async with asking() as (made, a1):
        edge = await made.next_life(a1, tmp_path)
        leg = await asked(edge)
        edge.sip.acknowledge(leg)
        edge.recorder.pressed.set_result("7")
        await until(lambda: edge.media.played[-1] == "called_back", "told")
        call = edge.call_of(leg)
        await until(lambda: edge.snapshot.tickets[call].value.takes_callback, "written")
        again = await made.next_life(edge, tmp_path)
        await again.takeover().run()
        again.sip.hang_up(leg)
        await until(lambda: call not in again.snapshot.tickets, "it is over", within_s=10.0)
        record = (await made.records())[call]
        assert (record.outcome, record.cause) == (Outcome.CALLBACK, "callback_taken")
        (place,) = await places(made)
        assert (place.call, place.due_s) == (call, 0.0)
