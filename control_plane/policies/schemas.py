"""What the API takes and gives of the policy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from control_plane.api.model import ApiModel, Instant, Line
from control_plane.api.paging import Listing
from control_plane.permissions import Permission, Role

PolicyLine = Annotated[str, Field(max_length=200)]
Lines = Annotated[tuple[PolicyLine, ...], Field(max_length=2000)]
Word = Annotated[str, Field(max_length=64)]


class PolicyView(ApiModel):
    """What holds in a tenant."""

    version: str
    """A digest of exactly these lines: decisions and the audit log are stamped with it."""
    number: int
    """Of the tenant's own lines; 0: there are none."""
    platform: tuple[str, ...]
    own: tuple[str, ...]


class PolicyPath(ApiModel):
    """Which version."""

    number: Annotated[int, Field(ge=1, le=2**31 - 2)]


class PolicyListing(Listing):
    """Of a tenant's own lines, the newest first."""


class Proposal(ApiModel):
    """A tenant's own lines as they are to be, all of them.

    Each is `p, role, tenant, kind, act, condition, effect`.
    """

    lines: Lines
    why: Line = ""


class PolicyVersionView(ApiModel):
    """One proposal."""

    number: int
    state: Literal["proposed", "holds", "past"]
    by: str
    why: str
    at: Instant
    applied_by: str
    applied: Instant | None
    digest: str
    """What an approval of `policy:apply` names, with `thing` the number."""


class PolicyVersionDetail(PolicyVersionView):
    """With its lines."""

    lines: tuple[str, ...]
    added: tuple[str, ...]
    """Against what holds now."""
    removed: tuple[str, ...]


class SubjectFacts(ApiModel):
    """Who asks, in a case."""

    agent: Word = ""
    team: Word = ""
    site: Word = ""
    employer: Word = ""


class ThingFacts(ApiModel):
    """What is asked about, in a case; what is left out is not known."""

    id: Word = ""
    agent: Word | None = None
    team: Word | None = None
    site: Word | None = None
    employer: Word | None = None
    on_call_with: Annotated[tuple[Word, ...] | None, Field(max_length=20)] = None
    made_ms: int | None = None
    in_team_since_ms: int | None = None
    has_legal_hold: bool | None = None


class TrialCase(ApiModel):
    """A question."""

    case: Line
    roles: Annotated[tuple[Annotated[Role, Field(strict=False)], ...], Field(max_length=10)]
    may: Annotated[Permission, Field(strict=False)]
    subject: SubjectFacts = SubjectFacts()
    thing: ThingFacts = ThingFacts()
    purpose: Line = ""
    allow: bool | None = None
    """What it should be; left out: only told."""


class Trial(ApiModel):
    """What is tried."""

    lines: Lines | None = None
    """Left out: those that hold."""
    cases: Annotated[tuple[TrialCase, ...], Field(max_length=200)] = ()


class TriedView(ApiModel):
    """One case under what holds, and with the lines that are tried."""

    case: str
    may: str
    now: bool
    then: bool
    why: str
    """Of `then`: allowed, denied, no_line, condition, foreign."""
    line: str | None
    """That decides then."""
    is_as_wanted: bool | None


class TrialView(ApiModel):
    """What came of it."""

    cases: tuple[TriedView, ...]
    """All that were sent."""
    platform_cases: int
    """So many more of the platform's own were tried."""
    differing: tuple[TriedView, ...]
    """Of those, the ones that would be decided otherwise than now."""
