"""PURE. What a decision is about: who asks, of what, and under which circumstances.

Frozen values without methods that change anything. The server fills them from its own tables and
mirrors; nothing in them is taken from what a client says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from control_plane.permissions import Permission, Role

ANY_TENANT = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role in a tenant, or in all (`*`)."""

    role: Role
    tenant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Somebody who is signed in, or a service."""

    id: str
    tenant: str
    """Where the subject belongs. Where a request acts stands in the request."""
    grants: frozenset[Grant]
    session: str = ""
    """The sign-in by which they ask."""
    is_active: bool = True
    until_ms: int | None = None
    """When a machine's token is over; None: of a user, whose sessions say that."""
    agent: str = ""
    """The id under which the subject takes calls; empty: takes none."""
    employer: str = ""
    """Empty: our own people."""
    team: str = ""
    site: str = ""

    def roles_in(self, tenant: str) -> frozenset[Role]:
        """Return the roles that count in `tenant`."""
        return frozenset(
            grant.role for grant in self.grants if grant.tenant in (tenant, ANY_TENANT)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """What a subject wants to act on. None: not known; a condition that needs it fails closed."""

    kind: str
    tenant: str
    id: str = ""
    agent: str | None = None
    """Whose it is: the agent of a call or recording."""
    team: str | None = None
    site: str | None = None
    employer: str | None = None
    on_call_with: frozenset[str] | None = None
    """Agents who talk to this customer, or still wrap that call up."""
    made_ms: int | None = None
    in_team_since_ms: int | None = None
    """Since when the agent it is of has been in that team."""
    has_legal_hold: bool | None = None
    digest: str = ""
    """Of exactly this state: what an approval is bound to."""
    by: str | None = None
    """Who has asked for it: of a request for approval."""
    numbers: tuple[str, ...] | None = field(default=None, repr=False)
    """Of who calls, or of the customer, as E.164; what says no country is as good as not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A second person's yes to one act on one thing in one state, good for one use."""

    by: str
    act: str
    thing: str
    digest: str
    until_ms: int
    is_used: bool
    same_line: bool
    """Whether approver and requester stand in one reporting line."""
    still_may: bool
    """Whether who gave it may still give one: they may have been disabled since."""
    are_of_one: bool = False
    """Whether one of the two has made the other: created them, or set their password or roles."""
    things: frozenset[tuple[str, str]] = frozenset()
    """Further things and their digests, where it is of several at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glass:
    """A break-glass permit, taken for an incident."""

    ticket: str
    until_ms: int
    things: frozenset[str]
    """The ids that it names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What else a decision may depend on."""

    now_ms: int
    purpose: str = ""
    approval: Approval | None = None
    glass: Glass | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whether `subject`, acting in `tenant`, may do this to `thing` now."""

    subject: Subject
    tenant: str
    permission: Permission
    thing: Thing
    around: Circumstances = field(default_factory=lambda: Circumstances(now_ms=0))


def counts(subject: Subject, now_ms: int) -> bool:
    """Return whether somebody may ask at all: not disabled, and no machine whose token is over."""
    is_over = subject.until_ms is not None and subject.until_ms <= now_ms
    return subject.is_active and not is_over
