"""What the API takes and gives of tenants and teams."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant, Name
from control_plane.users.schemas import Login, Password

TenantId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,30}$")]
Days = Annotated[int, Field(ge=0, le=36_500)]


class Administrator(ApiModel):
    """Who begins to manage a tenant."""

    login: Login
    name: Name
    password: Annotated[Password, Field(repr=False)]


class TenantDraft(ApiModel):
    """A new tenant."""

    id: TenantId
    """What its own ids begin with: `TENANT.`."""
    name: Name
    administrator: Administrator


class TenantChange(ApiModel):
    """What is to be another; what is left out stays."""

    name: Name | None = None
    call_retention_days: Days | None = None
    """How long calls that are over are kept; 0: for good."""
    recording_retention_days: Days | None = None
    """How long recordings are kept; 0: as long as their calls."""


class TenantView(ApiModel):
    """A tenant as whoever runs the center sees it."""

    id: str
    name: str
    created: Instant


class TenantSettings(TenantView):
    """A tenant as its own administrators see it."""

    call_retention_days: int
    recording_retention_days: int
    updated: Instant


class TeamPath(ApiModel):
    """Which team."""

    team: Id


class MemberUser(ApiModel):
    """A user of a team."""

    id: str
    name: str
    is_active: bool


class MemberAgent(ApiModel):
    """An agent of a team."""

    id: str
    name: str


class TeamMembers(ApiModel):
    """Who is in a team: those whom this subject may see."""

    team: str
    site: str
    users: tuple[MemberUser, ...]
    agents: tuple[MemberAgent, ...]
    is_whole: bool
    """False: there are more than are shown."""
