"""A caller who has waited is asked whether they want to be called back, and keys the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio
from msgspec.structs import replace

from drills.lab.lab import Lab
from drills.lab.plan import CALLS, Part, plan_lab
from edge.phone.rtp import RtpClock
from edge.phone.session import EVENT_TYPE
from edge.sip import events as sip
from state import keys
from state.codec import decode, encode
from state.model import CallBack, Limit, Outcome, Queue, QueueId, Trunk, TrunkId, TurnAway
from state.store import Put
from tests.integration.center import Center, eventually
from tests.integration.people import Leg, Telephone, until
from tests.integration.test_keyed_tones import Voice

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]
TEST = TrunkId("test")
WAIT_S = 3.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Lab]:
    """Serve with one site, its edge and its recorder, which hears what callers key."""
    parts = CALLS | {Part.RECORDER}
    async with Lab(plan_lab(sites=1, edges=1, parts=parts)) as lab:
        yield lab


async def asking_through(center: Center, carrier: Telephone) -> None:
    """Ask callers after a second, and call them back where `carrier` is."""
    trunk_key, queue_key = keys.trunk(TEST), keys.queue(QueueId("sales"))
    trunk = decode(Trunk, (await center.store.range(trunk_key)).records[0].value, trunk_key)
    queue = decode(Queue, (await center.store.range(queue_key)).records[0].value, queue_key)
    trunk = replace(trunk, sip=str(carrier.endpoint.local), dial_out=("4930",))
    back = CallBack(
        trunk=TEST,
        tries=1,
        ring_s=5.0,
        needs_clearance=False,
        offer="callback",
        key="1",
        wait_s=WAIT_S,
        notice="called_back",
    )
    limit = Limit(most=1.0, turn_away=TurnAway.CALLBACK)
    queue = replace(queue, call_back=back, longest_wait_s=limit)
    puts = (Put(key=trunk_key, value=encode(trunk)), Put(key=queue_key, value=encode(queue)))
    await center.store.txn((), puts)
    await center.serving()


@contextmanager
def speaking(caller: Telephone) -> Iterator[Voice]:
    """Let a caller have a telephone that speaks, and has telephone-event."""
    voice = Voice(RtpClock(), caller, has_events=True)
    try:
        yield voice
    finally:
        voice.stream.close()


async def waiting(center: Center, caller: Telephone, voice: Voice) -> Leg:
    """Let a caller wait, and hear something."""
    leg = center.dial(caller)
    answer = (await leg.wait(sip.Answered)).sdp
    assert answer is not None
    voice.talk_to(answer)
    await center.in_queue(1)
    return leg


async def test_who_presses_the_key_is_told_and_called_back(center: Center) -> None:
    caller = center.caller("4930777")
    await asking_through(center, caller)
    with speaking(caller) as voice:
        leg = await waiting(center, caller, voice)
        await asyncio.sleep(2.0)  # a second of waiting, and one of the question
        voice.stream.key("1", EVENT_TYPE)
        await until(lambda: not voice.stream.is_keying, "it is keyed")
        await leg.wait(sip.Ended)
        record = await center.record(leg)
        assert (record.outcome, record.cause) == (Outcome.CALLBACK, "callback_taken")
        assert record.queued_ms is not None
        assert record.ended_ms - record.queued_ms > 3000, "they have heard the notice"

        ann = await center.agent("ann")
        theirs = await caller.rung()
        await caller.answer(theirs)
        await ann.answer(await ann.rung())
        await center.connected()
        await caller.hang_up(theirs)

    async def is_told() -> bool:
        backs = [each for each in await center.records() if each.callback_of == record.call]
        return [(each.outcome, each.agent) for each in backs] == [(Outcome.ANSWERED, "ann")]

    await eventually(is_told, "the record of the call that called them back")
    await center.nothing_is_left()


async def test_who_presses_another_key_waits_on_and_is_served(center: Center) -> None:
    caller = center.caller("4930778")
    await asking_through(center, caller)
    with speaking(caller) as voice:
        leg = await waiting(center, caller, voice)
        await asyncio.sleep(2.0)
        voice.stream.key("2", EVENT_TYPE)
        # Over is the question, which lasts for less than five seconds, and the time for the key.
        await asyncio.sleep(5.0 + WAIT_S)
        await center.in_queue(1)
        assert not leg.is_over
        ann = await center.agent("ann")
        ours = await ann.rung()
        await ann.answer(ours)
        await center.connected()
        await caller.hang_up(leg)
        record = await center.record(leg)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, "ann")
        assert record.idle_s is not None
        assert record.wrap_up_s is not None
    await center.nothing_is_left()
