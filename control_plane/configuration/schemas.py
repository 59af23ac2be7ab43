"""What the API takes and gives of the configuration as a whole."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from control_plane.api.model import ApiModel, Id, Instant, Line
from control_plane.api.paging import Listing
from state.configuration_findings import Severity

WHOLE: Final = 100


class ItemPath(ApiModel):
    """Which one."""

    id: Id


class ItemListing(Listing):
    """Of one section."""


class Trial(ApiModel):
    """How a change is made."""

    dry_run: bool = False
    """Nothing is written: only findings and changes are told."""
    why: Line = ""
    """For the history."""


class MoveTrial(Trial):
    """How traffic is moved."""

    force: bool = False
    """Although it does not fit: say `why`."""


class QueueOutlook(ApiModel):
    """How a queue would fare when traffic has moved."""

    queue: str
    fits: bool
    """False: its goal would not be kept, and the move is why."""
    erlangs: float
    """Agents that its callers keep busy."""
    agents: float
    """Who suits it, each by the part of their time that it gets."""
    suited: int
    """The same people, counted whole."""
    short: int
    """Agents missing for the goal."""
    wait_s: float | None
    """On average, by the formula; null: the line would grow for ever."""
    level: float
    """The share answered within the target, by the formula."""
    was_level: float | None
    imagined_calls: int
    """Imagined callers whom the real matcher was given."""
    imagined_wait_s: float | None
    """How long those waited who were served; null: nobody was."""
    imagined_level: float | None
    imagined_was_level: float | None
    turned_away: int
    never: int
    """Imagined callers for whom nobody would ever have come."""


class SiteOutlook(ApiModel):
    """What a site would carry when traffic has moved, of all tenants: told to the center's own."""

    site: str
    fits: bool
    """False: it has no room for what would come, and the move is why."""
    is_draining: bool
    agents: int | None = None
    """null: that is not for this tenant; likewise below."""
    calls_per_s: float | None = None
    was_calls_per_s: float | None = None
    erlangs: float | None = None
    """Calls at once."""
    lines: int | None = None
    """Needed for them, with one call in a hundred blocked (Erlang B)."""
    room: int | None = None
    """Lines that there are; null: nobody has said."""
    lines_short: int
    most_calls_per_s: float
    """What its edges let in."""


class MoveView(ApiModel):
    """What moving traffic would come to."""

    is_checked: bool = False
    why_unchecked: str = ""
    fits: bool = True
    emergency: str = ""
    """Why it is done whatever it comes to; empty: it is no emergency."""
    others_short: int = 0
    """Queues of other tenants that would not fit."""
    since: Instant | None = None
    """The calls since then are what is reckoned with."""
    target_s: float = 0.0
    level: float = 0.0
    """The goal: such a share answered within the target."""
    seed: int = 0
    """Of the imagined callers."""
    formula: str = ""
    queues: tuple[QueueOutlook, ...] = ()
    sites: tuple[SiteOutlook, ...] = ()


class FindingView(ApiModel):
    """One thing that is wrong with the configuration."""

    severity: Severity
    section: str
    id: str
    field: str
    fault: str
    remedy: str


class ChangeView(ApiModel):
    """How one table differs. Secrets are told only as changed."""

    section: str
    id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Written(ApiModel):
    """What a change did, or would have done."""

    version: int
    """Of the configuration, with the change; where nothing was written, the one that stands."""
    is_written: bool
    findings: tuple[FindingView, ...]
    """Warnings."""
    changes: tuple[ChangeView, ...]


class Moved(Written):
    """What a change did that may have moved traffic."""

    move: MoveView | None = None
    """What moving traffic comes to; null: none moves."""


class VersionPath(ApiModel):
    """Which version."""

    number: Annotated[int, Field(ge=1, le=2**31 - 2)]


class VersionView(ApiModel):
    """One change of the configuration."""

    number: int
    at: Instant
    by: str
    why: str
    what: str


class VersionDetail(VersionView):
    """With what it changed."""

    changes: tuple[ChangeView, ...]


class Between(ApiModel):
    """Two versions."""

    before: Annotated[int, Field(ge=0, le=2**31 - 2)]
    """0: nothing at all."""
    after: Annotated[int, Field(ge=0, le=2**31 - 2)]


class Difference(ApiModel):
    """How two versions differ."""

    changes: tuple[ChangeView, ...]


class Rollback(ApiModel):
    """Back to which version."""

    to: Annotated[int, Field(ge=1, le=2**31 - 2)]


class Standing(ApiModel):
    """The configuration as it stands."""

    version: int
    """0: there is none yet."""
    counts: dict[str, int]
    findings: tuple[FindingView, ...]
    active_plans: tuple[str, ...]


class Awaited(ApiModel):
    """What to wait for."""

    version: Annotated[int, Field(ge=1, le=2**31 - 2)] | None = None
    """Left out: the newest."""
    wait_s: Annotated[float, Field(ge=0, le=10)] = 0.0


class EdgeApplied(ApiModel):
    """One edge."""

    edge: str
    site: str
    applied: int


class Publication(ApiModel):
    """How far a version has come."""

    version: int
    stands: int
    """Which version stands in the shared state; 0: a file's, or none."""
    is_everywhere: bool
    edges: tuple[EdgeApplied, ...]
    missing: tuple[str, ...]
    """Edges that do not go by it yet."""
    problem: str = ""
    """Why it is not published, if that is known."""


class Done(Moved):
    """What a change did, and how far it has come."""

    publication: Publication


class PlanState(ApiModel):
    """Whether a plan is active, and would fit."""

    plan: str
    is_active: bool
    since: Instant | None
    by: str
    why: str
    misfits: tuple[FindingView, ...]


class Reason(ApiModel):
    """For the history."""

    why: Line


class Traffic(ApiModel):
    """Who serves the calls that come to a site."""

    shares: Annotated[dict[Id, Annotated[int, Field(ge=1, le=100)]], Field(max_length=20)]
    """Percent by site, 100 in all; empty: it serves them itself."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.shares and sum(self.shares.values()) != WHOLE:
            raise ValueError(f"the shares should be 100 % in all, not {sum(self.shares.values())}")
        return self


class Drain(ApiModel):
    """What a site is to do."""

    draining: bool
    backups: tuple[Id, ...] | None = None
    """Which sites take its calls meanwhile; left out: as configured."""
