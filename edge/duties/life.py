"""Tells the others that this edge lives: a lease, and one record under it.

The lease is a backstop: it says, some seconds late, that this process is gone for good, so that
survivors may close its tickets. Nobody steers calls by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog
from msgspec.structs import replace

from edge.steering.crowding import Crowding
from state import keys
from state.clock import Clock
from state.codec import encode
from state.errors import LeaseGoneError, StoreError
from state.model import EdgeId, EdgeLife, EdgeState, Probe, SiteId
from state.store import LeaseId, Put, Store

log = structlog.get_logger()

LEASE_S = 8
"""Longer than a process may be frozen (5 s, and one keepalive period) and keep its calls."""
_KEEPALIVE_S = 1.5
_UNHEARD_S = 1.9
"""So long without asking, and others may take this edge for silent (`edge.acd.silence`)."""
_RETRY_S = 0.3
_END_S = 1.0


class Life:
    """Keeps this edge's lease, and what stands under it: its EdgeLife and its Probe."""

    def __init__(self, *, store: Store, clock: Clock, edge: EdgeId, site: SiteId, sip: str) -> None:
        self._store = store
        self._clock = clock
        self._edge = edge
        self._life = EdgeLife(
            edge=edge,
            site=site,
            sip=sip,
            state=EdgeState.SERVING,
            started_ms=clock.now().wall_ms,
        )
        self._probe: Probe | None = None
        self._lease: LeaseId | None = None
        self._dirty = asyncio.Event()
        self._kept_s = 0.0
        """When the lease was last asked to live on."""
        self._is_told = False
        """Whether `on_lease` has been called for this lease."""
        self._is_failing = False
        self._is_over = False

    @property
    def state(self) -> EdgeState:
        """What this edge says of itself."""
        return self._life.state

    def set_state(self, state: EdgeState) -> None:
        """Publish whether this edge takes new calls."""
        self._life = replace(self._life, state=state)
        self._dirty.set()

    def set_applied(self, version: int) -> None:
        """Publish by which version of the configuration this edge, and its Kamailio, go."""
        if version != self._life.applied:
            self._life = replace(self._life, applied=version)
            self._dirty.set()

    def set_crowding(self, crowding: Crowding) -> None:
        """Publish whether calls come faster than this edge answers them."""
        if crowding.is_crowded != self._life.is_crowded:
            self._life = replace(self._life, is_crowded=crowding.is_crowded)
            self._dirty.set()

    def set_alone(self, edges: Collection[EdgeId]) -> None:
        """Publish which edges of this site have served without a quorum, and not merged yet."""
        alone = tuple(sorted(edges))
        if alone != self._life.alone:
            self._life = replace(self._life, alone=alone)
            self._dirty.set()

    def set_probe(self, probe: Probe) -> None:
        """Publish what this edge's probes say."""
        self._probe = probe
        self._dirty.set()

    async def run(self, on_lease: Callable[[], None] = lambda: None) -> None:
        """Keep the lease until cancelled; `on_lease` is called each time a new one stands."""
        while not self._is_over:
            try:
                await self._keep(on_lease)
            except LeaseGoneError:
                log.warning("lease_lost", edge=self._edge)
                self._lease = None
            except StoreError as error:
                if not self._is_failing:
                    log.warning("lease_not_kept", edge=self._edge, error=str(error))
                self._is_failing = True
                await asyncio.sleep(_RETRY_S)
            else:
                if self._is_failing:
                    log.info("lease_kept_again", edge=self._edge)
                self._is_failing = False
                await self._pause()

    async def end(self) -> None:
        """Give the lease back, so that the others need not wait for it to run out."""
        self._is_over = True
        if self._lease is None:
            return
        try:
            async with asyncio.timeout(_END_S):
                await self._store.lease_revoke(self._lease)
        except (StoreError, TimeoutError) as error:
            log.warning("lease_not_given_back", edge=self._edge, error=str(error))

    async def _keep(self, on_lease: Callable[[], None]) -> None:
        """Keep the lease, whatever there is to publish; then publish it."""
        if self._lease is None:
            self._kept_s = self._clock.now().mono_s
            self._lease = await self._store.lease_grant(LEASE_S)
            self._is_told = False
            self._dirty.set()
        elif self._due_in_s() <= 0.0:
            asked_s = self._clock.now().mono_s
            await self._store.lease_keepalive(self._lease)
            if asked_s - self._kept_s >= _UNHEARD_S:
                # Frozen, or cut off. Nobody sees that a lease is kept; a record is seen at once.
                self._dirty.set()
            self._kept_s = asked_s
        if self._dirty.is_set():
            await self._publish(self._lease)
        if not self._is_told:
            self._is_told = True
            log.info("lease_stands", edge=self._edge)
            on_lease()

    def _due_in_s(self) -> float:
        return self._kept_s + _KEEPALIVE_S - self._clock.now().mono_s

    async def _publish(self, lease: LeaseId) -> None:
        self._dirty.clear()
        puts = [Put(key=keys.edge(self._edge), value=encode(self._life), lease=lease)]
        if self._probe is not None:
            probe = Put(key=keys.probe(self._edge), value=encode(self._probe), lease=lease)
            puts.append(probe)
        try:
            await self._store.txn((), puts)
        except StoreError:
            self._dirty.set()
            raise

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(max(0.0, self._due_in_s())):
                await self._dirty.wait()
        except TimeoutError:
            return
