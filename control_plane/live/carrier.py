"""Carries what the shared state keeps beside what goes on into the database, each thing once.

Every control plane does it; the database lets the first one add a thing (docs/decisions). What has
failed is tried again, and the shared state keeps what was not carried meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final, Protocol, TypeAlias

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.calls import store as calls
from control_plane.errors import ControlPlaneError, DatabaseUnavailableError
from control_plane.live.follower import Follower
from control_plane.services import Services
from state.errors import CompactedError, StateError
from state.listing import read_all
from state.raw import Change, KeyValue

log = structlog.get_logger()

RETRY_S: Final = 1.0
AT_ONCE: Final = 200
Carried: TypeAlias = KeyValue | Change


class NotYetError(ControlPlaneError):
    """What this belongs to has not been carried over yet."""


class Load(Protocol):
    """One kind of thing that is carried."""

    name: str
    """Under which the database keeps how far it has come."""
    prefix: str

    async def take(self, connection: AsyncConnection, some: Sequence[Carried]) -> None:
        """Add what has been written, or written anew. Raise `NotYetError` to be asked again."""
        ...

    def tell(self, some: Sequence[Carried]) -> None:
        """Tell whoever wants to know that these changes are in the database now."""
        ...


class Carrier:
    """Carries for ever."""

    def __init__(self, load: Load, follower: Follower, services: Services) -> None:
        self._load = load
        self._store = follower.store
        self._follower = follower
        self._services = services
        self._problem = ""

    async def run(self) -> None:
        """Carry until cancelled."""
        while True:
            try:
                await self._carry_on()
            except CompactedError:
                # Changes that were not carried are no longer told one by one: read them all.
                await self._forget()
            except (StateError, DatabaseUnavailableError, NotYetError) as error:
                self._say(type(error).__name__)
            await asyncio.sleep(RETRY_S)

    async def _forget(self) -> None:
        try:
            async with self._services.database.write() as connection:
                await calls.restart(connection, self._load.name)
        except DatabaseUnavailableError as error:
            self._say(type(error).__name__)

    async def _carry_on(self) -> None:
        # Whose a call is, its DID tells.
        await self._follower.mirror.wait_until(lambda snapshot: snapshot.revision > 0)
        prefix = self._load.prefix
        async with self._services.database.read() as connection:
            at = await calls.carried(connection, self._load.name)
        newest = (await self._store.range(prefix, limit=1, keys_only=True)).revision
        if at == 0 or at > newest:  # at > newest: the shared state is another one
            at = await self._carry_all()
        async with aclosing(self._store.watch(prefix, at + 1)) as batches:
            async for batch in batches:
                if batch.changes:
                    await self._take(batch.changes, batch.revision)
                    self._load.tell(batch.changes)
                self._say("")

    async def _carry_all(self) -> int:
        async with self._services.database.write() as connection:
            await calls.restart(connection, self._load.name)
        listing = await read_all(self._store, self._load.prefix)
        records = listing.records
        for first in range(0, len(records), AT_ONCE):
            await self._take(records[first : first + AT_ONCE], 0)
        await self._take((), listing.revision)
        return listing.revision

    async def _take(self, some: Sequence[Carried], revision: int) -> None:
        """Add these, and note that all up to `revision` are there; 0: not all are."""
        settings, now_ms = self._services.settings, self._services.clock.now().wall_ms
        async with self._services.database.write() as connection:
            await self._load.take(connection, some)
            if revision:
                await calls.note(connection, self._load.name, settings.site, revision, now_ms)

    def _say(self, problem: str) -> None:
        if problem != self._problem and problem:
            log.warning("not_carried", what=self._load.name, because=problem)
        self._problem = problem
