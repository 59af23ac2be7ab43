"""The evapi connection to the site's Kamailio, kept up for ever.

Owns the TCP connection and its heartbeat. That the connection ends is how an edge learns that
Kamailio has died; that it is back, that the new one has to be told everything.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import msgspec
import structlog

from edge.proxy.events import (
    Connected,
    Disconnected,
    Event,
    Listening,
    NetstringError,
    decode,
    netstring,
    split,
)

log = structlog.get_logger()

HEARTBEAT_S = 1.0
"""Kamailio sends nothing to a client that has been quiet for 5 s: its writes would block."""
SILENCE_S = 3.0
"""It answers each heartbeat: without an answer for so long, it is frozen."""
CONNECT_S = 1.0
"""One that stands still takes no connection once its backlog is full, and the kernel tries again
ever more seldom: after 40 s of that the way was back 7.3 s later, and with this limit 1.1 s."""
RETRY_S = 0.2


class EventStream:
    """Calls `on_event` with what Kamailio says, from `run`."""

    def __init__(
        self, *, address: tuple[str, int], name: str, on_event: Callable[[Event], None]
    ) -> None:
        self._host, self._port = address
        self._hello = {"do": "listen", "name": name}
        self._on_event = on_event
        self._writer: asyncio.StreamWriter | None = None
        self._is_heard = False

    @property
    def is_connected(self) -> bool:
        """Whether Kamailio listens to us, and we to it."""
        return self._is_heard

    def say(self, message: Mapping[str, object]) -> None:
        """Send a message, or lose it: whoever needs it to arrive looks whether it did."""
        if self._writer is not None:
            self._writer.write(netstring(msgspec.json.encode(message)))

    async def run(self) -> None:
        """Connect, listen, connect again, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(CONNECT_S):
                    reader, self._writer = await asyncio.open_connection(self._host, self._port)
            except OSError:
                await asyncio.sleep(RETRY_S)
                continue
            beat = asyncio.create_task(self._beat())
            try:
                await self._listen(reader)
            except (OSError, TimeoutError, NetstringError) as error:
                log.warning("proxy_stream_broken", error=repr(error))
            finally:
                beat.cancel()
                await self._hang_up(self._writer)
            await asyncio.sleep(RETRY_S)

    async def _hang_up(self, writer: asyncio.StreamWriter) -> None:
        was_heard, self._is_heard, self._writer = self._is_heard, False, None
        if was_heard:
            log.warning("proxy_gone", address=f"{self._host}:{self._port}")
            self._on_event(Disconnected())
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        buffer = bytearray()
        while True:
            async with asyncio.timeout(SILENCE_S):
                data = await reader.read(65536)
            if not data:
                return
            buffer += data
            for frame in split(buffer):
                event = decode(frame)
                if isinstance(event, Listening):
                    self._is_heard_now()
                elif event is not None:
                    self._on_event(event)

    def _is_heard_now(self) -> None:
        if not self._is_heard:
            self._is_heard = True
            self._on_event(Connected())

    async def _beat(self) -> None:
        while True:
            self.say(self._hello)
            await asyncio.sleep(HEARTBEAT_S)
