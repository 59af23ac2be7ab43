"""Streams on loopback, many on one timer."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator

import pytest

from custody import g711
from edge.phone import tones
from edge.phone.rtp import RtpClock, RtpStream
from tests.media.servers import HOST, until

pytestmark = pytest.mark.parts


def payload_of(name: str) -> bytes:
    return g711.encode(tones.samples(tones.chord_for(name)), 0)


@pytest.fixture
async def streams() -> AsyncIterator[list[RtpStream]]:
    clock = RtpClock()
    made = [RtpStream(clock, HOST) for _ in range(20)]
    yield made
    for stream in made:
        stream.close()


async def test_twenty_streams_keep_time_and_hear_only_their_peer(streams: list[RtpStream]) -> None:
    for index, stream in enumerate(streams):
        peer = streams[index ^ 1]
        stream.send_to(peer.host, peer.port, payload_of(f"stream {index}"), 0)
    await asyncio.sleep(1)
    for index, stream in enumerate(streams):
        assert stream.sent == pytest.approx(50, abs=4)
        expected = str(tones.chord_for(f"stream {index ^ 1}"))
        assert list(stream.listener.sounds) == [expected]
        assert stream.lost == 0


async def test_a_process_that_stood_still_knows_when_it_sent_nothing(
    streams: list[RtpStream],
) -> None:
    one, two = streams[:2]
    one.send_to(two.host, two.port, payload_of("one"), 0)
    await until(lambda: two.received > 5, "packets")
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    time.sleep(0.15)  # noqa: ASYNC251 - as a busy machine does
    await until(lambda: any(to_s >= began_s + 0.15 for _, to_s in one.stalls), "the stall")
    from_s, to_s = max(one.stalls, key=lambda each: each[1] - each[0])
    assert from_s == pytest.approx(began_s, abs=0.06)
    assert to_s <= loop.time()


async def test_paused_stream_hears_but_does_not_send(streams: list[RtpStream]) -> None:
    one, two = streams[:2]
    one.send_to(two.host, two.port, payload_of("one"), 0)
    two.send_to(one.host, one.port, payload_of("two"), 0)
    await until(lambda: one.received > 5, "packets")
    one.pause()
    sent, received = one.sent, one.received
    await until(lambda: one.received > received + 5, "more packets")
    assert one.sent == sent


async def test_lost_packets_are_counted_over_the_turn_of_the_sequence(
    streams: list[RtpStream],
) -> None:
    stream = streams[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for sequence in (65_533, 65_534, 0, 2, 1, 4):  # 65,535 and 3 are missing
            header = struct.pack("!BBHII", 0x80, 0, sequence, 0, 99)
            sender.sendto(header + bytes(160), (stream.host, stream.port))
        await until(lambda: stream.received == 6, "six packets")
    assert stream.lost == 2


async def test_what_is_not_rtp_is_not_counted(streams: list[RtpStream]) -> None:
    stream = streams[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for rubbish in (b"", b"x", b"\x80" * 12, b"INVITE sip:x SIP/2.0\r\n\r\n"):
            sender.sendto(rubbish, (stream.host, stream.port))
        sender.sendto(struct.pack("!BBHII", 0x80, 0, 1, 0, 9) + bytes(160), (HOST, stream.port))
        await until(lambda: stream.received > 0, "the one packet")
    assert stream.received == 1


async def test_closed_stream_gives_its_port_back_and_keeps_its_counters() -> None:
    clock = RtpClock()
    stream = RtpStream(clock, HOST)
    stream.send_to(HOST, stream.port, payload_of("me"), 0)
    await until(lambda: stream.received > 2, "own packets")
    stream.close()
    stream.close()
    received = stream.received
    again = RtpStream(clock, HOST, port=stream.port)
    again.close()
    assert stream.received == received > 2
