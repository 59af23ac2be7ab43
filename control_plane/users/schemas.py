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
    """What they sign in with."""
    name: Name
    roles: tuple[Role, ...] = ()
    """What they may do, by the policy."""
    agent: LineId = ""
    """Who they are among those who answer calls: the agent's id."""
    employer: Line = ""
    """Which outsourcer pays them; empty: us."""
    team: LineId = ""
    """Whose supervisor sees to them, and who is of one reporting line."""
    site: LineId = ""
    """Where they work."""
    password: Annotated[Password | None, Field(repr=False)] = None
    """Left out: signs in through the tenant's identity provider only."""


class UserChange(ApiModel):
    """What is to be another; what is left out stays."""

    name: Name | None = None
    agent: LineId | None = None
    """Who they are among those who answer calls: the agent's id."""
    employer: Line | None = None
    """Which outsourcer pays them; empty: us."""
    team: LineId | None = None
    """Whose supervisor sees to them, and who is of one reporting line."""
    site: LineId | None = None
    """Where they work."""
    is_active: bool | None = None
    """False: signed out everywhere within seconds, and not let in again."""
    roles: tuple[Role, ...] | None = None
    """All of them: what is not named is taken away. What the identity provider's groups gave is
    given again at the next sign-in by it."""
    password: Annotated[Password | None, Field(repr=False)] = None
    """Ends their sessions."""


class UserView(ApiModel):
    """What is told of somebody."""

    id: str
    tenant: str
    login: str
    name: str
    roles: tuple[str, ...]
    provider_roles: tuple[str, ...]
    """Those among `roles` that the identity provider's groups give, and nobody here: a sign-in by
    the provider takes them, where the groups give them no more."""
    agent: str
    employer: str
    team: str
    site: str
    is_active: bool
    created: Instant
    updated: Instant
