"""What the API takes and gives of agents: what they are, and what they have done."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant, Line
from control_plane.api.paging import Listing
from edge.acd.attendance import RestChange

Missing = Literal["", "home_site_dead", "no_telephone", "not_taken_yet", "not_configured"]


class AgentPath(ApiModel):
    """Which one."""

    agent: Id


class StateChange(ApiModel):
    """What an agent is to be."""

    state: Literal["ready", "paused", "signed_out"]
    """Signed out: the telephone stays registered, and no call comes."""
    reason: Line = ""
    """Why they pause: where the tenant has pause codes, one of these."""


class WrapUpChange(ApiModel):
    """What is to become of a rest."""

    do: RestChange
    by_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """By how much it is prolonged; in all an hour at most."""


class AgentLiveView(ApiModel):
    """What an agent is doing."""

    id: str
    tenant: str
    name: str
    site: str
    team: str
    employer: str
    state: str
    since: Instant | None
    reason: str
    by: str
    """Who asked for it, when it was not the agent."""
    call: str | None
    channels: dict[str, int]
    calls: int
    rest_left_s: float
    may: tuple[Literal["set_state"], ...] = ()
    """What whoever asks may do with them; not told by the stream."""


class StateView(ApiModel):
    """What became of it."""

    agent: AgentLiveView | None
    missing: Missing
    """What keeps it from counting; it does as soon as that is no longer so. Empty: it counts."""


class AgentListing(Listing):
    """Which agents; by id."""

    state: Annotated[str, Field(max_length=20)] | None = None
    site: Id | None = None
    team: Annotated[str, Field(max_length=64)] | None = None


class WorkQuery(ApiModel):
    """Over which time."""

    interval_s: Annotated[int, Field(ge=60, le=86_400)] = 3600
    """Of the calls that came in so long, up to now, and are over."""
    queue: Id | None = None
    """Only of calls of that queue."""


class AgentWorkView(ApiModel):
    """What an agent did in calls; each by its name in `edge/acd/handling.py`."""

    agent: str
    calls: int
    """In which they talked."""
    talk_s: float
    holds: int
    held_s: float
    wrap_up_s: float
    """As long as it really was."""
    idle_s: float
    """For which they were free before these calls, as far as records tell."""
    aht_s: float | None
    occupancy: float | None
    """Null: no record tells how long they had been free."""


class AgentsWork(ApiModel):
    """All agents who talked in calls that came in the interval."""

    interval_s: int
    """Less than was asked for where more calls came than are looked at (20,000)."""
    items: tuple[AgentWorkView, ...]
