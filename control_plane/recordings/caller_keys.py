"""Tells this site's recorder to which customer's key a call is to be sealed, as soon as it comes.

A caller is somebody known if one customer, and no other, has the number. What the recorder has not
been told when a segment begins, it seals to the tenant's key: no call waits for us.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog

from control_plane.customers import store as customers
from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.keys.store import KeyDestroyedError
from control_plane.live.look import known
from control_plane.live.talks import tenant_of
from control_plane.recording_keys.store import RecordingKeys
from custody.errors import NoKeyError
from custody.keyring import Keyring
from state.clock import Clock
from state.keys import Kind
from state.mirror import Mirror
from state.model import SiteId, Ticket
from state.snapshot import Delta, Snapshot

log = structlog.get_logger()

SOCKET: Final = "recorder.sock"
ANSWER_S: Final = 2.0
TRIES: Final = 5
RETRY_S: Final = 0.3
REMEMBERED: Final = 20_000
WAITING: Final = 2_000
"""Calls that wait to be looked up. They wait only while database or recorder are slow: then the one
that has waited longest has most of itself sealed already, and gives way."""


class CallerKeys:
    """Looks callers up, and tells the recorder."""

    def __init__(  # noqa: PLR0913 - what it looks at, and whom it tells
        self,
        *,
        site: SiteId,
        run: Path,
        mirror: Mirror,
        database: Database,
        keys: RecordingKeys,
        ring: Keyring,
        clock: Clock,
    ) -> None:
        """Follow `mirror`; the recorder's socket stands in `run`."""
        self._site = site
        self._path = run / SOCKET
        self._mirror = mirror
        self._database = database
        self._keys = keys
        self._ring = ring
        self._clock = clock
        self._known: OrderedDict[str, None] = OrderedDict()
        self._waiting: OrderedDict[str, Ticket] = OrderedDict()
        self._is_something = asyncio.Event()
        mirror.subscribe(self.take)
        for entry in mirror.snapshot.tickets.values():
            if entry.value.site == site:
                self._note(entry.value)

    def take(self, _snapshot: Snapshot, deltas: Iterable[Delta]) -> None:
        """Note calls that have come to this site, and those that are over."""
        for delta in deltas:
            if delta.kind is not Kind.TICKET:
                continue
            if delta.after is None:
                self._give_up(delta.id, "call_over")
            elif isinstance(ticket := delta.after.value, Ticket) and ticket.site == self._site:
                self._note(ticket)

    @property
    def count(self) -> int:
        """Return how many wait to be looked up."""
        return len(self._waiting)

    def _note(self, ticket: Ticket) -> None:
        if ticket.call in self._known or not ticket.caller:
            return
        self._known[ticket.call] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        self._waiting[ticket.call] = ticket
        if len(self._waiting) > WAITING:
            self._give_up(next(iter(self._waiting)), "too_many_wait")
        self._is_something.set()

    def _give_up(self, call: str, because: str) -> None:
        """Look a call up no longer, if it waits: it is sealed to the tenant's key."""
        if self._waiting.pop(call, None) is not None:
            log.warning("caller_key_not_told", call=call, because=because)

    async def run(self) -> None:
        """Tell the recorder until cancelled."""
        while True:
            while not self._waiting:
                self._is_something.clear()
                await self._is_something.wait()
            _, ticket = self._waiting.popitem(last=False)
            try:
                await self._look_up(ticket)
            except (DatabaseUnavailableError, NoKeyError, KeyDestroyedError, OSError) as error:
                # The tenant's key is used instead.
                log.warning("caller_key_not_told", call=ticket.call, because=type(error).__name__)

    async def _look_up(self, ticket: Ticket) -> None:
        snapshot = self._mirror.snapshot
        tenant = tenant_of(snapshot, ticket.did, ticket.queue)
        async with self._database.read() as connection:
            found = await customers.by_number(connection, tenant, known(snapshot, ticket))
        everybody = {each.merged_into or each.id for each in found}
        if len(everybody) != 1:
            return
        (whose,) = everybody
        key = await self._keys.make(tenant, self._clock.now().wall_ms, customer=whose)
        await asyncio.to_thread(self._ring.add, key)
        await self._keys.note(key, ticket.call)
        for _ in range(TRIES):
            request = {"cmd": "seal_to", "call": ticket.call, "tenant": tenant, "key": key.id}
            if await self._tell(request):
                return
            await asyncio.sleep(RETRY_S)
        log.warning("caller_key_not_told", call=ticket.call, because="recorder")

    async def _tell(self, request: dict[str, str]) -> bool:
        """Return whether the recorder has taken it; it may just be starting."""
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_unix_connection(self._path)
                try:
                    writer.write(json.dumps(request).encode() + b"\n")
                    return bool(json.loads(await reader.readline()).get("ok"))
                finally:
                    writer.close()
        except (OSError, ValueError, AttributeError):
            return False
