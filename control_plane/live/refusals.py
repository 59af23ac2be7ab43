"""Has nobody called back who said no to that: customers whose `consent` to `callback` is false.

Edges dial by rules of queues and trunks, and know of a caller the number alone. Who a customer is
stands in the database: so as soon as somebody is to be called back their number is looked up here,
at every site, and an edge of this one is told to call nobody. Edges leave `edge.acd.callback`'s
`ASKED_S` for it. A number of several customers is called if none of them has said no.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from control_plane.customers import store as customers
from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.live.talks import number_of, tenant_of
from edge.acd.region import region_of
from state.keys import Kind
from state.mirror import Mirror
from state.model import CallId, Place
from state.snapshot import Delta, Snapshot

log = structlog.get_logger()

CALLBACK: Final = "callback"
"""The name under which a customer's consent says so."""
RETRY_S: Final = 1.0
TRIES: Final = 30
ANSWER_S: Final = 1.0
Cancel = Callable[[CallId], Awaitable[bool]]


class _Due(NamedTuple):
    """Somebody to be called back, and how often they are looked up yet."""

    place: Place
    tries: int


class Refusals:
    """Looks up who is to be called back."""

    def __init__(self, mirror: Mirror, database: Database, cancel: Cancel) -> None:
        """`cancel` has an edge call nobody back for a lost call; false: no edge has taken it."""
        self._mirror = mirror
        self._database = database
        self._cancel = cancel
        self._due: asyncio.Queue[_Due] = asyncio.Queue()
        for entry in mirror.snapshot.places.values():
            self._note(entry.value)
        mirror.subscribe(self._take)

    def _take(self, _snapshot: Snapshot, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            if delta.kind is Kind.PLACE and delta.after is not None:
                place = delta.after.value
                if isinstance(place, Place):
                    self._note(place)

    def _note(self, place: Place) -> None:
        if place.due_s is not None and place.call_back is not None:
            self._due.put_nowait(_Due(place, TRIES))

    async def run(self) -> None:
        """Look up until cancelled. Whoever cannot be seen to now comes again, behind the others."""
        loop = asyncio.get_running_loop()
        while True:
            due = await self._due.get()
            is_seen_to = False
            try:
                is_seen_to = await self._is_seen_to(due.place)
            finally:
                if not is_seen_to and due.tries > 1:
                    again = _Due(due.place, due.tries - 1)
                    loop.call_later(RETRY_S, self._due.put_nowait, again)

    async def _is_seen_to(self, place: Place) -> bool:
        """Return whether nothing is left to do about a place."""
        held = self._mirror.snapshot.places.get(place.call)
        if held is None or held.value.due_s is None:
            return True
        try:
            says_no = await self._says_no(place)
        except DatabaseUnavailableError:
            log.warning("consent_not_looked_up", call=place.call)
            return False
        if says_no and await self._cancel(place.call):
            log.info("callback_refused", call=place.call)
            return True
        return not says_no

    async def _says_no(self, place: Place) -> bool:
        snapshot = self._mirror.snapshot
        tenant = tenant_of(snapshot, place.did, place.queue or "")
        number = number_of(place.caller, region_of(snapshot, tenant, place.did) or None)
        async with self._database.read() as connection:
            found = await customers.by_number(connection, tenant, number)
        return any(each.consent.get(CALLBACK) is False for each in found)


def cancelling(run: Path) -> Cancel:
    """Return what tells the first edge of this site that answers; its socket stands in `run`."""

    async def cancel(call: CallId) -> bool:
        for path in sorted(run.glob("edge-*.sock")):  # noqa: ASYNC240 - two names on a tmpfs
            if await _tell(path, call):
                return True
        return False

    return cancel


async def _tell(path: Path, call: CallId) -> bool:
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                request = {"cmd": "cancel_callback", "call": call}
                writer.write(json.dumps(request).encode() + b"\n")
                return bool(json.loads(await reader.readline()).get("ok"))
            finally:
                writer.close()
    except (OSError, ValueError, AttributeError):
        return False
