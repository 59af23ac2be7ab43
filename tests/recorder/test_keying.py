"""Keys that an edge has heard of in SIP: an agent's codes, a caller's digits and answers."""

from __future__ import annotations

import asyncio

import pytest

from edge.errors import CommandError
from edge.recorder.folder import read_marks
from tests.recorder.test_slow_disk import Stage, stage

__all__ = ["stage"]


async def press(stage: Stage, party: str, keys: str) -> list[object]:
    """Press keys; return of which the recorder says that it knows the call."""
    said = [{"media": "a1:c1", "party": party, "key": key, "s": 0.1} for key in keys]
    return [(await stage.recorder.commands["key"](each))["is_known"] for each in said]


async def test_an_agent_pauses_and_resumes_by_info(stage: Stage) -> None:
    await stage.record("c1")
    await press(stage, "agent", "*1")
    assert (await stage.record("c1"))["is_paused"]
    assert read_marks(stage.spool / "c1").is_paused, "a later life keeps to it"
    await press(stage, "agent", "*2")
    assert not (await stage.record("c1"))["is_paused"]


async def test_a_key_of_a_call_that_it_does_not_know_is_said_to_be_one(stage: Stage) -> None:
    assert await press(stage, "agent", "*1") == [False, False]
    await stage.record("c1")
    assert not (await stage.record("c1"))["is_paused"]
    assert await press(stage, "agent", "*1") == [True, True]


async def test_the_same_keys_of_a_caller_pause_nothing_and_are_masked(stage: Stage) -> None:
    await stage.record("c1")
    await press(stage, "caller", "*1")
    assert not (await stage.record("c1"))["is_paused"]
    (session,) = stage.recorder._sessions.values()  # noqa: SLF001 - what will be masked is told nowhere
    caller, agent = session.recording.timeline.sides
    assert caller.keyed
    assert not agent.keyed


async def test_a_caller_answers_a_question_by_info(stage: Stage) -> None:
    asked = {"media": "a1:c1", "key": "1", "s": 5}
    answered = asyncio.ensure_future(stage.recorder.commands["await_key"](asked))
    await asyncio.sleep(0)
    await press(stage, "caller", "2")
    assert not answered.done()
    await press(stage, "caller", "1")
    async with asyncio.timeout(2):
        assert await answered == {"is_pressed": True}


@pytest.mark.parametrize("wrong", [{"party": "queue"}, {"key": 1}, {"s": "long"}, {"media": None}])
async def test_what_is_no_key_is_refused(stage: Stage, wrong: dict[str, object]) -> None:
    said = {"media": "a1:c1", "party": "caller", "key": "1", "s": 0.1, **wrong}
    with pytest.raises(CommandError):
        await stage.recorder.commands["key"](said)
