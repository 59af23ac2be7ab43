"""Notices that the relay has died or forgotten its calls, which nobody tells us.

Asks after one call a second: a relay that was restarted knows none of the calls from before. Every
call that it has lost is told, so that both people are let go instead of hearing silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from edge.media.errors import MediaError
from edge.media.relay import Relay
from state.model import CallId

log = structlog.get_logger()

PERIOD_S = 1.0
MISSES = 3
"""So many unanswered questions in a row, and the relay is dead: a busy one may miss one."""


class MediaWatch:
    """Asks the relay; `calls` are those whose media it should have, the oldest first."""

    def __init__(
        self,
        *,
        relay: Relay,
        calls: Callable[[], Sequence[CallId]],
        on_lost: Callable[[CallId], None],
    ) -> None:
        self._relay = relay
        self._calls = calls
        self._on_lost = on_lost
        self._misses = 0

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            await self._look()

    async def _look(self) -> None:
        calls = self._calls()
        if not calls:
            self._misses = 0
            return
        try:
            is_there = await self._relay.has(calls[0])
            self._misses = 0
        except MediaError as error:
            self._misses += 1
            if self._misses == MISSES:
                log.error("relay_dead", calls=len(calls), error=str(error))  # noqa: TRY400 - one line
                for call in calls:
                    self._on_lost(call)
            return
        if not is_there:
            await self._look_at_all(calls)

    async def _look_at_all(self, calls: Sequence[CallId]) -> None:
        lost = 0
        for call in calls:
            try:
                if await self._relay.has(call):
                    continue
            except MediaError as error:
                log.warning("relay_not_asked", error=str(error))
                return
            if call in self._calls():
                # Else it ended while the relay was being asked.
                lost += 1
                self._on_lost(call)
        if lost:
            log.error("relay_forgot_calls", lost=lost, calls=len(calls))
