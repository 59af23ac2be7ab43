"""Lines between sites that take their time."""

from __future__ import annotations

import asyncio

import pytest

from loadtests.bench.distance.line import Delay, line_to

pytestmark = pytest.mark.parts


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say everything louder, until it ends."""
    while data := await reader.read(100):
        writer.write(data.upper())
    writer.close()


async def test_line_carries_both_ways_no_sooner_than_its_delay_and_ends_with_its_ends() -> None:
    delay = Delay()
    there = await asyncio.start_server(shout, "127.0.0.1", 0)
    host, port = there.sockets[0].getsockname()
    line = await asyncio.start_server(line_to(host, port, delay), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*line.sockets[0].getsockname())
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        for wanted_s in (0.0, 0.05):
            delay.s = wanted_s
            began_s = loop.time()
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"HELLO"
            assert loop.time() - began_s >= 2 * wanted_s
        writer.write_eof()
        assert await reader.read() == b""
    writer.close()
    line.close()
    there.close()


async def test_line_to_nowhere_hangs_up() -> None:
    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    server.close()
    await server.wait_closed()
    line = await asyncio.start_server(line_to(host, port, Delay()), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*line.sockets[0].getsockname())
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    line.close()
