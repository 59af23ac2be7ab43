"""What the API takes and gives of users."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant, Line, Name
from control_plane.api.paging import Listing
from control_plane.permissions import Role

Login = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9_.@+-]+$")]
Password = Annotated[str, Field(min_length=12, max_length=200)]
LineId = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_.+-]*$")]


class UserPath(ApiModel):
    """Which one."""

    user: Id


class UserListing(Listing):
    """Filters; left out, they do not matter."""

    role: Role | None = None
    is_active: bool | None = None
    team: LineId | None = None
    site: LineId | None = None
    employer: Line | None = None


class UserDraft(ApiModel):
    """What can be said of somebody."""

    login: Login
    name: Name
    roles: tuple[Role, ...] = ()
    agent: LineId = ""
    employer: Line = ""
    team: LineId = ""
    site: LineId = ""
    password: Annotated[Password | None, Field(repr=False)] = None
    """Left out: signs in through the tenant's identity provider only."""


class UserChange(ApiModel):
    """What is to be another; what is left out stays."""

    name: Name | None = None
    agent: LineId | None = None
    employer: Line | None = None
    team: LineId | None = None
    site: LineId | None = None
    is_active: bool | None = None
    roles: tuple[Role, ...] | None = None
    password: Annotated[Password | None, Field(repr=False)] = None


class UserView(ApiModel):
    """What is told of somebody."""

    id: str
    tenant: str
    login: str
    name: str
    roles: tuple[str, ...]
    agent: str
    employer: str
    team: str
    site: str
    is_active: bool
    created: Instant
    updated: Instant
