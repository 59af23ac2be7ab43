"""Reads of control planes what they have recorded of a drill's calls, beside the shared state.

By the word of whoever runs the drill, who may not be let see calls: `call:read` is no right of who
runs the machinery.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from typing import Final, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from drills.drill.onlooking import Ask
from drills.onlookers import Recorded, SeenCall, SeenCalls
from state.codec import UNREADABLE
from state.model import CallId, SiteId

T = TypeVar("T")
CALLS: Final = "/v1/calls"
PAGE: Final = 200
LONG_BEFORE_MS: Final = 600_000
"""Calls that came so long before the others are read one by one: who talks for an hour is no reason
to read an hour's calls."""
MOST_BY_ID: Final = 50
"""So many are, of each control plane: who asks too fast is turned away."""
MAY_NOT: Final = "whoever ran the drill may not read calls"
_LAST_MS: Final = 4_000_000_000_000
"""An edge's clock, or who writes records, may say anything."""
_OK: Final = 200
_MISSING: Final = 404
_REFUSALS: Final = frozenset({401, 403})


class _SilentError(Exception):
    """A control plane tells nothing of calls. The text says why."""


async def records(
    apis: Mapping[SiteId, str], ask: Ask, came_ms: Mapping[CallId, int]
) -> tuple[Recorded, ...]:
    """Return what each control plane has recorded of these calls, which are over.

    `came_ms`: when each came. Where one says that whoever asks may not read calls, no further one
    is asked: a refusal is in the audit log.
    """
    found: list[Recorded] = []
    for site, url in sorted(apis.items()):
        if found and found[-1].why_not == MAY_NOT:
            found.append(Recorded(site=site, why_not=MAY_NOT))
            continue
        try:
            found.append(Recorded(site=site, calls=await _of_one(url, ask, came_ms)))
        except _SilentError as error:
            found.append(Recorded(site=site, why_not=str(error)))
        except (aiohttp.ClientError, TimeoutError, OSError):
            found.append(Recorded(site=site, why_not="it does not answer"))
        except UNREADABLE:
            found.append(Recorded(site=site, why_not="it answers what cannot be read"))
    return tuple(found)


async def _of_one(url: str, ask: Ask, came_ms: Mapping[CallId, int]) -> Mapping[str, str]:
    if not came_ms:
        return {}
    since_ms = max(0, min(came_ms.values()), max(came_ms.values()) - LONG_BEFORE_MS)
    calls = {each.id: each.outcome or "" async for each in _listed(url, ask, since_ms)}
    # Not there: one that came long before, or that is not in the database yet.
    for call in [each for each in came_ms if each not in calls][:MOST_BY_ID]:
        found = await _read(ask, f"{url}{CALLS}/{call}", SeenCall)
        if found is not None:
            calls[found.id] = found.outcome or ""
    return {call: calls[call] for call in came_ms if call in calls}


async def _listed(url: str, ask: Ask, since_ms: int) -> AsyncIterator[SeenCall]:
    since = dt.datetime.fromtimestamp(min(since_ms, _LAST_MS) / 1000, dt.UTC).isoformat(
        timespec="milliseconds"
    )
    query = f"is_live=false&limit={PAGE}&since={quote(since)}"
    cursor = ""
    while True:
        page = await _read(ask, f"{url}{CALLS}?{query}{cursor}", SeenCalls)
        if page is None:
            return
        for each in page.items:
            yield each
        if page.next is None:
            return
        cursor = f"&cursor={quote(page.next)}"


async def _read(ask: Ask, url: str, kind: type[T]) -> T | None:
    """Return what is there; None: nothing that these eyes may see."""
    answer = await ask(url)
    if answer.status in _REFUSALS:
        raise _SilentError(MAY_NOT)
    if answer.status == _MISSING:
        return None
    if answer.status != _OK:
        raise _SilentError(f"it answers {answer.status}")
    return msgspec.json.decode(answer.body, type=kind)
