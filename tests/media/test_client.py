"""How the client of rtpengine asks: not more at a time than its socket holds, and not for ever."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.media import ng
from edge.media.errors import MediaUnavailable
from edge.media.rtpengine.client import AT_ONCE, NgClient
from edge.media.rtpengine.engine import MediaEngine
from tests.edge.fake_telephony import CALLER_SDP

pytestmark = pytest.mark.parts
HOST = "127.0.0.1"


class Slow(asyncio.DatagramProtocol):
    """An rtpengine that answers when told to, and knows how many commands it has before it."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, tuple[str, int]]] = []
        self.most = 0
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Keep it, to answer by."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Note a command; one that came before is a repetition."""
        cookie = data.split(b" ", 1)[0]
        if cookie not in {known for known, _ in self.asked}:
            self.asked.append((cookie, addr))
        self.most = max(self.most, len(self.asked))

    def answer(self) -> None:
        """Answer all there are."""
        assert self.transport is not None
        for cookie, address in self.asked:
            self.transport.sendto(cookie + b' {"result":"pong"}', address)
        self.asked.clear()


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Slow, local_addr=(HOST, 0))
    yield protocol
    transport.close()


@pytest.fixture
def timeout_s() -> float:
    """So long that it plays no part, on however busy a machine."""
    return 30.0


@pytest.fixture
async def client(slow: Slow, timeout_s: float) -> AsyncIterator[NgClient]:
    assert slow.transport is not None
    port = slow.transport.get_extra_info("sockname")[1]
    client = NgClient(HOST, port, timeout_s=timeout_s)
    await client.start()
    yield client
    client.close()


async def test_rtpengine_has_never_more_commands_before_it_than_its_socket_holds(
    slow: Slow, client: NgClient
) -> None:
    asking = [
        asyncio.create_task(client.ask(ng.Command(verb=ng.Verb.PING))) for _ in range(3 * AT_ONCE)
    ]
    while not all(each.done() for each in asking):
        await asyncio.sleep(0.01)
        slow.answer()
    assert [each.result().result for each in asking] == ["pong"] * len(asking)
    assert slow.most == AT_ONCE


async def test_the_next_command_goes_when_an_answer_is_read_and_not_when_who_asked_goes_on() -> (
    None
):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay:
        relay.bind((HOST, 0))
        relay.settimeout(0)
        client = NgClient(HOST, relay.getsockname()[1], timeout_s=30.0)
        await client.start()
        try:
            asking = [
                asyncio.create_task(client.ask(ng.Command(verb=ng.Verb.PING)))
                for _ in range(AT_ONCE + 1)
            ]
            await asyncio.sleep(0)
            (data, address), *_ = [relay.recvfrom(65535) for _ in range(AT_ONCE)]
            with pytest.raises(BlockingIOError):
                relay.recv(65535)
            relay.sendto(data.split(b" ", 1)[0] + b' {"result":"pong"}', address)
            await asyncio.sleep(0)  # the loop sees the answer
            await asyncio.sleep(0)  # and has read it
            assert not any(each.done() for each in asking)
            assert relay.recv(65535)
        finally:
            client.close()
            await asyncio.gather(*asking, return_exceptions=True)


@pytest.mark.parametrize("timeout_s", [0.2])
async def test_who_has_given_up_before_their_turn_is_not_asked_for(
    slow: Slow, client: NgClient
) -> None:
    first = [
        asyncio.create_task(client.ask(ng.Command(verb=ng.Verb.PING), within_s=30.0))
        for _ in range(AT_ONCE)
    ]
    await asyncio.sleep(0)
    with pytest.raises(MediaUnavailable, match=r"in 0\.2 s"):
        await client.ask(ng.Command(verb=ng.Verb.PING))
    while not all(each.done() for each in first):
        slow.answer()
        await asyncio.sleep(0.01)
    assert client.counts.sent - client.counts.repeated == AT_ONCE


@pytest.mark.parametrize("timeout_s", [0.5])
async def test_who_waits_for_their_turn_gives_up_too_when_rtpengine_answers_nothing(
    client: NgClient,
) -> None:
    asking = (client.ask(ng.Command(verb=ng.Verb.PING)) for _ in range(2 * AT_ONCE))
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(each, MediaUnavailable) for each in found)
    assert client.counts.timeouts == 2 * AT_ONCE


async def test_who_waits_for_their_turn_when_the_client_is_closed_is_told(
    client: NgClient,
) -> None:
    asking = [
        asyncio.create_task(client.ask(ng.Command(verb=ng.Verb.PING))) for _ in range(2 * AT_ONCE)
    ]
    await asyncio.sleep(0)
    client.close()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert all("closed" in str(each) for each in found)


async def test_a_call_that_is_taken_outlives_a_relay_that_is_silent_for_too_long_for_a_new_one(
    slow: Slow,
) -> None:
    assert slow.transport is not None
    port = slow.transport.get_extra_info("sockname")[1]
    engine = MediaEngine(owner="a1", host=HOST, port=port, timeout_s=0.2, patience_s=30.0)
    await engine.start()
    try:
        music = asyncio.create_task(engine.play("taken", Path("music.wav")))
        for new in (
            engine.hold_caller("new", CALLER_SDP, is_new=True),
            engine.offer_caller("late"),
            engine.offer_to_agent("taken", CALLER_SDP, is_again=True),
            engine.has("taken"),
        ):
            with pytest.raises(MediaUnavailable, match=r"in 0\.2 s"):
                await new
        assert not music.done()
        while not music.done():
            slow.answer()
            await asyncio.sleep(0.01)
        assert await music == 0.0
    finally:
        engine.close()
