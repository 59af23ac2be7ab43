"""Looks every few seconds whether the center can lose a site, whoever listens.

Owns the newest outlook and since when the alarm stands. What the outlook is, is
`edge.steering.loss`'s. It is worked out in a thread, and for a tenth of the time at most: who
waits for a customer's name comes first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from math import nan
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from control_plane.calls import store as calls
from control_plane.configuration.moving import MOST_RECORDS, can_see, known_from_ms
from control_plane.configuration.standing import Room
from control_plane.errors import DatabaseUnavailableError
from control_plane.readiness import views
from control_plane.readiness.schemas import ReadinessView
from control_plane.services import Services
from edge.steering.loss import WINDOW_S, Outlook, outlook
from state.discreet import fault
from state.mirror import Mirror

log = structlog.get_logger()

EVERY_S: Final = 3.0
REST: Final = 9
"""How many times as long as it took nothing is looked at again."""
CALLS: Final = 100
"""Imagined callers for each look: a quarter of those whom a move is judged by, since it is looked
again and again."""


class Standing(Struct, frozen=True, kw_only=True):
    """What was found, and whose the queues are."""

    found: Outlook
    owners: views.Owners
    is_current: bool
    alarm_since_ms: int | None
    """Of the center as a whole."""
    alarms_ms: Mapping[str, int] = {}
    """Since when it stands for those tenants who have queues."""
    room: Room | None = None
    """How the shared state's own store stands, now; None: nobody can ask it."""

    def told(self, tenant: str) -> ReadinessView:
        """Return it as a tenant may see it."""
        return views.view(
            self.found,
            self.owners,
            tenant,
            is_current=self.is_current,
            alarm_since_ms=self.alarms_ms.get(tenant, self.alarm_since_ms),
            room=self.room,
        )


Hear = Callable[[Standing], None]


class Watch:
    """One control plane's look at what a site's death would come to."""

    def __init__(
        self, services: Services, mirror: Mirror, room: Callable[[], Room | None] = lambda: None
    ) -> None:
        """`room` tells how the shared state's own store stands; None: nobody can ask it."""
        self._room = room
        self._services = services
        self._mirror = mirror
        self._looking = asyncio.Lock()
        self._looked_s = services.clock.now().mono_s
        """When it was last possible; at first: when this began."""
        # Asked for when figures are collected, so that it grows also if nothing here goes on.
        services.metrics.readiness_age_s.set_function(self._age_s)
        self.standing: Standing | None = None
        """The newest."""
        self.on_look: Hear | None = None

    def _age_s(self) -> float:
        return self._services.clock.now().mono_s - self._looked_s

    async def newest(self) -> Standing | None:
        """Return what was found last; look, if nothing was yet. None: nothing can be seen."""
        if self.standing is None:
            async with self._looking:
                if self.standing is None:
                    await self._look()
        return self.standing

    async def look(self) -> None:
        """Look anew, and tell whoever hears."""
        async with self._looking:
            await self._look()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - a task's top: the next look may succeed
                log.error("readiness_failed", **fault(error))  # noqa: TRY400 - its text stays out
            await asyncio.sleep(max(EVERY_S, REST * (loop.time() - began_s)))

    async def _look(self) -> None:
        snapshot, now = self._mirror.snapshot, self._services.clock.now()
        since_ms = now.wall_ms - round(WINDOW_S * 1000)
        try:
            async with self._services.database.read() as connection:
                records = await calls.since(connection, None, since_ms, MOST_RECORDS)
        except DatabaseUnavailableError:
            self._stale()
            return
        if not can_see(self._mirror) or not snapshot.sites:
            self._stale()
            return
        room = self._room()
        members = () if room is None else room.members
        known = known_from_ms(records)
        found = await asyncio.to_thread(
            outlook, snapshot, records, now, CALLS, members, known_from_ms=known
        )
        self._take(found, views.owners(snapshot), room)

    def _stale(self) -> None:
        """Go on telling what was so, and that it is old; how etcd stands is known all the same."""
        self._services.metrics.can_lose_a_site.set(nan)
        before, room = self.standing, self._room()
        if before is None:
            return
        if before.is_current:
            log.warning("readiness_stale")
        if before.is_current or before.room != room:
            self._set(replace(before, is_current=False, room=room))

    def _take(self, found: Outlook, owners: views.Owners, room: Room | None) -> None:
        before = None if self.standing is None else self.standing.alarm_since_ms
        alarms_ms = {} if self.standing is None else self.standing.alarms_ms
        since_ms = None if found.can_lose_any else (before or found.now_ms)
        if (before is None) is not (since_ms is None):
            sites = [each.site for each in found.sites if each.is_serving and not each.can_be_lost]
            log.warning("readiness_alarm", is_on=since_ms is not None, sites=sites)
        self._services.metrics.can_lose_a_site.set(found.can_lose_any)
        self._looked_s = self._services.clock.now().mono_s
        self._set(
            Standing(
                found=found,
                owners=owners,
                is_current=True,
                alarm_since_ms=since_ms,
                alarms_ms={
                    tenant: alarms_ms.get(tenant, found.now_ms)
                    for tenant in (() if found.can_lose_any else set(owners.values()))
                    if not views.can_lose_any(found, owners, tenant)
                },
                room=room,
            )
        )

    def _set(self, standing: Standing) -> None:
        self.standing = standing
        if self.on_look is not None:
            self.on_look(standing)
