"""What the API takes and gives of approvals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant, Line, Name
from control_plane.api.paging import Listing
from control_plane.permissions import Permission

Standing = Literal["waiting", "approved", "refused", "used", "expired"]
Act = Literal[
    "customer:delete",
    "customer:export",
    "customer:shred",
    "drill:run",
    "glass:break",
    "policy:apply",
    "recording:delete",
    "recording:export",
]
"""What needs a second person."""
MOST_THINGS = 100


class ApprovalDraft(ApiModel):
    """To what."""

    act: Annotated[Permission, Field(strict=False)]
    """What they are about to do: `customer:export`."""
    thing: Id
    """To what: an id."""
    digest: Annotated[str, Field(max_length=64)]
    """Of exactly the state that was looked at: of a customer, the ETag's number."""


class ApprovalView(ApiModel):
    """What the requester sends in `Everline-Approval`."""

    id: str
    until: Instant


class RequestPath(ApiModel):
    """Which one."""

    request: Id


class RequestDraft(ApiModel):
    """What somebody wants to do once."""

    act: Act
    """What needs a second person."""
    things: Annotated[tuple[Id, ...], Field(strict=False, min_length=1, max_length=MOST_THINGS)]
    """Exactly these: ids; `customers` for an export of all of them."""
    digest: Annotated[str, Field(max_length=64)] = ""
    """Of the state that was looked at. Of a recording and of a customer the server finds it out;
    of a customer it may be said: the ETag's number."""
    why: Name
    """The purpose; it is the purpose of the act, too."""
    ticket: Line = ""
    """Of the incident, for broken glass."""


class RequestListing(Listing):
    """Which requests; the newest first."""

    act: Annotated[str, Field(max_length=64)] | None = None
    by: Id | None = None


class RequestView(ApiModel):
    """A request for approval."""

    id: str
    """What is sent in `Everline-Approval` once it is approved, and in `Everline-Glass`."""
    act: str
    things: dict[str, str]
    """Each with a digest of its state."""
    digest: str
    why: str
    ticket: str
    by: str
    made: Instant
    until: Instant
    """To be decided until then, or to be used."""
    state: Standing
    decided_by: str
    decided: Instant | None
    used: Instant | None


class GlassView(ApiModel):
    """A permit for an incident, sent in `Everline-Glass`."""

    id: str
    ticket: str
    things: tuple[str, ...]
    until: Instant
