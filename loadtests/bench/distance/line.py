"""Lines with a delay: `python -m loadtests.bench.distance.line LISTEN=TARGET...`, on loopback.

Carries TCP from each LISTEN to its TARGET (both `host:port`); every byte arrives so much later as
the last line of standard input says, in milliseconds, each way. Prints `ready` once it listens.
This kernel has no netem; what a packet takes is all that is simulated: no loss, no bandwidth.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable

_CHUNK = 65536


class Delay:
    """How long everything takes, each way."""

    def __init__(self) -> None:
        self.s = 0.0


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Delay) -> None:
    """Carry one direction until it ends; what is under way still arrives."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    delivering = asyncio.create_task(_deliver(under_way, writer))
    try:
        while data := await reader.read(_CHUNK):
            under_way.put_nowait((loop.time() + delay.s, data))
    except OSError:
        pass  # the other end has gone: so does this one
    finally:
        under_way.put_nowait((loop.time() + delay.s, b""))
        await delivering


async def _deliver(
    under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while True:
            due_s, data = await under_way.get()
            await asyncio.sleep(due_s - loop.time())
            if not data:
                break
            writer.write(data)
            await writer.drain()
    writer.close()


def line_to(
    host: str, port: int, delay: Delay
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return what takes a connection, and puts it through to `host:port`."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        async with asyncio.TaskGroup() as both:
            both.create_task(carry(reader, back, delay))
            both.create_task(carry(there, writer, delay))

    return take


async def main(argv: list[str]) -> None:
    """Listen everywhere; take the delay from standard input until it ends."""
    delay = Delay()
    for each in argv:
        listen, _, target = each.partition("=")
        host, _, port = listen.rpartition(":")
        to_host, _, to_port = target.rpartition(":")
        await asyncio.start_server(line_to(to_host, int(to_port), delay), host, int(port))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while order := await orders.readline():
        delay.s = float(order) / 1000.0


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
