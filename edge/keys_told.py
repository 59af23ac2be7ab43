"""Tells the site's recorder of keys that telephones say in SIP (INFO), in the order of pressing.

The relay tells it of all others itself. What an agent keys is meant for the recorder, so it is told
again to one that is away or does not know the call yet; but not once somebody has wished something
of the recording since: then that is the last word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from edge.media.plan import AGENT, Party
from edge.sip.keys import Key
from state.model import CallId

log = structlog.get_logger()

AGAIN_S: Final = 0.5
PATIENCE_S: Final = 20.0
"""So long an agent's key is told again. Later on they have keyed it anew, or asked otherwise."""
MOST: Final = 32
"""Keys of one call that wait to be told."""

Ask = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]
"""Asks the recorder. OSError, TimeoutError, ValueError: nobody could."""


class KeysTold:
    """Those of all calls of one edge."""

    def __init__(
        self,
        ask: Ask,
        *,
        records: Callable[[CallId], bool],
        wish: Callable[[CallId], object],
    ) -> None:
        """Begin. `records` tells whether a call is recorded, `wish` what was wished of it last."""
        self._ask = ask
        self._records = records
        self._wish = wish
        self._waiting: dict[CallId, list[asyncio.Task[None]]] = {}

    def tell(self, call: CallId, party: Party, key: Key, media: str) -> None:
        """Tell of a key, after those before it."""
        waiting = self._waiting.setdefault(call, [])
        if len(waiting) >= MOST:
            log.warning("key_not_told", call=call, party=party)
            return
        request = {
            "cmd": "key",
            "media": media,
            "party": party,
            "key": key.key,
            "s": key.duration_s,
        }
        before = waiting[-1] if waiting else None
        telling = asyncio.create_task(self._tell(call, request, before, self._wish(call)))
        waiting.append(telling)
        telling.add_done_callback(lambda done: self._told(call, done))

    def _told(self, call: CallId, telling: asyncio.Task[None]) -> None:
        waiting = self._waiting[call]
        waiting.remove(telling)
        if not waiting:
            del self._waiting[call]

    async def _tell(
        self,
        call: CallId,
        request: Mapping[str, object],
        before: asyncio.Task[None] | None,
        wish: object,
    ) -> None:
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + (PATIENCE_S if request["party"] == AGENT else 0.0)
        if before is not None:
            await asyncio.wait({before})
        while not await self._is_taken(request):
            is_stale = loop.time() >= ends_s or self._wish(call) != wish
            if is_stale or not self._records(call):
                log.warning("key_not_told", call=call, party=request["party"])
                return
            await asyncio.sleep(AGAIN_S)

    async def _is_taken(self, request: Mapping[str, object]) -> bool:
        try:
            return (await self._ask(request)).get("is_known") is not False
        except (OSError, TimeoutError, ValueError):
            return False
