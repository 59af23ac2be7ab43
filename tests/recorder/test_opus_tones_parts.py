"""What an agent hears of a caller who keys tones in Opus: a real rtpengine, a real recorder."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from custody.frame import State
from edge.media.rtpengine import FOREVER, MediaEngine
from edge.media.sdp import audio
from edge.recorder import inband
from edge.recorder.marks import KEYED
from edge.recorder.opus import OpusSide
from tests.media.servers import HOST, PROMPTS
from tests.recorder.opus_phone import OPUS, Telephone
from tests.recorder.site import RecorderSite
from tests.recorder.test_recorder_parts import CALL, engine, server, site
from tests.recorder.test_tones_parts import Desk

__all__ = ["engine", "server", "site"]
pytestmark = pytest.mark.parts
DIGITS = 16
BEFORE, EACH = 60, 8
"""Blocks of 20 ms: before the first digit, and from one to the next."""
LAST = BEFORE + DIGITS * EACH
ENOUGH = LAST + 350
_LARGEST = 2048


class Phone:
    """Somebody who speaks Opus, has no telephone-event, and keeps what comes."""

    def __init__(self, telephone: Telephone) -> None:
        self.telephone = telephone
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.socket.settimeout(0)
        self.port = 0
        """Where it sends."""
        self.got: dict[int, bytes] = {}
        """G.711 of what came, by when: the blocks that have been sent by then."""
        self._heard = OpusSide()

    @property
    def sdp(self) -> bytes:
        """Describe it."""
        port = self.socket.getsockname()[1]
        lines = ("v=0", f"o=- 1 1 IN IP4 {HOST}", "s=-", f"c=IN IP4 {HOST}", "t=0 0")
        media = (f"m=audio {port} RTP/AVP {OPUS} 0", f"a=rtpmap:{OPUS} opus/48000/2")
        return "".join(f"{line}\r\n" for line in (*lines, *media, "a=ptime:20")).encode()

    def send(self, block: int) -> None:
        """Send 20 ms, and take in what has come."""
        self.socket.sendto(self.telephone.opus(block), (HOST, self.port))
        while True:
            try:
                packet = self.socket.recv(_LARGEST)
            except BlockingIOError:
                return
            if packet[1] & 0x7F == OPUS:
                law = self._heard.as_g711(packet, 12, len(packet))
                self.got[block] = self.got.get(block, b"") + (law or b"")[12:]

    def heard(self, first: int, last: int) -> bytes:
        """Return what came between two blocks."""
        return b"".join(sound for block, sound in self.got.items() if first <= block < last)


@pytest.fixture
def phones() -> Iterator[tuple[Phone, Phone]]:
    both = Phone(Telephone(hertz=440)), Phone(Telephone(hertz=1000, ssrc=8, stamp=77))
    yield both
    for each in both:
        each.socket.close()


async def test_of_tones_keyed_in_opus_the_agent_hears_no_more_than_of_those_in_g711(
    site: RecorderSite, engine: MediaEngine, phones: tuple[Phone, Phone]
) -> None:
    caller, agent = phones
    await engine.hold_caller(CALL, caller.sdp)
    await engine.play(CALL, PROMPTS / "music.wav", times=FOREVER)
    agent.port = audio(await engine.offer_to_agent(CALL, caller.sdp)).port
    caller.port = audio(await engine.join(CALL, agent.sdp)).port
    desk = Desk(site, engine, agent.sdp)
    await site.record(CALL, f"a1:{CALL}")
    await engine.hold_back(CALL)
    await engine.part(CALL, agent.sdp, on=False)
    try:
        await speak(caller, agent)
    finally:
        await desk.close()
    told = inband.digits(agent.heard(BEFORE - 5, LAST), 0).tolist()
    began = sum(now and not before for before, now in zip([False, *told], told, strict=False))
    assert (began, sum(told)) == (0, 0)
    assert agent.heard(0, BEFORE), "before it all of the caller"
    assert not agent.heard(BEFORE + EACH, LAST + 100), "and then nothing"
    assert agent.heard(LAST + 100, ENOUGH), "and the caller again"
    hears = len(caller.heard(BEFORE, LAST)) // 160
    assert hears >= DIGITS * EACH - 5, "the caller hears the agent all the while"
    await site.ask(cmd="stop", call=CALL)
    account = await site.kept(CALL)
    assert [pause.because for pause in account.pauses] == [KEYED]
    frames = await site.frames(account)
    states = b"".join(frame.states[0] for frame in frames)
    assert State.MASKED in states
    assert not inband.digits(b"".join(frame.left for frame in frames)[: len(states) * 160], 0).any()
    (segment, *_) = account.segments
    assert (segment.caller.lost, segment.caller.foreign) == (0, 0)


async def speak(caller: Phone, agent: Phone) -> None:
    """Let both speak, and the caller key, until the agent has heard the caller again."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for block in range(ENOUGH):
        keys = BEFORE <= block < LAST and (block - BEFORE) % EACH < EACH // 2
        caller.telephone.digit = (770, 1336) if keys else None
        caller.send(block)
        agent.send(block)
        await asyncio.sleep(max(0.0, began_s + (block + 1) * 0.02 - loop.time()))
