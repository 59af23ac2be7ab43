"""Bars the agents whose users are disabled: the one record by which every edge hears of it.

Every control plane does it, from what the database says: it is compared from time to time, so that
nobody has to be told, and nothing is lost when an instance dies in between.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.phones import store as rows
from state import keys
from state.clock import Clock
from state.codec import encode
from state.errors import StateError
from state.mirror import Mirror, MirrorState
from state.model import AgentId, Barred
from state.snapshot import Snapshot
from state.store import Absent, Delete, ModIs, Put, Store

log = structlog.get_logger()

LOOK_S: Final = 1.0
"""How often the database is asked: the greatest part of what disabling an agent takes."""


class Barrer:
    """Keeps `state/barred/` as the database says."""

    def __init__(self, *, store: Store, mirror: Mirror, database: Database, clock: Clock) -> None:
        self._store = store
        self._mirror = mirror
        self._database = database
        self._clock = clock

    async def run(self) -> None:
        """Compare for ever."""
        while True:
            try:
                await self.look()
            except (StateError, DatabaseUnavailableError) as error:
                log.warning("bars_not_compared", because=type(error).__name__)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Compare once."""
        if self._mirror.state is not MirrorState.LIVE:
            return
        async with self._database.read() as connection:
            disabled = await rows.disabled(connection)
        snapshot = self._mirror.snapshot
        wanted = barred_among(snapshot, disabled)
        for agent in sorted(wanted - set(snapshot.barred)):
            record = Barred(agent=agent, since_ms=self._clock.now().wall_ms)
            key = keys.barred(agent)
            done = await self._store.txn((Absent(key=key),), (Put(key=key, value=encode(record)),))
            if done.succeeded:
                log.info("agent_barred", agent=agent)
        for agent in sorted(set(snapshot.barred) - wanted):
            key, revision = keys.barred(agent), snapshot.barred[agent].mod_revision
            done = await self._store.txn(
                (ModIs(key=key, mod_revision=revision),), (Delete(key=key),)
            )
            if done.succeeded:
                log.info("agent_no_longer_barred", agent=agent)


def barred_among(snapshot: Snapshot, disabled: set[tuple[str, str]]) -> set[AgentId]:
    """PURE. Return the agents to be barred: a tenant's users bar that tenant's agents alone."""
    return {
        agent for agent, entry in snapshot.agents.items() if (entry.value.tenant, agent) in disabled
    }
