"""PURE. What one tenant may see of whether the center can lose a site.

Queues are their tenant's. The center's own tenant, which runs the sites, is told how many of the
others' would suffer, and whom and what a site's death would meet; no other tenant is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from control_plane.api.model import instant
from control_plane.configuration.standing import Room
from control_plane.readiness.schemas import (
    EtcdView,
    QueueRiskView,
    ReadinessView,
    RecordingsRiskView,
    SiteRiskView,
)
from edge.steering.loss import Outlook, QueueRisk, RecordingsRisk, SiteRisk
from state.members import silent
from state.model import MAIN, QueueId, TenantId
from state.snapshot import Snapshot
from state.space import REMEDY

Owners = Mapping[QueueId, TenantId]


def owners(snapshot: Snapshot) -> Owners:
    """Return whose each queue is."""
    return {name: entry.value.tenant for name, entry in snapshot.queues.items()}


def view(  # noqa: PLR0913 - the outlook, and how it was come by
    found: Outlook,
    whose: Owners,
    tenant: str,
    *,
    is_current: bool,
    alarm_since_ms: int | None,
    room: Room | None = None,
) -> ReadinessView:
    """Return the outlook as a tenant may see it."""
    sites = tuple(_site(each, whose, tenant) for each in found.sites)
    can_lose = _can_lose_any(found, sites)
    since_ms = None if can_lose else alarm_since_ms
    return ReadinessView(
        as_of=instant(found.now_ms),
        is_current=is_current,
        since=instant(found.since_ms),
        target_s=found.target_s,
        level=found.level,
        can_lose_any=can_lose,
        alarm_since=None if since_ms is None else instant(since_ms),
        etcd=None if room is None or tenant != MAIN else etcd(room),
        as_it_is=_site(found.as_it_is, whose, tenant),
        sites=sites,
    )


def can_lose_any(found: Outlook, whose: Owners, tenant: str) -> bool:
    """Tell whether no site's loss would be the alarm of a tenant."""
    return _can_lose_any(found, [_site(each, whose, tenant) for each in found.sites])


def _can_lose_any(found: Outlook, sites: Iterable[SiteRiskView]) -> bool:
    is_borne = all(each.can_be_lost for each in sites if each.is_serving)
    return bool(found.as_it_is.sites_left) and is_borne


def etcd(room: Room) -> EtcdView:
    """Return how the shared state's own store stands."""
    space, since_ms = room.space, room.no_room_since_ms
    return EtcdView(
        members=len(room.members),
        silent=silent(room.members),
        taken=None if space is None else round(room.taken, 2),
        has_room=since_ms is None,
        is_full=space is not None and space.is_full,
        no_room_since=None if since_ms is None else instant(since_ms),
        remedy="" if since_ms is None else REMEDY,
    )


def _site(risk: SiteRisk, whose: Owners, tenant: str) -> SiteRiskView:
    is_main = tenant == MAIN
    own = tuple(each for each in risk.queues if whose.get(each.queue) == tenant)
    others = sum(not each.fits for each in risk.queues if whose.get(each.queue) != tenant)
    suffers = any(not each.fits for each in own)
    # What stands against it beside queues (quorum, lines, a call that nobody takes) is everybody's.
    is_only_others = not suffers and others and not is_main and _is_borne_but_for_queues(risk)
    return SiteRiskView(
        site=risk.site,
        is_serving=risk.is_serving,
        can_be_lost=risk.can_be_lost or bool(is_only_others),
        calls_there=risk.calls_there if is_main else None,
        agents_lost=risk.agents_lost if is_main else None,
        sites_left=risk.sites_left,
        quorum_left=risk.quorum_left,
        lines_short=risk.lines_short,
        others_short=others if is_main else 0,
        queues=tuple(map(_queue, own)),
        unreplicated=_recordings(risk.unreplicated) if risk.unreplicated and is_main else None,
    )


def _is_borne_but_for_queues(risk: SiteRisk) -> bool:
    is_copied = risk.unreplicated is None or not risk.unreplicated.is_late
    return bool(risk.sites_left) and risk.quorum_left and not risk.lines_short and is_copied


def _recordings(risk: RecordingsRisk) -> RecordingsRiskView:
    return RecordingsRiskView(
        recordings=risk.recordings,
        recorded_s=risk.recorded_s,
        under_way=risk.under_way,
        under_way_s=risk.under_way_s,
        is_late=risk.is_late,
    )


def _queue(risk: QueueRisk) -> QueueRiskView:
    return QueueRiskView(
        queue=risk.queue,
        fits=risk.fits,
        erlangs=risk.erlangs,
        agents=risk.agents,
        suited=risk.suited,
        short=risk.short,
        wait_s=risk.mean_wait_s,
        level=risk.level,
        imagined_calls=risk.imagined_calls,
        imagined_wait_s=risk.imagined_wait_s,
        imagined_level=risk.imagined_level,
    )
