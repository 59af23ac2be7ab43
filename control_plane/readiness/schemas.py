"""What the API tells of whether the center can lose a site."""

from __future__ import annotations

from control_plane.api.model import ApiModel, Instant


class QueueRiskView(ApiModel):
    """How one queue would fare."""

    queue: str
    fits: bool
    """Whether its goal would be kept."""
    erlangs: float
    """Agents that its callers keep busy."""
    agents: float
    """Those left who suit it, each by the part of their time that it gets."""
    suited: int
    """The same people, counted whole."""
    short: int
    """Agents missing for the goal."""
    wait_s: float | None
    """On average, by Erlang's formula; null: the line would grow for ever."""
    level: float
    """The share answered within the target, by the same."""
    imagined_calls: int
    """Imagined callers whom the real matcher was given."""
    imagined_wait_s: float | None
    imagined_level: float | None


class RecordingsRiskView(ApiModel):
    """Recordings that no other site is known to have, as the site's recorder said last."""

    recordings: int
    """Of calls that are over."""
    recorded_s: int
    """How long those are together."""
    under_way: int
    """Calls that are being recorded: of them all so far would be lost."""
    under_way_s: int
    is_late: bool
    """Whether copies are not made any more; then the site cannot be lost."""


class SiteRiskView(ApiModel):
    """What would happen if a site died now."""

    site: str | None
    """null: as it is, with all that serve."""
    is_serving: bool
    can_be_lost: bool
    """Whether callers would go on being served as they should."""
    calls_there: int | None
    """Calls that its death would meet; null: that is not for this tenant."""
    agents_lost: int | None
    """People at work who would have to come in elsewhere; null: likewise."""
    sites_left: int
    quorum_left: bool
    """Whether the shared state could still be written."""
    lines_short: int
    """Lines that the sites left would need beyond their room, where that is said."""
    others_short: int
    """Queues of other tenants that would not be served as they should."""
    queues: tuple[QueueRiskView, ...]
    unreplicated: RecordingsRiskView | None
    """What would be lost with it; null: nobody says, or that is not for this tenant."""


class EtcdView(ApiModel):
    """How etcd stands, which keeps the shared state, as this control plane sees it."""

    members: int
    """Those with a vote; 0: none answers, and sites that serve are counted for the quorum."""
    silent: tuple[str, ...]
    """Those that do not take part."""
    taken: float | None
    """The share of its quota of bytes that is taken; null: no member has said."""
    has_room: bool
    """False is an alarm: from 80 % on, or when it takes no writes. Then each site serves alone."""
    is_full: bool
    no_room_since: Instant | None
    remedy: str
    """What makes room; empty while there is enough."""


class ReadinessView(ApiModel):
    """Whether the center can lose a site, as it is now."""

    as_of: Instant
    is_current: bool
    """False: there is no news of the shared state, or of the calls that came, since `as_of`."""
    since: Instant
    """The calls since then are what is reckoned with."""
    target_s: float
    level: float
    """The goal: such a share answered within the target."""
    can_lose_any: bool
    """False is the alarm: there is a site whose loss could not be borne."""
    alarm_since: Instant | None
    etcd: EtcdView | None
    """null: nobody says, or that is not for this tenant."""
    as_it_is: SiteRiskView
    sites: tuple[SiteRiskView, ...]
