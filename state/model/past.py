"""What has been: how calls ended, and why they went to whom. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from state.model.identity import AgentId, CallId, DidNumber, EdgeId, QueueId, SiteId, Whole


class Outcome(StrEnum):
    """How a call ended, exactly one per call."""

    ANSWERED = "answered"
    """An agent talked with the caller, and one of the two ended it."""
    ABANDONED = "abandoned"
    """The caller left before an agent answered."""
    REFUSED = "refused"
    """We would not or could not serve it, and said so."""
    LOST = "lost"
    """Cut off by a fault."""
    CALLBACK = "callback"
    """Sent away by a limit or a step of the queue, to be called back."""


class Decision(Struct, frozen=True, kw_only=True):
    """Why this agent got this call, as far as the hot path keeps it."""

    revision: int
    """Of the snapshot on which it was made."""
    wall_ms: Whole
    winner: AgentId
    score: float
    parts: Mapping[str, float]
    """What the score is made of, by name; see `edge.acd.rank`."""
    runners_up: tuple[tuple[AgentId, float], ...] = ()
    """At most ten, best first."""
    excluded: Mapping[str, int] = field(default_factory=dict)
    """Reason -> how many agents it excluded."""
    step: int = 0
    """How many of the queue's steps were in force; 0: none."""
    asked: Mapping[CallId, AgentId] = field(default_factory=dict)
    """Who counted as given though the snapshot did not show it: this edge had asked for them, or
    presumed that another did. Not kept when they were many. A call with `(passed over)` in place of
    an agent (`edge.acd.match`) says that its holder was silent: all calls of that edge were passed
    over."""
    unreachable: tuple[SiteId, ...] = ()
    """Sites that this edge took for out of everybody's reach."""
    passed_on_by: AgentId | None = None
    """Who chose the winner by a transfer; None: the match did."""


class Talk(Struct, frozen=True, kw_only=True):
    """One agent's talk with a caller, from when they heard each other until the agent was out."""

    agent: AgentId
    since_ms: Whole
    until_ms: Whole
    site: SiteId | None = None
    """The agent's home site then; None: not known any more."""
    holds: int = 0
    held_s: float = 0.0
    wrap_up_s: float | None = None
    """How long they were to wrap up after it; `Rested` tells if that was changed. Of talks of one
    agent in a row the last one's counts. None: written by an older program."""
    idle_s: float | None = None
    """For how long they had been free for calls since their last talk; None: nobody knows."""


class CallRecord(Struct, frozen=True, kw_only=True):
    """The end of a call. Written once, with the deletion of its ticket."""

    call: CallId
    did: DidNumber
    queue: QueueId
    outcome: Outcome
    cause: str
    """A constant word: `caller_hung_up`, `agent_hung_up`, `edge_died`, ..."""
    edge: EdgeId
    site: SiteId
    via: SiteId
    sip_call_id: str
    arrived_ms: Whole
    queued_ms: Whole | None
    connected_ms: Whole | None
    ended_ms: Whole
    agent: AgentId | None = None
    agent_site: SiteId | None = None
    agent_sip_call_id: str | None = None
    tried: tuple[AgentId, ...] = ()
    decision: Decision | None = None
    estimate_s: float | None = None
    holds: int = 0
    """How often the agent put the caller on hold."""
    held_s: float = 0.0
    """How long that was in all."""
    callback_of: CallId | None = None
    """The call that was lost or sent away, if this one was to call them back."""
    talks: tuple[Talk, ...] = ()
    """Of a call with more than one: all, in order. Empty: `agent` alone, from `connected_ms` to
    `ended_ms`."""
    unrecorded: str = ""
    """Why there is no recording of it, or none of a part; see `edge.acd.recorded`. Empty: there is,
    if an agent has answered."""
    wrap_up_s: float | None = None
    """Of a call with one talk, as `Talk.wrap_up_s`."""
    idle_s: float | None = None
    """Likewise."""


class RestTaken(Struct, frozen=True, kw_only=True):
    """How long an agent wrapped up after a talk, when that was ended early, or prolonged."""

    agent: AgentId
    since_ms: Whole
    """When the wrap-up began."""
    rest_s: float


class Rested(Struct, frozen=True, kw_only=True):
    """The wrap-ups of a call that were other than its record says. Written by home edges."""

    call: CallId
    rests: tuple[RestTaken, ...]
    at_ms: Whole


class Coding(Struct, frozen=True, kw_only=True):
    """What a call was about. Written by its agent, or somebody for them; the last one counts."""

    call: CallId
    agent: AgentId
    code: str
    """A `WrapUpCode`."""
    at_ms: Whole
    by: str = ""
    """Who said so, when it was not the agent."""
