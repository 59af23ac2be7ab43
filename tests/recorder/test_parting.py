"""A pause for what a caller keys: the agent hears silence in the place of one who keys tones."""

from __future__ import annotations

import asyncio

import pytest

from edge.recorder.folder import read_marks
from tests.recorder.test_keying import press
from tests.recorder.test_slow_disk import Stage, stage

__all__ = ["stage"]
KEYED = {"wish": 3, "pause_by": "agent", "keyed": True}


async def until_silenced(stage: Stage, states: list[bool]) -> None:
    async with asyncio.timeout(5):
        while stage.relay.silenced != states:  # noqa: ASYNC110 - another task
            await asyncio.sleep(0.01)


async def test_the_caller_is_silenced_for_as_long_as_the_pause_lasts(stage: Stage) -> None:
    assert not (await stage.record("c1"))["is_apart"]
    assert (await stage.record("c1", **KEYED))["is_apart"]
    assert (await stage.record("c1", **KEYED))["is_apart"], "asked twice it is the same"
    assert not (await stage.record("c1", wish=4))["is_apart"]
    assert stage.relay.silenced == [True, False]


async def test_a_pause_for_what_is_said_silences_nobody_and_opens_no_ears_either(
    stage: Stage,
) -> None:
    assert not (await stage.record("c1", wish=2, pause_by="agent"))["is_apart"]
    assert (await stage.record("c1", **KEYED))["is_apart"]
    assert (await stage.record("c1", wish=5, pause_by="supervisor"))["is_apart"]
    assert stage.relay.silenced == [True]


@pytest.mark.parametrize("what", [{"event_clocks": {101: 8000}}, {"opus_types": frozenset({96})}])
async def test_who_has_events_or_cannot_be_silenced_is_not(
    stage: Stage, what: dict[str, object]
) -> None:
    for name, value in what.items():
        setattr(stage.relay, name, value)
    paused = await stage.record("c1", **KEYED)
    assert (paused["is_paused"], paused["is_apart"]) == (True, False)
    assert stage.relay.silenced == []


async def test_by_telephone_an_agent_has_it_too(stage: Stage) -> None:
    await stage.record("c1")
    await press(stage, "agent", "*1")
    assert not (await stage.record("c1"))["is_apart"]
    await press(stage, "agent", "*3")
    await until_silenced(stage, [True])
    assert read_marks(stage.spool / "c1").for_keys, "a later life keeps to it"
    await press(stage, "agent", "*2")
    await until_silenced(stage, [True, False])
    assert not (await stage.record("c1"))["is_paused"]


async def test_a_relay_that_refuses_is_no_yes_and_is_asked_again(stage: Stage) -> None:
    stage.relay.refuses_to_silence = True
    paused = await stage.record("c1", **KEYED)
    assert (paused["is_paused"], paused["is_apart"]) == (True, False)
    stage.relay.refuses_to_silence = False
    await until_silenced(stage, [True])  # nobody has asked anew
    stage.relay.refuses_to_silence = True
    await stage.record("c1", wish=4)
    stage.relay.refuses_to_silence = False
    await until_silenced(stage, [True, False])


async def test_another_agent_hears_the_caller(stage: Stage) -> None:
    await stage.record("c1", **KEYED)
    await stage.record("c1", **KEYED, agent="")
    joined = await stage.record("c1", **KEYED, agent="ben", attempt=2)
    assert (joined["is_paused"], joined["is_apart"]) == (True, False)
    assert stage.relay.silenced == [True, False]


async def test_a_life_that_takes_up_a_pause_keeps_to_it_and_one_that_does_not_knows_nothing(
    stage: Stage,
) -> None:
    await stage.record("c1", **KEYED)
    await stage.until_kept("c1", **KEYED)
    sessions = stage.recorder._sessions  # noqa: SLF001 - as a crash would have it
    media = stage.recorder._of_media  # noqa: SLF001
    sessions.pop("c1").recording.abandon()
    media.clear()
    assert (await stage.record("c1", **KEYED))["is_apart"]
    await stage.until_kept("c1", wish=4)
    sessions.pop("c1").recording.abandon()
    media.clear()
    await stage.record("c1", wish=4)
    assert stage.relay.silenced == [True, True, False, False], "told anew by each life"
