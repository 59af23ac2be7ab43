"""Looks at the calls and agents of sites that are up, second by second, through their desk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from drills.desk.answers import Agents
from drills.desk.asks import AgentsAsk, CallsAsk
from drills.desk.call_answers import CallRow, Calls
from drills.desk.client import Line
from drills.desk.errors import DeskError
from drills.live_books import Counted, Homes
from drills.live_recovery import Pulse
from state.model import CallId

EVERY_S: Final = 1.0
MOST: Final = 10_000
"""Records that are read, the newest: of more calls than come in a drill."""
LAST_LOOKS: Final = 6
AGAIN_S: Final = 0.5
"""A call may end between the desk's look at the records and that at who is on: it is looked for
once more."""


class Counting:
    """What a drill hears of calls and agents."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Line]]) -> None:
        self._connect = connect
        self._first: Calls | None = None
        self._last: Calls | None = None
        self._seen: dict[CallId, CallRow] = {}
        self._on: tuple[int, frozenset[CallId]] | None = None
        self.before: tuple[int, frozenset[CallId]] | None = None
        """Which calls the look before the last one found on, and when. None: there was none.

        Whoever has dialled one of them has heard by now under which name the sites know it."""
        self.homes = Homes()
        self.pulse = Pulse()

    @property
    def calls_seen(self) -> frozenset[CallId]:
        """Return the calls that any look found on."""
        return frozenset(self._seen)

    @property
    def counted(self) -> Counted | None:
        """Return what was heard of calls; None: the first or the last look brought nothing."""
        if self._first is None or self._last is None:
            return None
        return Counted(first=self._first, seen=dict(self._seen), last=self._last)

    async def begin(self) -> None:
        """Look for the first time: with all records."""
        self._first = await self._all()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.to_thread(self._look)
            await asyncio.sleep(EVERY_S)

    async def end(self) -> None:
        """Look for the last time, and for calls that have just ended a little longer."""
        for number in range(LAST_LOOKS):
            if number:
                await asyncio.sleep(AGAIN_S)
            self._last = await self._all()
            counted = self.counted
            if self._first is None or (counted is not None and not counted.without_account()):
                break

    async def _all(self) -> Calls | None:
        def talk() -> Calls | None:
            with contextlib.suppress(DeskError, OSError), self._connect() as line:
                found = line.ask(CallsAsk(last=MOST), Calls)
                self._take(found)
                return found
            return None

        return await asyncio.to_thread(talk)

    def _look(self) -> None:
        with contextlib.suppress(DeskError, OSError), self._connect() as line:
            self._take(line.ask(CallsAsk(last=MOST, is_live=True), Calls))
            agents = line.ask(AgentsAsk(), Agents)
            self.homes.look(agents.now_ms, agents.agents)
            self.pulse.look(agents.now_ms, agents.revision, agents.agents)

    def _take(self, calls: Calls) -> None:
        on = {each.call: each for each in calls.calls if each.state is not None}
        self._seen |= on
        self.before, self._on = self._on, (calls.now_ms, frozenset(on))
