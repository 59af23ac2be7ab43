"""What one edge does for its site, and for those who died."""

from __future__ import annotations

from collections.abc import Callable

from edge.alone.sister import Sisters
from edge.calls.arrivals import Waits
from edge.calls.switchboard import Switchboard
from edge.duties.headroom import HeadroomKeeper
from edge.duties.janitor import Janitor
from edge.duties.life import Life
from edge.duties.presence import PresenceKeeper
from edge.duties.replication import ReplicationWatch
from edge.duties.steward import Steward
from edge.media.relay import Relay
from edge.settings import Settings
from edge.shared import SharedState
from edge.sip.endpoint import SipEndpoint
from state.clock import Clock
from state.model import CallId, SiteId


class SiteDuties:
    """The parts that do it."""

    def __init__(  # noqa: PLR0913  what they stand on
        self,
        *,
        settings: Settings,
        clock: Clock,
        shared: SharedState,
        endpoint: SipEndpoint,
        media: Relay,
        life: Life,
        sisters: Sisters,
        switchboard: Switchboard,
        unreachable: Callable[[], frozenset[SiteId]],
        holds: Callable[[CallId], bool],
    ) -> None:
        def is_alone() -> bool:
            return shared.here.is_alone

        self.keeper = PresenceKeeper(
            store=shared.here,
            clock=clock,
            edge=settings.edge,
            site=settings.site,
            snapshot=shared.snapshot,
            is_alone=is_alone,
        )
        self.steward = Steward(
            settings=settings,
            clock=clock,
            store=shared.here,
            mirror=shared.mirror,
            snapshot=shared.snapshot,
            is_alone=is_alone,
            lone_sisters=sisters.lone,
            media=media,
            unreachable=unreachable,
            keeper=self.keeper,
            on_applied=life.set_applied,
        )
        self.headroom = HeadroomKeeper(
            clock=clock,
            waits=lambda: Waits(count=endpoint.received, sum_s=endpoint.waited_s),
            arrivals=switchboard.arrivals,
            tell=self.steward.say_room,
            tell_others=life.set_crowding,
        )
        self.janitor = Janitor(
            store=shared.here,
            clock=clock,
            mirror=shared.mirror,
            edge=settings.edge,
            holds=holds,
            on_dead=self.steward.edge_died,
            is_alone=is_alone,
            lives=sisters.lives,
            copy=shared.snapshot,
        )
        self.replication = (
            None
            if settings.recorder is None
            else ReplicationWatch(
                recorder=settings.recorder,
                clock=clock,
                store=shared.store,
                edge=settings.edge,
                site=settings.site,
                snapshot=shared.snapshot,
            )
        )
