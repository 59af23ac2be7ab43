"""Holds changes back until it is known how the calls ended that they end; and keeps their order.

A ticket that is deleted says no more than that; how the call ended stands in the ledger, written in
the same transaction. The readings of many changes go on at once, and what ends no call, while
nothing is held back, is told at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from control_plane.live.follower import Follower
from control_plane.live.look import CallFacts
from state.keys import Kind
from state.model import CallId
from state.snapshot import Delta, Snapshot

READ_S: Final = 1.0
"""A reading that takes longer is given up: the call is told as gone, and no more of it."""
Ended: TypeAlias = Mapping[str, CallFacts]
Tell = Callable[[Snapshot, tuple[Delta, ...], Ended], None]


class _Held(Struct, frozen=True, kw_only=True):
    """A change, and the reading that it waits for."""

    snapshot: Snapshot
    deltas: tuple[Delta, ...]
    reading: asyncio.Task[Ended] | None


class Endings:
    """Gives changes on, each with how its calls ended."""

    def __init__(self, follower: Follower, tell: Tell) -> None:
        self._follower = follower
        self._tell = tell
        self._held: deque[_Held] = deque()
        self._has_held = asyncio.Event()

    def take(self, snapshot: Snapshot, deltas: tuple[Delta, ...]) -> None:
        """Give a change on, now or later."""
        over = tuple(_over(deltas))
        if not over and not self._held:
            self._tell(snapshot, deltas, {})
            return
        reading = asyncio.create_task(self._read(over)) if over else None
        self._held.append(_Held(snapshot=snapshot, deltas=deltas, reading=reading))
        self._has_held.set()

    def forget(self) -> None:
        """Give nothing on that is held back: it is not true any more."""
        for each in self._held:
            if each.reading is not None:
                each.reading.cancel()
        self._held.clear()

    async def run(self) -> None:
        """Give on what is held back, in order, until cancelled."""
        try:
            while True:
                await self._has_held.wait()
                self._has_held.clear()
                while self._held:
                    await self._give_on(self._held[0])
        finally:
            self.forget()

    async def _give_on(self, held: _Held) -> None:
        if held.reading is not None:
            await asyncio.wait((held.reading,))
        if self._held and self._held[0] is held:
            self._held.popleft()
            self._tell(held.snapshot, held.deltas, held.reading.result() if held.reading else {})

    async def _read(self, calls: Iterable[CallId]) -> Ended:
        async def ended(call: CallId) -> CallFacts | None:
            try:
                async with asyncio.timeout(READ_S):
                    return await self._follower.ended(call)
            except TimeoutError:
                return None

        found = await asyncio.gather(*map(ended, calls))
        return {each.id: each for each in found if each is not None}


def _over(deltas: Iterable[Delta]) -> Iterable[CallId]:
    for delta in deltas:
        if delta.kind is Kind.TICKET and delta.before is not None and delta.after is None:
            yield CallId(delta.id)
