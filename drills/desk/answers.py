"""What a lab that is up answers. PURE.

These values are also what the commands print with `--json`: a field's name is its key there.
Stamps in `_ms` are wall-clock milliseconds; ages are in seconds at `now_ms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from drills.course import Made
from edge.acd.agent_state import AgentState
from edge.acd.forecast import Accuracy
from edge.steering.loss import Outlook
from state.model import (
    AgentId,
    CallId,
    DidNumber,
    EdgeId,
    PresenceState,
    QueueId,
    SiteId,
    SkillId,
)


class Role(StrEnum):
    """What an etcd member says of itself."""

    LEADER = "leader"
    FOLLOWER = "follower"
    NO_LEADER = "no_leader"
    """It lives, and knows of no leader: it serves nobody."""
    SILENT = "silent"


class Health(StrEnum):
    """How a process of the lab is."""

    UP = "up"
    STARTING = "starting"
    DOWN = "down"


class AgentRow(Struct, frozen=True, kw_only=True):
    """One agent."""

    agent: AgentId
    name: str
    site: SiteId
    presence: PresenceState
    """What the home site says; `signed_out`: no phone is registered."""
    state: AgentState
    """What follows from everything: presence, offers, rest, the site's health."""
    since_ms: int | None
    """Since when; None: nothing tells."""
    calls: int
    skills: Mapping[SkillId, int]
    reason: str = ""
    """Why they are paused, or asked to be."""
    by: str = ""
    """Who asked for it, when it was not the agent."""
    call: CallId | None = None
    """Which call they have, if any."""


class Agents(Struct, frozen=True, kw_only=True):
    """Everybody, by home site and id."""

    lab: int
    now_ms: int
    agents: tuple[AgentRow, ...]
    revision: int = 0
    """Of the shared state, by which they are told."""


class WishRow(Struct, frozen=True, kw_only=True):
    """What became of one agent's wish."""

    agent: AgentRow
    missing: str | None
    """What keeps it from counting; None: the home site has taken it."""


class Wished(Struct, frozen=True, kw_only=True):
    """What became of the wishes; all of them have been written."""

    lab: int
    now_ms: int
    took_s: float
    wishes: tuple[WishRow, ...]


class WrapUp(Struct, frozen=True, kw_only=True):
    """What became of an agent's rest."""

    lab: int
    agent: AgentId
    left_s: float
    """How long it still is."""


class Faults(Struct, frozen=True, kw_only=True):
    """All faults that were ever made in this lab."""

    made: tuple[Made, ...]


class Readiness(Outlook, frozen=True, kw_only=True):
    """Whether the center can lose a site."""

    lab: int
    etcd_taken: float | None = None
    """The share of its quota that is taken; None: no member says."""
    etcd_has_room: bool = True
    """False is an alarm, too: nearly full, or full."""
    etcd_is_full: bool = False

    @property
    def is_well(self) -> bool:
        """Whether there is no alarm."""
        return self.can_lose_any and self.etcd_has_room


class Stakes(Struct, frozen=True, kw_only=True):
    """What a drill would put at stake."""

    etcd: Mapping[SiteId, int | None]
    """Log entries that each member has yet to apply; None: it does not answer."""
    numbers: Mapping[SiteId, int]
    """How many numbers each site serves before all others; under no name those of any site."""
    peak_erlangs: float | None
    """Of the busiest ten minutes of the last day. None: its calls could not be read lately."""


class SiteRow(Struct, frozen=True, kw_only=True):
    """One site, as the lab sees it from outside."""

    site: SiteId
    name: str
    address: str
    is_cut_off: bool
    """All its links are cut."""
    is_draining: bool
    processes: Mapping[str, Health]
    """By name: `etcd-a`, `kamailio-a`, ..."""
    restarts: int
    """How often something here died and was started again."""
    etcd: Role
    calls: int
    """Whose callers are held here."""
    api: str = ""
    """The URL of its API on this machine; empty: it has none."""


class EdgeRow(Struct, frozen=True, kw_only=True):
    """One edge: by its own word, and by its lease."""

    edge: EdgeId
    site: SiteId
    has_lease: bool
    answers: bool
    """False: silent on its command socket; the fields below then say nothing."""
    state: str = ""
    snapshot: str = ""
    """`live` or `stale`."""
    snapshot_age_s: float | None = None
    revision: int = 0
    proxy_is_in_step: bool = False
    unreachable: tuple[SiteId, ...] = ()
    """Which sites its probes find down."""
    out: Mapping[SiteId, str] = field(default_factory=dict)
    """Which sites are out for its steering, and why: `down`, `gray`."""
    mode: str = ""
    """`quorum`; `alone`: it serves without one; `merging`: what it did alone is being written."""
    because: str = ""
    """Why it does not serve by the quorum: `no_quorum`, `store_full`."""
    mode_since_ms: int | None = None
    calls: Mapping[str, int] = field(default_factory=dict)
    calls_taken: int = 0
    legs: int = 0
    media_calls: int | None = None
    """None: its rtpengine does not answer."""
    landed: int = 0
    """Reservations that it won."""
    refused: int = 0
    """Reservations that another edge had won before, or that rested on old news."""


class QueueRow(Struct, frozen=True, kw_only=True):
    """One queue."""

    queue: QueueId
    dids: tuple[DidNumber, ...]
    needs: Mapping[SkillId, int]
    waiting: int
    longest_s: float | None
    """How long the first of those who wait has waited."""
    ringing: int
    talking: int
    free: int
    """Agents who could take a call of it now."""
    estimate_s: float | None = None
    """How long somebody who came now would probably wait; None: nothing tells."""
    accuracy: Accuracy | None = None
    """How wrong the estimates of its calls were that the ledger holds; None: none were made."""


class Status(Struct, frozen=True, kw_only=True):
    """How everything is."""

    lab: int
    kind: str
    """What brought it up: `up` or `demo`."""
    up_s: float
    now_ms: int
    revision: int
    snapshot: str
    """Whether what is below of queues and agents is `live` or `stale`."""
    snapshot_age_s: float | None
    sites: tuple[SiteRow, ...]
    edges: tuple[EdgeRow, ...]
    queues: tuple[QueueRow, ...]
    agents: Mapping[SiteId, Mapping[AgentState, int]]
    alone: Mapping[SiteId, int]
    """Sites that serve without a quorum -> since when, in ms since 1970 by their own clock."""
    bad_records: Mapping[str, str]
    """Key -> why it cannot be read and what to do."""
    full: tuple[SiteId, ...] = ()
    """Those of them that do so because the store has no room left."""
