"""What is going on: who is there, who waits, who talks to whom. PURE."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from state.discreet import Discreet
from state.model.configuration import AttributeNeed, CallBack, SkillNeed
from state.model.identity import (
    MAIN,
    AgentId,
    CallId,
    DidNumber,
    EdgeId,
    QueueId,
    SiteId,
    TenantId,
    Whole,
)
from state.model.past import Talk


class RecordingState(StrEnum):
    """What is kept of a call at present."""

    RECORDING = "recording"
    PAUSED = "paused"
    UNRECORDED = "unrecorded"
    """There is no recording of this call."""


class RecordingStatus(Struct, frozen=True, kw_only=True):
    """What the recorder has confirmed. Written by the edge that holds the call."""

    call: CallId
    edge: EdgeId
    state: RecordingState
    wish: int = 0
    """The mod_revision of the wish that this answers."""
    hears_keys: bool = True
    """Whether the agent hears what the caller keys: tones in the audio, and no events beside it."""
    hears_caller: bool = True
    """Whether the agent hears the caller at all: not while a pause keeps tones from them."""


FIRST_EPOCH = 1
"""Of an agent whose site has never served without a quorum; see `edge.acd.token`."""


class PresenceState(StrEnum):
    """What an agent's home site says of them."""

    SIGNED_OUT = "signed_out"
    PAUSED = "paused"
    READY = "ready"


class Presence(Struct, frozen=True, kw_only=True):
    """An agent's registration and wish in one. Written by the agent's home edge alone."""

    agent: AgentId
    site: SiteId
    state: PresenceState
    since_ms: Whole
    reason: str = ""
    """Why paused; see `edge.acd.attendance`."""
    rest_of: int = 0
    """The mod_revision of the work record of which the rest is `rest_s` instead; 0: of none."""
    rest_s: float = 0.0
    epoch: int = FIRST_EPOCH
    """Of the tokens of the agent's next offers. Odd; see `edge.acd.token`."""


class Move(Struct, frozen=True, kw_only=True):
    """To which site an agent was moved last: that one is their home for now.

    Written by an edge of `site`, where their telephone had registered, when their home of before
    was dead or had no telephone of theirs; see `edge.steering.moves`. It stays when they are back,
    since no token of before it may ring them.
    """

    agent: AgentId
    site: SiteId
    home: SiteId
    """Where they are configured to be at home. If that is changed, the move is void."""
    since_ms: Whole


class EdgeState(StrEnum):
    """Whether an edge takes new calls."""

    SERVING = "serving"
    DRAINING = "draining"


class EdgeLife(Struct, frozen=True, kw_only=True):
    """An edge process that lives. Written by itself, under its lease."""

    edge: EdgeId
    site: SiteId
    sip: str
    """`host:port` where it takes SIP from the Kamailios."""
    state: EdgeState
    started_ms: Whole
    applied: int = 0
    """The version of the configuration by which it, and its site's Kamailio, last went: see
    `Release`. 0: none, or a file's."""
    is_crowded: bool = False
    """Calls have come faster than it answers them for a while: other sites would rather send it
    none (`edge.steering.crowding`)."""
    alone: tuple[EdgeId, ...] = ()
    """The edges of its site, itself among them, that have served without a quorum and not merged,
    as far as it knows: what became of their calls the store does not tell yet."""


class TicketState(StrEnum):
    """How far a caller has come."""

    GREETING = "greeting"
    QUEUED = "queued"
    OFFERED = "offered"
    CONNECTED = "connected"

    @property
    def is_waiting(self) -> bool:
        """Whether the caller has been given no agent yet."""
        return self in {TicketState.GREETING, TicketState.QUEUED}


class Ticket(Discreet, frozen=True, kw_only=True):
    """A caller's place. Written by the edge that holds the caller (`holder`).

    Its place in the queue is its create_revision, or `place`. It outlives its holder.
    """

    UNTOLD: ClassVar = frozenset({"caller"})

    call: CallId
    did: DidNumber
    queue: QueueId
    tenant: TenantId = MAIN
    """Whose caller this is: no other tenant's agents are offered the call, whatever its queue."""
    needs: tuple[SkillNeed, ...]
    priority: Whole
    state: TicketState
    holder: EdgeId
    site: SiteId
    """The holder's site: where the media is anchored."""
    via: SiteId
    """The site whose Kamailio carries the caller's dialog."""
    caller: str
    """Calling number: personal data."""
    by: AgentId | None = None
    """The agent who calls from a telephone of ours, by the word of the proxy, which has asked them
    for proof. They are offered nothing meanwhile. None: somebody else calls."""
    sip_call_id: str
    arrived_ms: Whole
    queued_ms: Whole | None = None
    connected_ms: Whole | None = None
    agent: AgentId | None = None
    idle_s: float | None = None
    """For how long that agent had been free since their last talk; None: nobody knows."""
    tried: tuple[AgentId, ...] = ()
    """Agents who refused or let it ring, so that others come first."""
    any_of: tuple[tuple[SkillNeed, ...], ...] = ()
    attributes: tuple[AttributeNeed, ...] = ()
    prefers: AgentId | None = None
    """Waits for this agent alone, as long as `prefers_for_s` of waiting are not over."""
    prefers_for_s: float = 0.0
    waited_s: float = 0.0
    """How long the caller had waited when this was written, by its holder's monotonic clock."""
    place: int | None = None
    """The create_revision of the ticket that this caller had lost before; None: its own counts."""
    estimate_s: float | None = None
    """How long a wait was estimated on arrival."""
    call_back: CallBack | None = None
    """How this caller may be called back; None: they may not, or nobody knows their number."""
    callback_of: CallId | None = None
    """The call that was lost or sent away, if this one calls them back."""
    tries: int = 0
    """How often they have been called back, with this."""
    until_ms: Whole | None = None
    """Until when they want to be; None: it has not come to that."""
    talks: tuple[Talk, ...] = ()
    """Those that are over."""
    talking_ms: Whole | None = None
    """Since when the present one goes on, if there were others before; else `connected_ms` says."""
    region: str = ""
    """In which country's form the calling number came; empty: nobody says."""
    again_of: tuple[CallId, ...] = ()
    """Calls from this number to this DID that waited at other edges when this one came: see
    `edge.acd.heirs`."""
    takes_callback: bool = False
    """They have been asked whether they want to be called back, and have said yes: they hear that
    it will be so, and wait no longer."""
    cut_off_of: CallId | None = None
    """The call from this number to this DID in which this caller was cut off in talk, when they
    came again before it was closed: see `edge.acd.cut_off`."""


class Place(Discreet, frozen=True, kw_only=True):
    """What is left to a caller whose call was cut off, or who was sent away to be called back.

    Whoever dials the same DID from the same number within ten minutes has it back, once; whoever
    does not may be called back (`due_s`). Written by whoever closes the ticket; deleted by the edge
    that gives the place back or calls them back, or when it is too old.
    """

    UNTOLD: ClassVar = frozenset({"caller"})

    call: CallId
    """The lost one."""
    did: DidNumber
    caller: str
    """Calling number: personal data."""
    place: int
    """The revision that says who comes first; 0: this record's own create_revision, since they were
    sent away at the door."""
    waited_s: float = 0.0
    """As the lost ticket said."""
    has_heard_greeting: bool = False
    prefers: AgentId | None = None
    """The agent with whom they were talking."""
    queue: QueueId | None = None
    """Where they waited."""
    call_back: CallBack | None = None
    due_s: float | None = None
    """So long after this was written they are called back; None: they are not."""
    until_ms: Whole | None = None
    tries: int = 0
    """How often they have been called back in vain."""
    was_sent_away: bool = False
    """To be called back. If they call again, how long they had waited before counts against no
    limit."""
    held_by: EdgeId | None = None
    """Who held the call when a survivor closed it: cut off and not dead, it may serve the caller
    yet (`edge.acd.in_doubt`). None: whoever closed it knew what had become of it."""
    held_at: SiteId | None = None
    """That edge's site."""


class Clearance(Struct, frozen=True, kw_only=True):
    """Whether the caller of a place may be called back, by what customers have consented to.

    Written by the control planes, which know customers; edges know a number alone, and dial nobody
    without it. It is of one version of the place: whoever is to be called once more is looked up
    once more. Deleted with the place, or by an edge when that is gone or another.
    """

    call: CallId
    """Whose place it is."""
    place: int
    """The mod_revision of the place that was looked at."""
    may_call: bool
    customers: int = 0
    """How many customers with that number were found; 0: nobody knows the caller."""
    looked_ms: Whole = 0


class Heir(Struct, frozen=True, kw_only=True):
    """Who was given an agent at the place of a call whose edge could not act: nobody is once more.

    Written by the edge that holds them, with their offer; see `edge.acd.heirs`. Or by whoever
    closes the call of somebody who had been cut off in this one, and has talked again: see
    `edge.acd.cut_off`. Deleted when the call is long over.
    """

    call: CallId
    """Whose place it was, or would have been."""
    heir: CallId


class Claim(Struct, frozen=True, kw_only=True):
    """Whom the caller of a call has acknowledged, where another edge holds its ticket.

    Written by the edge that has the caller's ACK and was refused the ticket; deleted by it, with
    the ticket that it gets or as it gives up. See `edge.acd.yielding`.
    """

    call: CallId
    edge: EdgeId


class OfferState(StrEnum):
    """How far an agent's call has come."""

    RINGING = "ringing"
    TALKING = "talking"


class Offer(Struct, frozen=True, kw_only=True):
    """One agent given to one call. Created, changed and deleted by the edge that won it."""

    agent: AgentId
    call: CallId
    edge: EdgeId
    state: OfferState
    since_ms: Whole
    epoch: int = FIRST_EPOCH
    """The token's; see `edge.acd.token`."""
    granted: int | None = None
    """The token's count, of an offer made without a quorum; None: its create_revision counts."""
    hold_since_ms: Whole | None = None
    """Since when the agent has the caller on hold; None: they talk."""


class WorkEnd(StrEnum):
    """How an agent's last offer ended."""

    TALKED = "talked"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    UNREACHABLE = "unreachable"
    WITHDRAWN = "withdrawn"
    """The caller left, or a fault ended it: nothing the agent did."""


class Work(Struct, frozen=True, kw_only=True):
    """What an agent has done so far. Written, with the deletion of the offer, by that offer's edge.

    The agent rests for `rest_s` from the moment each reader saw this record: wrap-up after a call,
    a pause after an unanswered ring. From `rested_s` before, if it says so.
    """

    agent: AgentId
    calls: int = 0
    busy_s: float = 0.0
    idle_s: float = 0.0
    end: WorkEnd = WorkEnd.TALKED
    rest_s: float = 0.0
    rested_s: float = 0.0
    """How much of the rest was over when this was written: what was done without a quorum, say."""
    ended_ms: Whole = 0
    recent_calls: float = 0.0
    """Calls that fade with `busy_s` and `idle_s`: those of about the last hour."""
    unanswered: int = 0
    """How many offers in a row the agent has let ring."""
    call: CallId | None = None
    """Of which call the last offer was; None: written by an older program."""
    idle_untold_s: float = 0.0
    """For how long they were free before offers that came to no talk, since the last talk: the
    record of the next one tells it."""


class Probe(Struct, frozen=True, kw_only=True):
    """What one edge's probes say of the sites. Written by that edge, when it changes."""

    edge: EdgeId
    up: tuple[SiteId, ...]
    down: tuple[SiteId, ...]
    lossy: tuple[SiteId, ...] = ()
    """Sites from which too many packets of the media probes do not arrive here."""
    unsure: tuple[SiteId, ...] = ()
    """Sites of which it cannot tell that yet: they, or this edge, have not been there for long."""


class Unreplicated(Struct, frozen=True, kw_only=True):
    """Recordings of a site that no other site is known to have.

    Written by one edge of the site, as its recorder says. What stands here of a site that has died
    is what died with it, up to what was recorded in its last seconds.
    """

    site: SiteId
    recordings: int
    """Of calls that are over."""
    recorded_s: int
    """How long those are together, in seconds of talk."""
    under_way: int
    """Calls that are being recorded."""
    under_way_s: int
    is_late: bool
    """Whether one of a call that is over has waited for a minute, or nobody can say."""


class Barred(Struct, frozen=True, kw_only=True):
    """An agent whose user is disabled: no phone of theirs signs in, and they get no calls.

    Written by the control planes.
    """

    agent: AgentId
    since_ms: Whole
