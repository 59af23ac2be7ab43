"""Real recordings: paused, held, gone on with after a kill; and what fails, fails closed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from msgspec.structs import replace

from custody.manifest import Manifest
from drills.lab import recorders
from drills.lab.lab import Lab
from drills.lab.plan import CALLS, Part, plan_lab
from edge.sip import events as sip
from state import keys
from state.codec import decode, encode
from state.model import (
    CallId,
    Outcome,
    Queue,
    QueueId,
    RecordingFailure,
    RecordingRules,
    RecordingState,
    RecordingStatus,
    RecordingWish,
    SiteId,
)
from state.store import Put
from tests.integration.center import Center, eventually
from tests.integration.people import sdp, until

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]
A = SiteId("a")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Lab]:
    """Serve with one site and its recorder."""
    async with Lab(plan_lab(sites=1, parts=CALLS | {Part.RECORDER})) as lab:
        yield lab


async def wish(center: Center, call: CallId, *, pause: bool) -> int:
    """Ask for it as a control plane does; return the revision."""
    value = encode(RecordingWish(call=call, pause=pause, by="agent"))
    key = keys.recording_wish(call)
    return (await center.store.txn((), (Put(key=key, value=value),))).revision


async def answered(center: Center, call: CallId, wish: int, state: RecordingState) -> None:
    """Wait until the edge says that its recorder has carried the wish out."""

    async def is_so() -> bool:
        found = (await center.store.range(keys.recording(call))).records
        if not found:
            return False
        status = decode(RecordingStatus, found[0].value, found[0].key)
        return (status.wish, status.state) == (wish, state)

    await eventually(is_so, f"{state} is confirmed", within_s=15)


async def kept(center: Center, call: CallId) -> Manifest:
    """Wait until the site's store has the recording whole."""
    library = center.lab.library(A, keys_of=A)
    found: list[Manifest] = []

    async def is_there() -> bool:
        try:
            found[:] = [await library.manifest("main", call)]
        except FileNotFoundError:
            return False
        return True

    await eventually(is_there, f"the recording of {call}", within_s=15)
    assert await library.verify("main", call) == []
    return found[0]


async def test_a_pause_is_confirmed_outlives_the_recorder_and_is_in_the_manifest_with_the_hold(
    center: Center,
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs, ours = await center.talking(caller, ann)
    (call,) = await center.tickets()
    paused = await wish(center, call, pause=True)
    await answered(center, call, paused, RecordingState.PAUSED)
    name = recorders.process_name(A)
    lives = center.lab.supervisor.starts(name)
    center.lab.supervisor.kill(name)
    await until(lambda: center.lab.supervisor.starts(name) > lives, "the recorder is back")
    resumed = await wish(center, call, pause=False)
    await answered(center, call, resumed, RecordingState.RECORDING)
    for direction in ("sendonly", "sendrecv"):
        before = sum(isinstance(event, sip.OfferAnswered) for event in ours.events)
        ann.do("reinvite", ours, sdp(ann.endpoint.local.host, direction=direction))
        await until(
            lambda before=before: (  # type: ignore[misc]
                sum(isinstance(event, sip.OfferAnswered) for event in ours.events) > before
            ),
            f"an answer to {direction}",
        )
    await caller.hang_up(theirs)
    record = await center.record(theirs)
    assert (record.outcome, record.unrecorded, record.holds) == (Outcome.ANSWERED, "", 1)
    account = await kept(center, call)
    (pause,), (hold,), (part,) = account.pauses, account.holds, account.parts
    assert (pause.because, part.agent) == ("agent", "ann")
    # In whole blocks, so that a pause reaches a little beyond what was asked: into the hold, too.
    assert pause.start < pause.end
    assert pause.start < hold.start < hold.end
    assert part.start < pause.end
    assert hold.start < part.end
    await center.nothing_is_left()


def is_told_unrecorded(center: Center, call: CallId) -> bool:
    """Tell whether an edge's log says that a call is not recorded."""
    logs = (center.lab.paths.run / "log").glob("edge-*.log")
    lines = (line for log in logs for line in log.read_text().splitlines())
    return any(call in line and "call_unrecorded" in line for line in lines)


@pytest.mark.parametrize("failure", list(RecordingFailure))
async def test_without_a_key_the_queue_says_what_becomes_of_the_call_and_the_record_why(
    center: Center, failure: RecordingFailure
) -> None:
    key = keys.queue(QueueId("sales"))
    queue = decode(Queue, (await center.store.range(key)).records[0].value, key)
    rules = RecordingRules(failure=failure, apology="unrecorded")
    value = encode(replace(queue, recording=rules))
    await center.store.txn((), (Put(key=key, value=value),))
    await center.serving()
    ring = recorders.keyring_of(center.lab.paths.of(A))
    away = ring.with_name("keys-away")
    ring.rename(away)
    try:
        ann, caller = await center.agent("ann"), center.caller()
        theirs = center.dial(caller)
        ours = await ann.rung()
        await ann.answer(ours)
        if failure is RecordingFailure.END:
            for leg in (theirs, ours):
                assert "cannot_be_recorded" in (await leg.wait(sip.Ended)).reason
        else:
            await center.connected()
            (call,) = await center.tickets()
            await until(lambda: is_told_unrecorded(center, call), "the edge knows that it cannot")
            await caller.hang_up(theirs)
        record = await center.record(theirs)
    finally:
        away.rename(ring)
    ends = failure is RecordingFailure.END
    assert record.unrecorded == "no_key"
    assert (record.cause == "cannot_be_recorded") is ends
    assert record.outcome is (Outcome.LOST if ends else Outcome.ANSWERED)
    await center.nothing_is_left()
