"""Somebody who listens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.control_plane.center import Person


@dataclass
class Ear:
    """One stream, and all that it has told."""

    socket: aiohttp.ClientWebSocketResponse
    heard: list[dict[str, Any]] = field(default_factory=list)
    bytes_heard: bytes = b""

    async def message(self, timeout_s: float = 15.0) -> dict[str, Any]:
        """Return the next message that is no heartbeat."""
        while True:
            got = await self.socket.receive(timeout_s)
            assert got.type is aiohttp.WSMsgType.TEXT, (got.type, self.socket.close_code)
            self.bytes_heard += got.data.encode()
            said: dict[str, Any] = json.loads(got.data)
            self.heard.append(said)
            if said["type"] != "heartbeat":
                return said

    async def event(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next event for which `is_it`."""
        while True:
            for each in (await self.message()).get("events", ()):
                if is_it(each):
                    found: dict[str, Any] = each
                    return found

    async def up_to_heartbeat(self) -> list[dict[str, Any]]:
        """Return the events that come before the next heartbeat."""
        found: list[dict[str, Any]] = []
        while True:
            got = await self.socket.receive(15.0)
            assert got.type is aiohttp.WSMsgType.TEXT, (got.type, self.socket.close_code)
            said: dict[str, Any] = json.loads(got.data)
            if said["type"] == "heartbeat":
                return found
            found += said.get("events", ())

    async def of(self, topic: str, identifier: str = "") -> dict[str, Any]:
        """Return the next event of a topic."""
        return await self.event(
            lambda each: each["topic"] == topic and identifier in ("", each["id"])
        )

    def leave(self) -> None:
        """Be gone, without goodbye."""
        connection = self.socket._response.connection  # noqa: SLF001 - nothing public does it
        if connection is not None and connection.transport is not None:
            connection.transport.abort()

    def stop_reading(self) -> None:
        """Take nothing any more, as a client that hangs."""
        connection = self.socket._response.connection  # noqa: SLF001 - nothing public stops it
        assert connection is not None
        assert connection.protocol is not None
        connection.protocol.pause_reading()

    async def closed(self, timeout_s: float = 20.0) -> int:
        """Wait until the stream is closed, and return the code."""
        async with asyncio.timeout(timeout_s):
            while (got := await self.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                self.bytes_heard += got.data.encode()
        return self.socket.close_code or 0

    @property
    def cursor(self) -> int:
        """Return how far it has heard."""
        return max(int(each["revision"]) for each in self.heard)


@asynccontextmanager
async def listening(person: Person, query: str = "", **headers: str) -> AsyncIterator[Ear]:
    """Listen while entered; the greeting has been heard."""
    sent = {"Authorization": f"Bearer {person.token}", **headers}
    url = f"http://center/v1/events{query}"
    async with person.center.client.ws_connect(url, headers=sent, autoping=True) as socket:
        ear = Ear(socket)
        assert (await ear.message())["type"] == "hello"
        yield ear
