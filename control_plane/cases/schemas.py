"""What the API takes and gives of cases."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant, Name
from control_plane.api.paging import Listing
from control_plane.cases.workflow import Kind, State, Step

Text = Annotated[str, Field(max_length=20_000)]


class CasePath(ApiModel):
    """Which one."""

    customer: Id
    case: Id


class CustomerPath(ApiModel):
    """Whose."""

    customer: Id


class CaseListing(Listing):
    """Filters; left out, they do not matter."""

    state: State | None = None
    kind: Kind | None = None
    owner: Id | None = None
    customer: Id | None = None
    is_overdue: bool | None = None
    is_escalated: bool | None = None


class CaseDraft(ApiModel):
    """A new case."""

    kind: Annotated[Kind, Field(strict=False)]
    title: Name
    text: Text = ""
    owner: Id | None = None
    """A user; left out: whoever opens it."""
    due_in_h: Annotated[int, Field(ge=1, le=8760)] | None = None
    """Left out: by its kind."""


class CaseChange(ApiModel):
    """What is to be another; what is left out stays."""

    step: Annotated[Step | None, Field(strict=False)] = None
    """Where it goes from its state."""
    owner: Id | None = None
    """A user."""
    due_in_h: Annotated[int, Field(ge=1, le=8760)] | None = None
    """From now on."""
    is_escalated: bool | None = None
    """Whether a supervisor has to look."""


class CaseView(ApiModel):
    """One case."""

    id: str
    customer: str
    kind: Kind
    state: State
    steps: tuple[Step, ...]
    """What can be done next."""
    title: str
    text: str
    owner: str
    due: Instant
    is_overdue: bool
    is_escalated: bool
    created: Instant
    updated: Instant
