"""Called back through a real Kamailio: who was sent away is dialled, and talks to the agent."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge.sip import events as sip
from state import keys
from state.codec import decode, encode
from state.model import CallBack, Limit, Outcome, Queue, QueueId, Trunk, TrunkId, TurnAway
from state.store import Put
from tests.integration.center import Center, eventually
from tests.integration.people import Telephone

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]

TEST = TrunkId("test")


async def call_back_through(center: Center, carrier: Telephone, *prefixes: str) -> None:
    """Let callers be sent away after a second, and be called back where `carrier` is."""
    trunk_key, queue_key = keys.trunk(TEST), keys.queue(QueueId("sales"))
    trunk = decode(Trunk, (await center.store.range(trunk_key)).records[0].value, trunk_key)
    queue = decode(Queue, (await center.store.range(queue_key)).records[0].value, queue_key)
    trunk = replace(trunk, sip=str(carrier.endpoint.local), dial_out=prefixes)
    queue = replace(
        queue,
        # No control plane is here that could look.
        call_back=CallBack(trunk=TEST, tries=1, ring_s=5.0, needs_clearance=False),
        longest_wait_s=Limit(most=1.0, turn_away=TurnAway.CALLBACK),
    )
    puts = (Put(key=trunk_key, value=encode(trunk)), Put(key=queue_key, value=encode(queue)))
    await center.store.txn((), puts)
    await center.serving()


async def test_who_was_sent_away_is_dialled_and_talks_to_an_agent(center: Center) -> None:
    caller = center.caller("4930777")
    await call_back_through(center, caller, "4930")
    lost = center.dial(caller)
    await lost.wait(sip.Answered)
    await lost.wait(sip.Ended)
    assert (await center.record(lost)).outcome is Outcome.CALLBACK

    ann = await center.agent("ann")
    theirs = await caller.rung()
    assert theirs.invite is not None
    assert "x-everline-dial" not in theirs.invite.headers
    assert not ann.incoming, "the agent is rung when the caller is there"
    await caller.answer(theirs)
    ours = await ann.rung()
    await ann.answer(ours)
    await center.connected()
    await caller.hang_up(theirs)

    async def is_told() -> bool:
        backs = [each for each in await center.records() if each.callback_of is not None]
        return [(each.outcome, each.agent) for each in backs] == [(Outcome.ANSWERED, "ann")]

    await eventually(is_told, "the record of the call that called them back")
    await center.nothing_is_left()
