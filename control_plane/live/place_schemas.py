"""What the API takes and gives of queues and sites, as they are and have served."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant


class QueuePath(ApiModel):
    """Which one."""

    queue: Id


class ServiceQuery(ApiModel):
    """Over which time, and against which target."""

    interval_s: Annotated[int, Field(ge=60, le=86_400)] = 3600
    """Over so long, up to now."""
    target_s: Annotated[float, Field(ge=0, le=3600)] = 20.0
    """Within so long a call should be answered."""
    short_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    """Who left within so long is a short abandon, whatever the target; null: within the target."""


class EstimatesView(ApiModel):
    """How wrong the waits were that had been estimated for callers as they came."""

    count: int
    """Answered calls that had an estimate: all of a queue with a limit of estimated waits, of
    others a sample (one of an edge's in five seconds, or more seldom where many work and wait)."""
    bias_s: float
    """Mean of estimate - wait: above 0, callers were told too much."""
    mean_error_s: float
    median_error_s: float
    within_share: float
    """Of these, right to 30 % of the wait, or to a second."""


class ServiceView(ApiModel):
    """How callers were served who came in the interval; null: nothing to count.

    Those with whom an agent talks are among them; only their handling is not known yet.
    """

    interval_s: int
    """Over how long, up to now: less than was asked for where more calls came than are looked at
    (20,000, of all queues that are listed)."""
    target_s: float
    short_s: float | None
    calls: int
    answered: int
    abandoned: int
    short_abandoned: int
    """Of the abandoned, those who left within `short_s`."""
    turned_away: int
    lost: int
    service_level: dict[str, float | None]
    """Each form by its name; the glossary and `edge/acd/service_level.py` say how each is made."""
    asa_s: float | None
    wait_p50_s: float | None
    wait_p95_s: float | None
    abandon_rate: float | None
    aht_s: float | None
    """Talk and wrap-up, as long as they really were; `edge/acd/handling.py` has the formula."""
    occupancy: float | None
    """Handling / (handling + idle), of the agents in these calls; see there."""
    estimates: EstimatesView | None


class QueueLiveView(ApiModel):
    """How a queue stands."""

    id: str
    tenant: str
    employer: str
    waiting: int
    longest_s: float | None
    ringing: int
    talking: int
    free: int
    """Agents who could take a call of it now."""
    estimate_s: float | None
    """How long somebody who came now would probably wait; null: nothing tells."""
    callbacks: int
    """Callers who are to be called back, and are not in the line yet."""
    callbacks_not_cleared: int
    """Of these, those who wait until somebody has looked whether they may be called."""
    service: ServiceView | None
    """Null: the database cannot be reached."""


class EdgeView(ApiModel):
    """One edge."""

    edge: str
    state: str
    since: Instant
    applied: int
    """The version of the configuration by which it goes."""


class SiteLiveView(ApiModel):
    """How a site stands."""

    id: str
    name: str
    is_draining: bool
    shares: dict[str, int]
    has_quorum: bool | None
    """Null: this control plane has no news of the shared state itself."""
    alone_since: Instant | None
    """Since when its edges serve without a quorum; told at the site itself."""
    alone_because: Literal["no_quorum", "store_full"] | None
    """Why they do; `store_full`: etcd's space is used up. Told at the site itself."""
    edges: tuple[EdgeView, ...]
    out_of_reach_of: tuple[str, ...]
    """Edges elsewhere that do not reach it."""
    calls: int
    """Of this tenant, held there."""
    may: tuple[Literal["drain"], ...] = ()
    """What whoever asks may do with it; not told by the stream."""


class LiveQueues(ApiModel):
    """All queues."""

    as_of: Instant
    revision: int
    is_current: bool
    """False: the shared state has not been heard of for some seconds."""
    items: tuple[QueueLiveView, ...]


class LiveSites(ApiModel):
    """All sites."""

    as_of: Instant
    revision: int
    is_current: bool
    items: tuple[SiteLiveView, ...]
