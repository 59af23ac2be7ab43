"""A recorder that a test looks into, and whose callers key what the test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from edge.media.plan import Party
from edge.sip.keys import Key
from state.model import (
    AgentId,
    CallId,
    QueueId,
)


class FakeRecorder:
    """What an edge has said to its recorder."""

    def __init__(self) -> None:
        self.said: list[tuple[str, ...]] = []
        self._held: set[CallId] = set()
        self.is_there = True
        self.is_up = True
        self.pressed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._keying: frozenset[CallId] = frozenset()
        self._version = 1
        self._news = asyncio.Event()

    def record(self, call: CallId, queue: QueueId, agent: AgentId, attempt: int) -> None:
        """Note it."""
        self.said.append(("record", call, queue, agent, str(attempt)))

    def hold(self, call: CallId, *, on: bool) -> None:
        """Note it, if it is news."""
        if on is not (call in self._held):
            self._held ^= {call}
            self.said.append(("hold" if on else "resume", call))

    def leave(self, call: CallId) -> None:
        """Note it."""
        self._held.discard(call)
        self.said.append(("leave", call))

    def stop(self, call: CallId) -> None:
        """Note it."""
        self.said.append(("stop", call))

    def confirms(self, call: CallId) -> bool:
        """Say that all is well, unless the test wants otherwise."""
        return self.is_up and any(each[:2] == ("record", call) for each in self.said)

    def key(self, call: CallId, party: Party, key: Key) -> None:
        """Note it."""
        self.said.append(("key", call, party, key.key))

    def hears_tones(self, *calls: CallId) -> None:
        """Let these callers key tones, and nobody else."""
        self._keying, self._version = frozenset(calls), self._version + 1
        self._wake()

    def go(self, *, away: bool) -> None:
        """Let it be away, or come back."""
        self.is_up = not away
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def keyed_tones(self, seen: int, within_s: float) -> Mapping[str, object]:
        """Say whose callers key tones, once that is news."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.is_up and seen == self._version:
                    await self._news.wait()
        if not self.is_up:
            raise ConnectionError("the recorder has gone")
        return {"seen": self._version, "calls": sorted(self._keying)}

    async def await_key(self, call: CallId, key: str, within_s: float) -> bool:
        """Let the caller press what the test wants, when it wants."""
        self.said.append(("await", call, key))
        try:
            async with asyncio.timeout(within_s):
                return await self.pressed == key
        except TimeoutError:
            return False
