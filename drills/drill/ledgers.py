"""Asks the sites' control planes for sums of calls, before anything is broken and when all is over.

Any of them tells of all sites: where one is down, or leaves something open, the next is asked. They
are asked with the word of whoever runs the drill, who has to have `ledger:read` and no more.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec

from drills.drill.onlooking import Ask
from drills.live_counts import PATH, SeenLedger, Told
from state.codec import UNREADABLE
from state.model import SiteId

LAST_TRIES: Final = 6
AGAIN_S: Final = 0.5
BEFORE: Final = dt.timedelta(minutes=10)
"""The last answer is asked for by the first one's revision. By edges' clocks it goes back so much
further: what one of them stamps is in it, though its clock were slow by as much."""
MAY_NOT: Final = "whoever ran the drill may not count calls"
_OK: Final = 200
_REFUSALS: Final = frozenset({401, 403})


class Ledgers:
    """What control planes tell of calls during one drill."""

    def __init__(self, apis: Mapping[SiteId, str], ask: Ask) -> None:
        self._apis = dict(sorted(apis.items()))
        self._ask = ask
        self._why_not: dict[str, str] = {}
        self._is_refused = False
        self.told = Told()

    async def begin(self) -> None:
        """Ask for the first time: what is on, and up to which revision."""
        site, first = await self._any("")
        self.told = Told(first=first, site=site, why_not=dict(self._why_not))

    async def end(self) -> None:
        """Ask for what has become of them; again, while none answers."""
        first = self.told.first
        if first is None:
            return
        since = (first.as_of - BEFORE).astimezone(dt.UTC).isoformat(timespec="milliseconds")
        query = f"?since={quote(since)}&after={first.revision}"
        site, last = await self._any(query)
        for _ in range(LAST_TRIES - 1):
            if last is not None or self._is_refused:
                break
            await asyncio.sleep(AGAIN_S)
            site, last = await self._any(query)
        self.told = Told(first=first, last=last, site=site, why_not=dict(self._why_not))

    async def _any(self, query: str) -> tuple[str, SeenLedger | None]:
        """Return the first answer that leaves nothing open, or else the first one."""
        found: tuple[str, SeenLedger | None] = ("", None)
        self._why_not.clear()
        for site, url in self._apis.items():
            told = await self._of_one(site, f"{url}{PATH}{query}")
            if told is not None and told.is_whole:
                return site, told
            if told is not None and found[1] is None:
                found = site, told
            if self._is_refused:
                break  # a refusal is in the audit log: who is refused does not ask on
        return found

    async def _of_one(self, site: SiteId, url: str) -> SeenLedger | None:
        try:
            answer = await self._ask(url)
            if answer.status == _OK:
                return msgspec.json.decode(answer.body, type=SeenLedger)
            self._is_refused = answer.status in _REFUSALS
            self._why_not[site] = MAY_NOT if self._is_refused else f"it answers {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError):
            self._why_not[site] = "it does not answer"
        except UNREADABLE:
            self._why_not[site] = "it answers what cannot be read"
        return None
