"""Once a consultation is over the relay has nothing of it, whatever its two still say."""

from __future__ import annotations

import asyncio

import pytest

from edge.acd.call_events import Side
from edge.calls.pair_media import PairMedia
from edge.media.errors import MediaError
from edge.media.plan import Party
from tests.edge.fake_telephony import AGENT_SDP, CALLER_SDP
from tests.edge.troubled import TroubledMedia
from tests.edge.virtual_time import in_virtual_time

HELD_SDP = CALLER_SDP.replace(b"sendrecv", b"sendonly")


class Remembering(TroubledMedia):
    """A relay that takes any call in with an offer, as rtpengine does."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[str] = set()

    async def relay_offer(self, call: str, sender: Party, receiver: Party, sdp: bytes) -> bytes:
        """Take it in."""
        told = await super().relay_offer(call, sender, receiver, sdp)
        self.known.add(call)
        return told

    async def release(self, call: str) -> None:
        """Let go of it."""
        await super().release(call)
        self.known.discard(call)


async def talking() -> tuple[Remembering, PairMedia]:
    relay = Remembering()
    pair = PairMedia(relay, "k~1")
    await pair.prepare(CALLER_SDP)
    await pair.join(AGENT_SDP)
    assert relay.known == {"k~1"}
    return relay, pair


@in_virtual_time
async def test_an_offer_that_is_put_back_when_the_two_have_hung_up_leaves_nothing_behind() -> None:
    relay, pair = await talking()
    relay.delay_s = 0.1
    holding = asyncio.create_task(pair.renegotiate(Side.CALLER, HELD_SDP))
    await asyncio.sleep(0)
    closing = asyncio.create_task(pair.close())
    await holding
    # Its answer meets a leg that is over.
    await pair.withdraw(Side.CALLER, CALLER_SDP)
    await closing
    assert not relay.known


@in_virtual_time
async def test_an_offer_that_comes_as_the_two_are_hung_up_is_not_taken_to_the_relay() -> None:
    relay, pair = await talking()
    await pair.close()
    with pytest.raises(MediaError):
        await pair.renegotiate(Side.AGENT, AGENT_SDP)
    await pair.settle(Side.CALLER, HELD_SDP)
    assert not relay.known
