"""What has happened in a run, as frozen values in the order in which it was recorded. PURE.

Two sources: the store's own history, complete and in the order of its revisions; and what callers,
telephones and gates have seen. Instants are the machine's monotonic clock, which all share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from state.codec import Record
from state.keys import Kind
from state.model import AgentId, CallId, EdgeId, SiteId

Token: TypeAlias = tuple[int, int]
"""Epoch and revision."""
PASSED = "passed"
"""The verdict of a gate that let an offer through; any other is its reason."""


class Stored(Struct, frozen=True, kw_only=True):
    """The store was written; everything with one revision is one transaction."""

    at_s: float
    revision: int
    kind: Kind
    id: str
    value: Record | None
    """None: deleted."""


class Placed(Struct, frozen=True, kw_only=True):
    """A caller has sent an INVITE to a site."""

    at_s: float
    call: CallId
    site: SiteId
    did: str
    """Which number they dialled."""
    again: CallId | None = None
    """The call of the same caller to the same number that came to nothing; None: they have none."""


class Answered(Struct, frozen=True, kw_only=True):
    """A caller was answered, by the edge at this address."""

    at_s: float
    call: CallId
    edge: str


class TurnedAway(Struct, frozen=True, kw_only=True):
    """A caller was refused, or got no answer from anybody (status 0)."""

    at_s: float
    call: CallId
    status: int


class CallerOver(Struct, frozen=True, kw_only=True):
    """An answered caller's leg is over."""

    at_s: float
    call: CallId
    by_caller: bool


class AtGate(Struct, frozen=True, kw_only=True):
    """A gate has decided on an offer."""

    at_s: float
    site: SiteId
    agent: AgentId
    call: CallId
    token: Token
    verdict: str
    is_late: bool
    """A copy that the network delivers long after the first."""


class PickedUp(Struct, frozen=True, kw_only=True):
    """An agent has answered. The edge may never hear of it, nor the agent of the edge's ACK."""

    at_s: float
    agent: AgentId
    call: CallId


class LegUp(Struct, frozen=True, kw_only=True):
    """An agent has answered and the edge has acknowledged it."""

    at_s: float
    agent: AgentId
    call: CallId


class PassedOn(Struct, frozen=True, kw_only=True):
    """An agent wants to pass their caller on, by their telephone or over the API."""

    at_s: float
    agent: AgentId
    call: CallId
    to: str
    """An agent or a queue."""


class Consults(Struct, frozen=True, kw_only=True):
    """An agent who talks with a caller has called a colleague about them."""

    at_s: float
    agent: AgentId
    call: CallId
    to: AgentId


class ConsultationUp(Struct, frozen=True, kw_only=True):
    """The edge has answered: the two agents hear each other."""

    at_s: float
    agent: AgentId
    call: CallId
    to: AgentId


class ConsultationOver(Struct, frozen=True, kw_only=True):
    """The asker's telephone is through with that."""

    at_s: float
    agent: AgentId
    call: CallId
    to: AgentId
    how: str


class LegOver(Struct, frozen=True, kw_only=True):
    """An agent's telephone is through with an offer that the gate had let through."""

    at_s: float
    agent: AgentId
    call: CallId
    how: str


class Overlap(Struct, frozen=True, kw_only=True):
    """A telephone was rung while it still had a leg that nobody had ended, or asked a colleague."""

    at_s: float
    agent: AgentId
    old_call: CallId
    new_call: CallId
    old_edge: str
    old_since_s: float


class PhoneGone(Struct, frozen=True, kw_only=True):
    """An agent's telephone is not registered any more."""

    at_s: float
    agent: AgentId
    is_told: bool
    """Whether the proxy has told the edges; else they find out by looking."""


class PhoneBack(Struct, frozen=True, kw_only=True):
    """It is registered again."""

    at_s: float
    agent: AgentId


class FaultKind(StrEnum):
    """What is done to the system."""

    KILL_EDGE = "kill_edge"
    FREEZE_EDGE = "freeze_edge"
    KILL_ETCD = "kill_etcd"
    FREEZE_ETCD = "freeze_etcd"
    SLOW_DISK = "slow_disk"
    CUT = "cut"
    """A site from both others, both ways."""
    CUT_ONE_WAY = "cut_one_way"
    """What one site sends to another; `target` is `a>b`."""
    CUT_OFF = "cut_off"
    """A site from both others, for so long that it has to serve alone."""
    CUT_OFF_ONE_WAY = "cut_off_one_way"
    """All that a site sends to the others, `a>`, or all that they send to it, `>a`, for as long."""
    LOSE_EVENTS = "lose_events"
    LATE_EVENTS = "late_events"
    WRONG_CLOCK = "wrong_clock"
    RESTART_PROXY = "restart_proxy"


class Broken(Struct, frozen=True, kw_only=True):
    """A fault has begun."""

    at_s: float
    kind: FaultKind
    target: str


class Mended(Struct, frozen=True, kw_only=True):
    """A fault is over: what was killed is ready again, what was cut is joined."""

    at_s: float
    kind: FaultKind
    target: str


class Mode(Struct, frozen=True, kw_only=True):
    """An edge has said by what it serves, and it is not what it had said before."""

    at_s: float
    edge: EdgeId
    mode: str


class Mirrored(Struct, frozen=True, kw_only=True):
    """An edge has said what its mirror of the store holds."""

    at_s: float
    edge: EdgeId
    revision: int
    digest: str
    """Of all keys under `keys.STATE`, as it stood at that revision."""


class Stock(Struct, frozen=True, kw_only=True):
    """What was left when all faults were over, all calls hung up, and time had been given."""

    at_s: float
    gates: Mapping[AgentId, str]
    """State of each agent's gate, as the home site's proxy has it."""
    phones: Mapping[AgentId, CallId]
    """Telephones that still have a leg."""
    edges: Mapping[EdgeId, Mapping[str, int]]
    """What each edge says that it holds; empty: it did not answer."""

    def says_other_than(self, other: Stock) -> bool:
        """Tell whether something has moved between two of them."""
        return (self.gates, self.phones, self.edges) != (other.gates, other.phones, other.edges)


Event: TypeAlias = (
    Stored
    | Placed
    | Answered
    | TurnedAway
    | CallerOver
    | AtGate
    | PickedUp
    | LegUp
    | PassedOn
    | Consults
    | ConsultationUp
    | ConsultationOver
    | LegOver
    | Overlap
    | PhoneGone
    | PhoneBack
    | Broken
    | Mended
    | Mode
    | Mirrored
    | Stock
)
OPERATIONS = (Placed, CallerOver, AtGate, LegUp, PassedOn, Consults, ConsultationOver, LegOver)
"""What people asked of the edges, and the edges of people; each has an outcome that is checked."""


@dataclass(slots=True)
class History:
    """One run."""

    events: list[Event] = field(default_factory=list)
    operations: int = 0

    def note(self, event: Event) -> None:
        """Append an event."""
        self.events.append(event)
        self.operations += isinstance(event, OPERATIONS)
