"""Calls under a queue's rules of recording: what callers hear, what they agree to, what fails."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pytest
from msgspec.structs import replace

from edge.call_recorder import NoRecorder
from edge.calls.recording import CallRecording
from state import keys
from state.model import (
    Agent,
    AgentId,
    CallRecord,
    Outcome,
    Queue,
    QueueId,
    RecordingFailure,
    RecordingRules,
    TicketState,
)
from tests.acd.worlds import ticket
from tests.edge.one_edge import Edge
from tests.edge.stage import Center, center
from tests.edge.virtual_time import in_virtual_time, settle, until

ASKS = RecordingRules(announcement="announcement", consent="consent", key="1", wait_s=5.0)
SALES = QueueId("sales")


class LateRecorder(NoRecorder):
    """One that is there, and has not answered yet."""

    is_there: Final = True  # type: ignore[misc]


async def under(made: Center, rules: RecordingRules) -> Edge:
    """Publish the rules for the queue, and return its edge."""
    edge = made.edges["a1"]
    queue: Queue = edge.mirror.snapshot.queues[SALES].value
    await made.put(keys.queue(SALES), replace(queue, recording=rules))
    await until(
        lambda: edge.mirror.snapshot.queues[SALES].value.recording == rules, "the rules are seen"
    )
    played: list[str] = []
    play = edge.media.play

    async def noting(call: str, file: Path, **how: Any) -> float:  # noqa: ANN401
        played.append(file.stem)
        return await play(call, file, **how)

    edge.media.play = noting  # type: ignore[method-assign]
    edge.played = played  # type: ignore[attr-defined]
    return edge


async def record_of(made: Center) -> CallRecord:
    """Return the record of the one call that has been."""
    (record,) = (await made.records()).values()
    return record


def recorded(edge: Edge) -> list[tuple[str, ...]]:
    return [each for each in edge.recorder.said if each[0] == "record"]


async def over(made: Center, edge: Edge, theirs: Any, ours: Any) -> CallRecord:  # noqa: ANN401
    edge.sip.hang_up(theirs)
    edge.sip.hang_up(ours)
    await made.nothing_is_left()
    return await record_of(made)


@in_virtual_time
async def test_a_caller_hears_that_the_call_is_recorded_before_they_wait() -> None:
    async with center("ann") as made:
        edge = await under(made, RecordingRules(announcement="announcement"))
        theirs, ours = await edge.talking()
        assert edge.played[0] == "announcement"  # type: ignore[attr-defined]
        assert len(recorded(edge)) == 1
        assert (await over(made, edge, theirs, ours)).unrecorded == ""


@in_virtual_time
async def test_who_presses_the_key_is_recorded() -> None:
    async with center("ann") as made:
        edge = await under(made, ASKS)
        leg = await edge.waiting()
        await until(lambda: bool(edge.recorder.said), "asked")
        assert (edge.recorder.said[0][0], edge.recorder.said[0][2]) == ("await", "1")
        assert [each.value.state for each in edge.snapshot.tickets.values()] == [
            TicketState.GREETING
        ]
        edge.recorder.pressed.set_result("1")
        ours = await edge.rung("ann")
        assert edge.played[:2] == ["announcement", "consent"]  # type: ignore[attr-defined]
        edge.sip.pick_up(ours)
        await edge.answer_ours(leg)
        assert len(recorded(edge)) == 1
        assert (await over(made, edge, leg, ours)).unrecorded == ""


@pytest.mark.parametrize("pressed", ["", "2"])
@in_virtual_time
async def test_who_does_not_is_served_and_not_recorded_and_the_record_says_why(
    pressed: str,
) -> None:
    async with center("ann") as made:
        edge = await under(made, ASKS)
        if pressed:
            edge.recorder.pressed.set_result(pressed)
        theirs, ours = await edge.talking()
        assert recorded(edge) == []
        record = await over(made, edge, theirs, ours)
        assert (record.outcome, record.unrecorded) == (Outcome.ANSWERED, "no_consent")


@in_virtual_time
async def test_an_announcement_that_cannot_be_played_is_none() -> None:
    async with center("ann") as made:
        edge = await under(made, RecordingRules(announcement="announcement"))

        async def mute(*_: object, **__: object) -> float:
            return 0.0

        edge.media.play = mute  # type: ignore[method-assign]
        theirs, ours = await edge.talking()
        assert recorded(edge) == []
        assert (await over(made, edge, theirs, ours)).unrecorded == "not_announced"


@in_virtual_time
async def test_an_agent_whom_nobody_records_is_not() -> None:
    async with center("ann") as made:
        edge = await under(made, RecordingRules())
        ann: Agent = edge.mirror.snapshot.agents[AgentId("ann")].value
        await made.put(keys.agent(AgentId("ann")), replace(ann, recorded=False))
        await settle()
        theirs, ours = await edge.talking()
        assert recorded(edge) == []
        assert (await over(made, edge, theirs, ours)).unrecorded == "agent"


@in_virtual_time
async def test_a_call_that_cannot_be_recorded_goes_on_and_is_told_so() -> None:
    async with center("ann") as made:
        edge = await under(made, RecordingRules(apology="unrecorded"))
        edge.recorder.is_up = False
        theirs, ours = await edge.talking()
        await until(lambda: "unrecorded" in edge.played, "the caller is told")  # type: ignore[attr-defined]
        assert edge.recorder.said[-1][0] == "stop"
        # A recorder that comes now is late: the caller has been told that there is none.
        edge.recorder.is_up = True
        assert edge.state_of(theirs) == "connected"
        record = await over(made, edge, theirs, ours)
        assert (record.outcome, record.unrecorded) == (Outcome.ANSWERED, "no_recorder")


@in_virtual_time
async def test_a_recorder_that_comes_late_records_what_is_left() -> None:
    async with center("ann") as made:
        edge = await under(made, RecordingRules())
        edge.recorder.is_up = False
        theirs, ours = await edge.talking()
        await asyncio.sleep(5.0)
        assert edge.recorder.said[-1][0] == "record"
        edge.recorder.is_up = True
        assert (await over(made, edge, theirs, ours)).unrecorded == ""


@in_virtual_time
async def test_one_that_never_comes_is_why_there_is_no_recording() -> None:
    async with center("ann") as made:
        edge = await under(made, RecordingRules())
        edge.recorder.is_up = False
        theirs, ours = await edge.talking()
        await asyncio.sleep(5.0)
        assert (await over(made, edge, theirs, ours)).unrecorded == "no_recorder"


@pytest.mark.parametrize("because", ["no_key", "not_copied"])
@in_virtual_time
async def test_a_queue_that_would_rather_have_no_call_ends_it_and_says_why(because: str) -> None:
    async with center("ann") as made:
        edge = await under(made, RecordingRules(failure=RecordingFailure.END))
        theirs, ours = await edge.talking()
        (call,) = edge.snapshot.tickets
        edge.switchboard.recording_failed(call, because)
        record = await over(made, edge, theirs, ours)
        assert (record.cause, record.unrecorded) == ("cannot_be_recorded", because)


@pytest.mark.parametrize("failure", list(RecordingFailure))
@in_virtual_time
async def test_a_recorder_that_goes_away_later_ends_only_calls_that_must_be_recorded(
    failure: RecordingFailure,
) -> None:
    async with center("ann") as made:
        edge = await under(made, RecordingRules(failure=failure))
        theirs, ours = await edge.talking()
        (call,) = edge.snapshot.tickets
        edge.switchboard.recording_failed(call, "no_recorder")
        if failure is RecordingFailure.GO_ON:
            assert edge.state_of(theirs) == "connected"
            assert (await over(made, edge, theirs, ours)).unrecorded == ""
            return
        assert (await over(made, edge, theirs, ours)).cause == "cannot_be_recorded"


@pytest.mark.parametrize(
    ("recorder", "failure", "told"),
    [
        (NoRecorder(), RecordingFailure.GO_ON, []),
        (NoRecorder(), RecordingFailure.END, ["error"]),
        (LateRecorder(), RecordingFailure.GO_ON, ["info"]),
    ],
    ids=["a site without one", "whose call ends of it", "a site with one"],
)
def test_a_site_without_a_recorder_does_not_say_so_anew_with_each_call(
    recorder: NoRecorder, failure: RecordingFailure, told: list[str]
) -> None:
    rules = RecordingRules(failure=failure)
    call = CallRecording(recorder, ticket(1), rules, records=lambda _: True)
    call.join(AgentId("ann"), 1, held=False)
    with mock.patch("edge.calls.recording.log") as log:
        assert call.fail("no_recorder") is failure
    assert [name for name, _, _ in log.method_calls] == told
    assert call.unrecorded == "no_recorder"
