"""The stream of events goes on whatever Kamailio does, or does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import Mock

import pytest

from edge.proxy import stream
from edge.proxy.events import Connected, Event, Unregistered, netstring
from edge.proxy.stream import EventStream
from state.model import AgentId

PATIENCE_S = 5.0
LISTENING = netstring(b'{"event": "listening"}')
EXPIRED = netstring(b'{"event": "expired", "agent": "alice", "expires": 0}')


class Kamailio:
    """Takes connections, but for the first so many, and says the same to each."""

    def __init__(self, *frames: bytes, deaf: int = 0) -> None:
        self._frames = frames
        self._deaf = deaf

    async def connect(self, _host: str, _port: int) -> tuple[asyncio.StreamReader, Mock]:
        """Stand for asyncio.open_connection."""
        self._deaf -= 1
        if self._deaf >= 0:
            await asyncio.Event().wait()
        reader = asyncio.StreamReader()
        reader.feed_data(b"".join((LISTENING, *self._frames)))
        return reader, Mock(spec=asyncio.StreamWriter)


@asynccontextmanager
async def listening(
    kamailio: Kamailio, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[asyncio.Queue[Event]]:
    events: asyncio.Queue[Event] = asyncio.Queue()
    listens = EventStream(address=("127.0.0.1", 1), name="a1", on_event=events.put_nowait)
    monkeypatch.setattr(asyncio, "open_connection", kamailio.connect)
    task = asyncio.create_task(listens.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield events
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    "frame",
    [b'{"event": "expired", "agent": "\xff"}', b'{"x": ' + b"[" * 100_000, b"", b"{", b"null"],
)
async def test_what_cannot_be_read_is_passed_over(
    frame: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(Kamailio(netstring(frame), EXPIRED), monkeypatch) as events:
        assert await events.get() == Connected()
        assert await events.get() == Unregistered(agent=AgentId("alice"), expired=True)


async def test_a_kamailio_that_does_not_even_take_the_connection_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that stood still has a full backlog: the kernel's own next try may be far away."""
    monkeypatch.setattr(stream, "CONNECT_S", 0.05, raising=False)
    async with listening(Kamailio(deaf=1), monkeypatch) as events:
        assert await events.get() == Connected()
