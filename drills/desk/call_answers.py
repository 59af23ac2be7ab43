"""What a lab that is up answers of its calls: those that run, those to come back, and why. PURE."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from edge.acd.forecast import Accuracy
from edge.acd.handling import AgentWork
from edge.acd.service_level import Figures
from state.model import (
    AgentId,
    CallId,
    DidNumber,
    EdgeId,
    Outcome,
    QueueId,
    SiteId,
    SkillId,
    TicketState,
)


class CallRow(Struct, frozen=True, kw_only=True):
    """One call, running or over. The caller's number is nobody's business here."""

    call: CallId
    did: DidNumber
    queue: QueueId
    site: SiteId
    edge: EdgeId
    arrived_ms: int
    state: TicketState | None
    """None: it is over."""
    outcome: Outcome | None
    cause: str
    waited_s: float | None
    """Until an agent answered, or until it ended without; of one that waits, up to now."""
    talked_s: float | None
    """All agents together, holds included; what was waited between two talks is none."""
    ended_ms: int | None
    agent: AgentId | None
    agent_site: SiteId | None
    position: int | None = None
    """Among those who compete for the same agents, 1 is the next; None: it does not wait."""
    estimate_s: float | None = None
    """Of one that waits: how long it probably still will, from now. Of one that is over: what was
    estimated when it came, if its queue asks for that."""
    held_s: float = 0.0
    """Of one that is over: how long the agent had the caller on hold."""
    code: str = ""
    """What it was about, as its agent says; empty: nothing said."""
    callback_of: CallId | None = None
    """Of one that is over: the call that was lost or sent away, if this one was to call them
    back."""


class Calls(Struct, frozen=True, kw_only=True):
    """Those that run, then those that are over, the newest first."""

    lab: int
    now_ms: int
    calls: tuple[CallRow, ...]
    total: int
    """How many records the ledger has."""
    bad_records: Mapping[str, str]


class CallbackRow(Struct, frozen=True, kw_only=True):
    """Somebody who is to be called back. The number is nobody's business here."""

    call: CallId
    """The call that was sent away or lost."""
    did: DidNumber
    queue: QueueId | None
    is_under_way: bool
    """It waits in the line, or they are being dialled."""
    tries: int
    """So far in vain."""
    most_tries: int
    due_in_s: float
    """0: as soon as an agent is free."""
    until_ms: int | None
    waits_for_clearance: bool = False
    """Nobody has looked yet whether they may be called: until then they are not."""
    may_be_served_at: SiteId | None = None
    """A site that is cut off, or has not merged yet: until it is known they are not called."""


class Callbacks(Struct, frozen=True, kw_only=True):
    """Everybody who is to be called back, in the order in which they came."""

    lab: int
    now_ms: int
    callbacks: tuple[CallbackRow, ...]


class CandidateRow(Struct, frozen=True, kw_only=True):
    """One agent, as a call sees them."""

    agent: AgentId
    site: SiteId | None
    """None: no longer configured."""
    score: float | None
    excluded: str | None = None
    """Why not; None: they were in the running."""
    given_to: CallId | None = None
    """The call before this one that gets them, when that is why."""
    parts: Mapping[str, float] = field(default_factory=dict)
    skills: Mapping[SkillId, int] = field(default_factory=dict)


class Explained(Struct, frozen=True, kw_only=True):
    """Why a call has the agent it has, or none."""

    lab: int
    now_ms: int
    call: CallRow
    source: str
    """`log`: everybody's account as things stood then. `ledger`: no more than the call's record
    keeps, for no log goes back so far. `present`: as it would be decided now."""
    needs: Mapping[SkillId, int]
    """Skills that all are needed."""
    also: tuple[str, ...]
    """What else is needed, in words."""
    step: int
    """How many of the queue's steps had softened that; 0: none."""
    revision: int | None
    """Of the snapshot on which it was decided; None: it never was."""
    decided_ms: int | None
    winner: AgentId | None
    candidates: tuple[CandidateRow, ...]
    """Best first; from the present, those excluded after them."""
    excluded: Mapping[str, int]
    """Why -> how many agents."""
    tried: tuple[AgentId, ...]
    """Agents who refused it or let it ring."""
    place: int | None
    """In the line of all who wait, 1 is the next."""
    note: str
    """What else there is to know, in words."""
    read_from: str | None = None
    """The edge whose log told of the past."""
    differs: tuple[str, ...] = ()
    """In what the rerun on the log is other than what was decided."""


class Coded(Struct, frozen=True, kw_only=True):
    """What a call was about, by now."""

    lab: int
    agent: AgentId
    call: CallId
    code: str


class ReportRow(Struct, frozen=True, kw_only=True):
    """One queue in one interval."""

    queue: QueueId
    from_ms: int
    figures: Figures
    estimates: Accuracy | None
    """How wrong the estimated waits of its answered calls were; None: none were made."""
    codes: Mapping[str, int] = field(default_factory=dict)
    """What its calls were about: how many each wrap-up code was given to."""


class Report(Struct, frozen=True, kw_only=True):
    """How callers were served, by queue and by the interval in which they came."""

    lab: int
    now_ms: int
    interval_s: float
    target_s: float
    short_s: float | None
    """Who left within so long is a short abandon; None: within the target."""
    since_ms: int | None
    """Of callers who came from then on; None: from the first whose record is still there."""
    until_ms: int | None
    """And before then; None: to the last."""
    zone: str
    """IANA name of the place from whose midnight intervals count."""
    rows: tuple[ReportRow, ...]
    total: Figures
    agents: Mapping[AgentId, AgentWork]
    """What each did in all of these calls."""
    bad_records: Mapping[str, str]
