"""What is said at sign-in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant
from control_plane.users.schemas import Password, UserPath

__all__ = [
    "Me",
    "PasswordChange",
    "Refresh",
    "Session",
    "SessionPath",
    "SessionView",
    "SessionsView",
    "SignIn",
    "UserPath",
]


class SignIn(ApiModel):
    """Who says to be whom."""

    tenant: Id
    login: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=200, repr=False)]


class Refresh(ApiModel):
    """How one goes on."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=200, repr=False)]


class Session(ApiModel):
    """What opens the API for a while."""

    access_token: Annotated[str, Field(repr=False)]
    refresh_token: Annotated[str, Field(repr=False)]
    """Good once, for the next session answer; used twice, it ends the session. Whose answer was
    lost may ask again within 15 s, from the same address and by the same User-Agent, and is given
    the same refresh token, while nobody has used that."""
    token_type: str = "Bearer"  # noqa: S105 - the kind of token
    expires: Instant
    user: str
    tenant: str


class Me(ApiModel):
    """Who the subject is, as the policy sees it."""

    id: str
    tenant: str
    roles: tuple[str, ...]
    agent: str
    team: str
    site: str
    employer: str
    policy: str


class SessionPath(ApiModel):
    """Which one."""

    session: Id


class SessionView(ApiModel):
    """A sign-in that stands."""

    id: str
    created: Instant
    last_used: Instant
    """When it was last gone on with, or begun."""
    expires: Instant
    address: str
    """Where it was begun, as the control plane saw it."""
    client: str
    is_current: bool


class SessionsView(ApiModel):
    """All that stand, the newest first."""

    items: tuple[SessionView, ...]


class PasswordChange(ApiModel):
    """Another password."""

    current: Annotated[str, Field(min_length=1, max_length=200, repr=False)]
    new: Annotated[Password, Field(repr=False)]
