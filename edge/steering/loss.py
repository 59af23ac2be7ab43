"""What would happen if a site died now: from the snapshot and what came lately. PURE.

It is `prediction`'s, the same that is asked before traffic moves, with a site lost in the place of
other rules.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.present import presence_of
from edge.steering.capacity import LEVEL, TARGET_S
from edge.steering.coming import Coming, coming
from edge.steering.imagined import Horizon
from edge.steering.prediction import QueuePrediction, horizon_of, predict
from edge.steering.quorum import is_left
from state.members import EtcdMember, silent
from state.model import CallRecord, Now, PresenceState, QueueId, SiteId
from state.snapshot import Snapshot

WINDOW_S = 600.0
"""What came in so long is what is reckoned with."""


class QueueRisk(Struct, frozen=True, kw_only=True):
    """How one queue would fare without a site."""

    queue: QueueId
    erlangs: float
    agents: float
    """Those left who suit it, each by the part of their time that it gets."""
    suited: int
    mean_wait_s: float | None
    """By Erlang's formula; None: the line would grow for ever."""
    level: float
    """The share answered within the target, by the same."""
    short: int
    """Agents missing for the goal."""
    fits: bool
    imagined_calls: int
    """Imagined callers whom the real matcher was given."""
    imagined_wait_s: float | None
    imagined_level: float | None


class RecordingsRisk(Struct, frozen=True, kw_only=True):
    """Recordings that no other site is known to have: see `state.model.Unreplicated`."""

    recordings: int
    recorded_s: int
    under_way: int
    under_way_s: int
    is_late: bool
    """Copies are not made any more: what a death of the site would cost grows."""


class SiteRisk(Struct, frozen=True, kw_only=True):
    """What would happen without one site."""

    site: SiteId | None
    """None: as it is, with all that serve."""
    is_serving: bool
    calls_there: int
    agents_lost: int
    sites_left: int
    quorum_left: bool
    lines_short: int
    """Lines that the sites left would need beyond their `room`, where that is said."""
    queues: tuple[QueueRisk, ...]
    can_be_lost: bool
    unreplicated: RecordingsRisk | None = None
    """What would be lost with it; None: nobody says, or nothing is copied there."""


class Outlook(Struct, frozen=True, kw_only=True):
    """Whether the center can lose a site."""

    now_ms: int
    since_ms: int
    """From then on what came is reckoned with."""
    target_s: float
    level: float
    """The goal: such a share answered within the target."""
    as_it_is: SiteRisk
    sites: tuple[SiteRisk, ...]
    can_lose_any: bool
    members: int = 0
    """Of etcd, that have a vote; 0: nobody could ask them, and sites that serve are counted."""
    members_silent: tuple[str, ...] = ()
    """Those of them that do not take part."""


def outlook(  # noqa: PLR0913 - all that is known
    snapshot: Snapshot,
    records: Iterable[CallRecord],
    now: Now,
    most_calls: int | None = None,
    members: Sequence[EtcdMember] = (),
    *,
    known_from_ms: int | None = None,
) -> Outlook:
    """Return, for each site, how callers would fare without it.

    `most_calls`: so many callers are imagined at most; fewer are quicker, and say less exactly.
    `members`: of etcd, as they were asked; none: nobody knows them. `known_from_ms`: of who came
    earlier not all records are here.
    """
    tickets = (entry.value for entry in snapshot.tickets.values())
    what = coming(records, now.wall_ms, WINDOW_S, on=tickets, known_from_ms=known_from_ms)
    horizon = horizon_of(snapshot)
    if most_calls is not None:
        horizon = replace(horizon, most_calls=min(horizon.most_calls, most_calls))
    told = tuple(members)
    whole, *risks = (
        _risk(snapshot, what, now, lost, horizon, members=told)
        for lost in (None, *sorted(snapshot.sites))
    )
    sites = tuple(risks)
    return Outlook(
        now_ms=now.wall_ms,
        since_ms=what.from_ms,
        target_s=TARGET_S,
        level=LEVEL,
        as_it_is=whole,
        sites=sites,
        can_lose_any=bool(whole.sites_left)
        and all(site.can_be_lost for site in sites if site.is_serving),
        members=len(told),
        members_silent=silent(told),
    )


def _risk(  # noqa: PLR0913 - the whole of what is known
    snapshot: Snapshot,
    what: Coming,
    now: Now,
    site: SiteId | None,
    horizon: Horizon,
    *,
    members: tuple[EtcdMember, ...],
) -> SiteRisk:
    lost = frozenset() if site is None else frozenset({site})
    serving = frozenset(life.value.site for life in snapshot.edges.values())
    found = predict(snapshot, what, now, lost=lost, horizon=horizon)
    left = serving - lost
    if members:
        has_quorum = is_left(members, snapshot.sites, site)
    else:
        has_quorum = len(left) >= len(snapshot.sites) // 2 + 1
    recordings = None if site is None else _recordings(snapshot, site)
    is_copied = recordings is None or not recordings.is_late
    return SiteRisk(
        site=site,
        is_serving=site is None or site in serving,
        calls_there=sum(1 for entry in snapshot.tickets.values() if entry.value.site in lost),
        agents_lost=sum(
            1
            for agent, entry in snapshot.agents.items()
            if entry.value.site in lost
            and presence_of(snapshot, agent) is not PresenceState.SIGNED_OUT
        ),
        sites_left=len(left),
        quorum_left=has_quorum,
        lines_short=sum(each.lines_short for each in found.sites if each.site in left),
        queues=tuple(map(_queue, found.queues)),
        can_be_lost=bool(left) and has_quorum and found.fits and is_copied,
        unreplicated=recordings,
    )


def _recordings(snapshot: Snapshot, site: SiteId) -> RecordingsRisk | None:
    entry = snapshot.unreplicated.get(site)
    if entry is None:
        return None
    told = entry.value
    return RecordingsRisk(
        recordings=told.recordings,
        recorded_s=told.recorded_s,
        under_way=told.under_way,
        under_way_s=told.under_way_s,
        is_late=told.is_late,
    )


def _queue(found: QueuePrediction) -> QueueRisk:
    forecast = found.forecast
    wait = forecast.mean_wait_s
    return QueueRisk(
        queue=found.queue,
        erlangs=round(forecast.erlangs, 2),
        agents=round(forecast.agents, 2),
        suited=forecast.suited,
        mean_wait_s=None if math.isinf(wait) else round(wait, 1),
        level=round(forecast.level, 3),
        short=forecast.short,
        fits=found.fits,
        imagined_calls=found.calls,
        imagined_wait_s=None if found.wait_s is None else round(found.wait_s, 1),
        imagined_level=None if found.level is None else round(found.level, 3),
    )
