"""Keeps the presence records of the agents that this edge is home edge of.

An agent is ready when registered at the home site's Kamailio and wishing to be. Registrations come
as events, which can be lost, so they are compared with the location table from time to time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import structlog

from edge.acd.attendance import (
    NoRest,
    RestChange,
    attendance,
    presence_due,
    rest_asked,
    rest_changed,
)
from edge.acd.token import store_epoch
from edge.errors import CommandError
from edge.proxy.gate import site_epoch
from edge.steering import home_edge
from state import keys
from state.clock import Clock
from state.codec import encode
from state.errors import StoreError
from state.model import (
    FIRST_EPOCH,
    AgentId,
    EdgeId,
    Presence,
    SiteId,
)
from state.snapshot import Snapshot
from state.store import Absent, ModIs, Put, Store

log = structlog.get_logger()

_RETRY_S = 0.5


def due(
    snapshot: Snapshot,
    edge: EdgeId,
    registered: frozenset[AgentId],
    wall_ms: int,
    *,
    epoch: int = FIRST_EPOCH,
) -> Iterator[tuple[Presence, int]]:
    """Yield the presences that this edge has to write, each with the mod_revision it replaces.

    0: there is none yet.
    """
    own = snapshot.edges.get(edge)
    if own is None:
        return
    for agent, entry in snapshot.agents.items():
        # Cheap test first: `home_edge` hashes, and most agents live elsewhere.
        if entry.value.site != own.value.site or home_edge(snapshot, agent) != edge:
            continue
        held = snapshot.presences.get(agent)
        found = attendance(
            entry.value,
            registered=agent in registered and agent not in snapshot.barred,
            wish=snapshot.wishes.get(agent),
            work=snapshot.works.get(agent),
        )
        rest = rest_asked(held, snapshot.rests.get(agent), snapshot.works.get(agent))
        presence = presence_due(held, entry.value, found, wall_ms, epoch=epoch, rest=rest)
        if presence is not None:
            yield presence, held.mod_revision if held else 0


class PresenceKeeper:
    """Writes what is due whenever registrations, wishes or the edges of the site change."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        edge: EdgeId,
        site: SiteId,
        snapshot: Callable[[], Snapshot],
    ) -> None:
        self._store = store
        self._clock = clock
        self._edge = edge
        self._site = site
        self._snapshot = snapshot
        self._registered: set[AgentId] | None = None
        self._come: set[AgentId] = set()
        self._gone: set[AgentId] = set()
        """Who has come and gone since the table was last being read."""
        self._epoch = FIRST_EPOCH
        """The least that the tokens of this site's agents may have."""
        self._wake = asyncio.Event()

    def set_registered(self, agents: frozenset[AgentId]) -> None:
        """Take the whole location table as it is now."""
        found = (set(agents) | self._come) - self._gone
        self.reading()
        if self._registered != found:
            self._registered = found
            self._wake.set()

    def reading(self) -> None:
        """Begin to read the location table: what is noted from now on is newer than that."""
        self._come.clear()
        self._gone.clear()

    def note(self, agent: AgentId, *, registered: bool) -> None:
        """Take one registration event."""
        (self._come if registered else self._gone).add(agent)
        (self._gone if registered else self._come).discard(agent)
        if self._registered is None:
            return  # the whole table is still to come
        if registered is not (agent in self._registered):
            self._registered ^= {agent}
            self._wake.set()

    def note_epoch(self, seen: int) -> None:
        """Take in that a gate of this site has let a token of that epoch through."""
        epoch = store_epoch(seen)
        if epoch > self._epoch:
            self._epoch = epoch
            self._wake.set()

    def wake(self) -> None:
        """Look again: the snapshot has changed."""
        self._wake.set()

    async def change_rest(self, agent: AgentId, change: RestChange, by_s: float) -> float:
        """End or prolong an agent's rest; return how long it still is.

        Raises CommandError when there is none, or this is not the agent's home edge.
        """
        snapshot, now = self._snapshot(), self._clock.now()
        home = home_edge(snapshot, agent)
        if home != self._edge:
            whom = f"ask {home}" if home else "they are not configured, or their home site is dead"
            raise CommandError(f"{self._edge} is not the home edge of {agent!r}: {whom}")
        held, work = snapshot.presences.get(agent), snapshot.works.get(agent)
        presence = rest_changed(held, work, change, by_s, now)
        if isinstance(presence, NoRest) or held is None or work is None:
            raise CommandError(f"no rest of {agent!r} to change: {presence}")
        key = keys.presence(agent)
        compare = ModIs(key=key, mod_revision=held.mod_revision)
        try:
            written = await self._store.txn((compare,), (Put(key=key, value=encode(presence)),))
        except StoreError as error:
            raise CommandError(f"the rest of {agent!r} was not changed: {error}") from error
        if not written.succeeded:
            raise CommandError(f"the presence of {agent!r} has just changed: ask again")
        log.info("rest_changed", agent=agent, change=change, rest_s=presence.rest_s)
        return max(0.0, work.seen_s + presence.rest_s - now.mono_s)

    async def run(self) -> None:
        """Write what is due, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._registered is None:
                continue
            try:
                await self._write_due(frozenset(self._registered))
            except StoreError as error:
                log.warning("presence_not_written", site=self._site, error=str(error))
                self._wake.set()
                await asyncio.sleep(_RETRY_S)

    async def _write_due(self, registered: frozenset[AgentId]) -> None:
        wall_ms, snapshot = self._clock.now().wall_ms, self._snapshot()
        # All of a site's agents go in step: a gate that was loaded anew has one floor for all.
        epoch = max(self._epoch, site_epoch(snapshot, self._site))
        written = list(due(snapshot, self._edge, registered, wall_ms, epoch=epoch))
        for presence, replaces in written:
            key = keys.presence(presence.agent)
            compare = ModIs(key=key, mod_revision=replaces) if replaces else Absent(key=key)
            result = await self._store.txn((compare,), (Put(key=key, value=encode(presence)),))
            if result.succeeded:
                log.info(
                    "presence",
                    agent=presence.agent,
                    state=presence.state,
                    reason=presence.reason,
                )
            # A failed compare means that the snapshot was old: the newer one will wake us.
