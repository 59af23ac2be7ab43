"""What an agent is offered is asked of the relay while they are being reserved."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge.acd import call_effects as fx
from edge.acd import call_events as ev
from edge.acd.call_events import Attempt, Side
from edge.calls.media import CallMedia
from edge.calls.played import Sounds
from edge.media.errors import MediaExhausted, MediaUnavailable
from edge.media.plan import AGENT, Party
from state.model import AgentId, CallId
from tests.edge.fake_telephony import AGENT_SDP, CALLER_SDP
from tests.edge.troubled import TroubledMedia
from tests.edge.virtual_time import in_virtual_time

FIRST = fx.PrepareAgent(attempt=Attempt(1), agent=AgentId("ann"))
SECOND = fx.PrepareAgent(attempt=Attempt(2), agent=AgentId("bob"))
PATIENCE_S, SOON_S = 3.0, 1.0
"""As long as an engine waits for a call that is taken, and for one that asks again."""
MOVED_SDP = CALLER_SDP.replace(b"192.0.2.", b"198.51.100.")


class CountingMedia(TroubledMedia):
    """A relay that counts what it is asked for agents."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []
        self.silent_for = 0
        """So many of these have no answer."""

    async def offer_to_agent(
        self, call: str, caller_sdp: bytes, *, agent: Party = AGENT, is_again: bool = False
    ) -> bytes:
        """Count it."""
        self.asked.append(caller_sdp)
        if self.silent_for:
            self.silent_for -= 1
            await asyncio.sleep(SOON_S if is_again else PATIENCE_S)
            raise MediaUnavailable("no answer")
        return await super().offer_to_agent(call, caller_sdp, agent=agent, is_again=is_again)


@pytest.fixture
def relay() -> CountingMedia:
    return CountingMedia()


@pytest.fixture
def media(relay: CountingMedia, tmp_path: Path) -> CallMedia:
    return CallMedia(relay, CallId("c1"), Sounds(music=tmp_path))


@in_virtual_time
async def test_an_agent_is_rung_with_what_was_asked_for_while_they_were_reserved(
    relay: CountingMedia, media: CallMedia
) -> None:
    relay.delay_s = 0.1
    opening = asyncio.create_task(media.carry_out(fx.OpenMedia(sdp=CALLER_SDP)))
    await asyncio.sleep(0)
    ahead = asyncio.create_task(media.look_ahead())
    await asyncio.gather(opening, ahead)
    clock = asyncio.get_running_loop().time
    began_s = clock()
    ready = await media.carry_out(FIRST)
    assert isinstance(ready, ev.AgentMediaReady)
    assert clock() == began_s
    assert relay.asked == [CALLER_SDP]


@in_virtual_time
async def test_the_next_agent_is_offered_what_nobody_was_given(
    relay: CountingMedia, media: CallMedia
) -> None:
    await media.carry_out(fx.OpenMedia(sdp=CALLER_SDP))
    await media.look_ahead()
    await media.look_ahead()
    assert isinstance(await media.carry_out(FIRST), ev.AgentMediaReady)
    assert len(relay.asked) == 1
    assert isinstance(await media.carry_out(SECOND), ev.AgentMediaReady)
    assert len(relay.asked) == 2


@in_virtual_time
async def test_a_caller_who_has_moved_meanwhile_is_offered_as_they_are_now(
    relay: CountingMedia, media: CallMedia
) -> None:
    await media.carry_out(fx.OpenMedia(sdp=CALLER_SDP))
    await media.look_ahead()
    await media.carry_out(fx.Renegotiate(side=Side.CALLER, sdp=MOVED_SDP))
    assert isinstance(await media.carry_out(FIRST), ev.AgentMediaReady)
    assert relay.asked == [CALLER_SDP, MOVED_SDP]


@in_virtual_time
async def test_a_caller_who_comes_back_to_the_queue_is_offered_anew(
    relay: CountingMedia, media: CallMedia
) -> None:
    await media.carry_out(fx.OpenMedia(sdp=CALLER_SDP))
    await media.carry_out(FIRST)
    await media.look_ahead()
    await media.carry_out(fx.JoinMedia(attempt=Attempt(1), sdp=AGENT_SDP))
    await media.look_ahead()
    await media.carry_out(fx.RequeueMedia())
    await media.carry_out(SECOND)
    assert len(relay.asked) == 3


@in_virtual_time
async def test_nothing_is_asked_of_a_call_that_is_not_there_yet_or_no_longer(
    relay: CountingMedia, media: CallMedia
) -> None:
    await media.look_ahead()
    await media.carry_out(fx.OpenMedia(sdp=CALLER_SDP))
    await media.carry_out(fx.CloseMedia())
    await media.look_ahead()
    assert relay.asked == []


@in_virtual_time
async def test_a_caller_whom_the_relay_would_not_have_is_not_offered(
    relay: CountingMedia, media: CallMedia
) -> None:
    relay.fails_with["hold_caller"] = MediaUnavailable("no answer")
    await media.carry_out(fx.OpenMedia(sdp=CALLER_SDP))
    await media.look_ahead()
    assert relay.asked == []


@in_virtual_time
async def test_a_relay_that_gave_no_answer_is_asked_again_when_there_is_an_agent(
    relay: CountingMedia, media: CallMedia
) -> None:
    await media.carry_out(fx.OpenMedia(sdp=CALLER_SDP))
    relay.fails_with["offer_to_agent"] = MediaUnavailable("no answer")
    await media.look_ahead()
    assert isinstance(await media.carry_out(FIRST), ev.AgentMediaReady)


@in_virtual_time
async def test_an_agent_who_has_waited_for_a_silent_relay_waits_no_second_time_as_long(
    relay: CountingMedia, media: CallMedia
) -> None:
    await media.carry_out(fx.OpenMedia(sdp=CALLER_SDP))
    relay.silent_for = 2
    clock = asyncio.get_running_loop().time
    began_s = clock()
    ahead = asyncio.create_task(media.look_ahead())
    await asyncio.sleep(0)
    assert await media.carry_out(FIRST) == ev.MediaLost()
    assert clock() - began_s == pytest.approx(PATIENCE_S + SOON_S)
    await ahead


@in_virtual_time
async def test_the_next_agent_is_asked_for_anew_with_all_patience(
    relay: CountingMedia, media: CallMedia
) -> None:
    """Nobody came of the first question: the relay may have been silent for that moment alone."""
    await media.carry_out(fx.OpenMedia(sdp=CALLER_SDP))
    relay.silent_for = 1
    await media.look_ahead()
    await media.look_ahead()
    assert isinstance(await media.carry_out(FIRST), ev.AgentMediaReady)
    assert len(relay.asked) == 2


@in_virtual_time
async def test_a_relay_that_has_let_go_of_the_call_is_not_asked_for_another_one(
    relay: CountingMedia, media: CallMedia
) -> None:
    await media.carry_out(fx.OpenMedia(sdp=CALLER_SDP))
    relay.fails_with["offer_to_agent"] = MediaExhausted("no ports")
    await media.look_ahead()
    assert not isinstance(await media.carry_out(FIRST), ev.AgentMediaReady)
    assert len(relay.asked) == 1
