"""What the API takes and gives of service tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant, Name
from control_plane.api.paging import Listing
from control_plane.permissions import Role

LONGEST_DAYS = 366


class ServiceTokenPath(ApiModel):
    """Which one."""

    token: Id


class ServiceTokenListing(Listing):
    """All of the tenant, those that are over too."""


class ServiceTokenDraft(ApiModel):
    """What can be said of a machine."""

    name: Name
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    """What the machine may do, by the policy."""
    days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)] = 90
    """How long it is good for."""


class ServiceTokenView(ApiModel):
    """What is told of a token: never the token."""

    id: str
    tenant: str
    name: str
    roles: tuple[str, ...]
    created: Instant
    created_by: str
    expires: Instant
    last_used: Instant | None
    """To about ten seconds."""
    revoked: Instant | None


class ServiceTokenMade(ServiceTokenView):
    """A token just made: told this once."""

    token: Annotated[str, Field(repr=False)]
