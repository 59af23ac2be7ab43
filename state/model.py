"""The nouns of the shared state, as frozen values.

Owns what a record means and which field is whose. Knows nothing of etcd, JSON, SIP or HTTP.

Every record has exactly one writer (named in its docstring); everybody else reads. Durations are in
seconds. Wall-clock stamps end in `_ms` (milliseconds since the epoch, UTC) and are for people and
reports: no decision about safety or order rests on them. Order is by etcd revision; elapsed time is
measured by each reader on its own monotonic clock from the moment it saw the record
(`Entry.seen_s`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Generic, NewType, TypeVar

from msgspec import Struct, field

from state.discreet import Discreet

SiteId = NewType("SiteId", str)
EdgeId = NewType("EdgeId", str)
TrunkId = NewType("TrunkId", str)
DidNumber = NewType("DidNumber", str)
QueueId = NewType("QueueId", str)
SkillId = NewType("SkillId", str)
AgentId = NewType("AgentId", str)
CalendarId = NewType("CalendarId", str)
TenantId = NewType("TenantId", str)
CallId = NewType("CallId", str)
"""Ours: names one caller's call for its whole life. SIP's is always `sip_call_id`."""

MAIN = TenantId("main")
"""The tenant of whatever names none: the center's own."""

T_co = TypeVar("T_co", covariant=True)


class Now(Struct, frozen=True, kw_only=True):
    """One instant on both clocks. Pure code takes it as an argument and never asks for it."""

    mono_s: float
    """This process's monotonic clock: the only one durations are measured on."""
    wall_ms: int
    """UTC, for records and people."""


class Entry(Struct, Generic[T_co], frozen=True, kw_only=True, eq=False):
    """A record with what the store knows of it."""

    value: T_co
    create_revision: int
    mod_revision: int
    seen_s: float
    """When this process first saw this `mod_revision`, on its monotonic clock."""
    is_found: bool = False
    """This process did not see it being written, but found it in a listing: it may be older than
    `seen_s` says. Two entries are equal whatever it is."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and self._compared == other._compared

    def __hash__(self) -> int:
        return hash(self._compared)

    @property
    def _compared(self) -> tuple[object, ...]:
        return (self.value, self.create_revision, self.mod_revision, self.seen_s)


# ---- configuration: written by the control plane (at this stage by the CLI) ----------------------


class Site(Struct, frozen=True, kw_only=True):
    """A place with a Kamailio, an rtpengine and edges."""

    id: SiteId
    name: str
    sip: str
    """`host:port` of its Kamailio, as the other sites and the carriers reach it (UDP)."""
    distance_ms: Mapping[SiteId, int] = field(default_factory=dict)
    """Round trip to the other sites, for choosing the nearer one."""
    draining: bool = False
    backups: tuple[SiteId, ...] = ()
    """Sites that take its calls before all others while it drains, in this order."""
    shares: Mapping[SiteId, int] = field(default_factory=dict)
    """Of the calls that come to it, how many parts each site serves; empty: it serves them all."""


class Trunk(Struct, frozen=True, kw_only=True):
    """A carrier's connection: who may send us calls from the outside."""

    id: TrunkId
    addresses: tuple[str, ...]
    """Source IP addresses, without ports."""
    sip: str = ""
    """`host:port` where it takes calls from us; empty: it takes none."""
    dial_out: tuple[str, ...] = ()
    """With what numbers must begin that are dialled through it; empty: none may be."""
    tenants: tuple[TenantId, ...] = (MAIN,)
    """Whose callers may be called back through it."""
    region: str = ""
    """ISO 3166 code of the country whose way of writing numbers its calls have: `DE`. Empty: only
    numbers with a + are understood."""


class CallBack(Struct, frozen=True, kw_only=True):
    """How a queue calls those back whom it sent away to be called back, or who were cut off."""

    trunk: TrunkId
    tries: int = 3
    pause_s: float = 300.0
    """Between a try and the next."""
    ring_s: float = 25.0
    expires_s: float = 7200.0
    """After so long nobody wants to be called back any more; by the wall clock."""
    after_lost_s: float | None = None
    """Who was cut off and does not call again within so long is called back; None: they are not."""


class TurnAway(StrEnum):
    """What becomes of a caller whom a queue serves no longer, or not at all."""

    REFUSE = "refuse"
    CALLBACK = "callback"
    """To be called back, as the queue's `call_back` says; the call's record says so too."""


class Did(Struct, frozen=True, kw_only=True):
    """A number that callers dial."""

    number: DidNumber
    queue: QueueId
    greeting: str | None = None
    """Prompt name; None: the queue's."""
    tenant: TenantId = MAIN
    sites: tuple[SiteId, ...] = ()
    """Sites that take its calls before all others, in this order; empty: the one it came to."""
    calendar: CalendarId | None = None
    """When it is open; None: always."""
    closed_queue: QueueId | None = None
    """Where its callers go while it is closed; None: they are turned away."""
    closed: TurnAway = TurnAway.REFUSE
    """What those get who are turned away while it is closed."""


class Opening(Struct, frozen=True, kw_only=True):
    """A stretch of a day, in minutes after midnight, local time: from `begin` to before `end`."""

    begin: int
    end: int
    """Up to 1440: the day's end."""


class SpecialDay(Struct, frozen=True, kw_only=True):
    """A date with hours of its own, such as a holiday."""

    date: str
    """`2026-12-24`."""
    openings: tuple[Opening, ...] = ()
    """None: closed all day."""


class Calendar(Struct, frozen=True, kw_only=True):
    """Opening hours; see `edge.acd.hours`."""

    id: CalendarId
    zone: str
    """IANA name of the time zone: `Europe/Berlin`."""
    week: tuple[tuple[Opening, ...], ...]
    """Seven days, Monday first."""
    special: tuple[SpecialDay, ...] = ()
    tenant: TenantId = MAIN


class PauseCode(Struct, frozen=True, kw_only=True):
    """A reason for which agents pause. Where a tenant has any, its agents use no others."""

    id: str
    name: str = ""
    tenant: TenantId = MAIN


class WrapUpCode(Struct, frozen=True, kw_only=True):
    """What a call was about, as its agent says afterwards."""

    id: str
    name: str = ""
    tenant: TenantId = MAIN


class Contingency(Struct, frozen=True, kw_only=True):
    """A contingency plan that is active. What it changes stands in the other records already."""

    id: str
    name: str
    since_ms: int
    tenant: TenantId = MAIN


class Release(Struct, frozen=True, kw_only=True):
    """Which version of the configuration stands in the shared state; written with it.

    Whoever publishes compares this record's revision, so that no older version ever replaces a
    newer one. There is one, `CURRENT`; none where the configuration came from a file.
    """

    version: int
    is_whole: bool = True
    """False: its records are still being written."""
    id: str = "current"


class SkillNeed(Struct, frozen=True, kw_only=True, cache_hash=True):
    """A skill that an agent must have, at least at `level` (1 to 10)."""

    skill: SkillId
    level: int = 1


class AttributeNeed(Struct, frozen=True, kw_only=True):
    """A value that an agent must have under a name: `language` = `de`."""

    name: str
    value: str


class Scope(Struct, frozen=True, kw_only=True):
    """Which agents a queue turns to. An empty tuple does not restrict."""

    sites: tuple[SiteId, ...] = ()
    teams: tuple[str, ...] = ()
    employers: tuple[str, ...] = ()


ANYBODY = Scope()


class ScoreWeights(Struct, frozen=True, kw_only=True):
    """How much each part of an agent's score counts; see `edge.acd.rank`."""

    skill_fit: float = 1.0
    load: float = 1.0
    idle: float = 1.0
    distance: float = 0.0


class Strategy(StrEnum):
    """By what a queue chooses among the agents who can take a call; see `edge.acd.rank`."""

    WEIGHTED = "weighted"
    LONGEST_IDLE = "longest_idle"
    LEAST_OCCUPIED = "least_occupied"
    FEWEST_CALLS = "fewest_calls"
    MOST_SKILLED = "most_skilled"
    LEAST_SKILLED_SUFFICIENT = "least_skilled_sufficient"
    ROUND_ROBIN = "round_robin"


class Step(Struct, frozen=True, kw_only=True, cache_hash=True):
    """What a queue gives up for a caller who has waited so long; see `edge.acd.relaxation`.

    Steps add up, and the place in the queue stays.
    """

    after_s: float
    lower: tuple[SkillNeed, ...] = ()
    """New least levels; a level that is lower already stays."""
    drop: tuple[SkillId, ...] = ()
    drop_attributes: tuple[str, ...] = ()
    drop_preference: bool = False
    scope: Scope | None = None
    """The scope from now on; None: as it was."""
    raise_priority: int = 0
    overflow: QueueId | None = None
    """From now on the caller is served by that queue's needs, scope and strategy."""
    turn_away: TurnAway | None = None


class Limit(Struct, frozen=True, kw_only=True):
    """How much a queue takes, and what becomes of a caller beyond that."""

    most: float
    """Calls for a length, seconds for a time."""
    overflow: QueueId | None = None
    """They go to that queue."""
    turn_away: TurnAway = TurnAway.REFUSE
    """What they get when no queue to overflow to is named, or it is beyond its own limits."""


class RecordingFailure(StrEnum):
    """What becomes of a call that should be recorded and cannot be."""

    GO_ON = "go_on"
    """Say so, if there is a prompt for it, and go on unrecorded."""
    END = "end"


class CountryRules(Struct, frozen=True, kw_only=True):
    """What holds for callers from one country, in place of what the queue says."""

    announcement: str | None = None
    """Prompt name, before the queue."""
    consent: str | None = None
    """Prompt that asks for a key, without which the call is not recorded; None: nobody is asked."""
    recorded: bool = True


class RecordingRules(Struct, frozen=True, kw_only=True):
    """Which calls of a queue are recorded, and what their callers hear; see `edge.acd.recorded`."""

    share: float = 1.0
    """From 0 to 1."""
    announcement: str | None = None
    consent: str | None = None
    countries: Mapping[str, CountryRules] = field(default_factory=dict)
    """By ISO 3166 code of the caller's number. Whoever's number tells none has the queue's own."""
    key: str = "1"
    """With which a caller consents."""
    wait_s: float = 5.0
    """For that key, once the question has been asked."""
    failure: RecordingFailure = RecordingFailure.GO_ON
    apology: str | None = None
    """Prompt: what the caller hears when a call goes on that should be recorded and is not."""


class Queue(Struct, frozen=True, kw_only=True):
    """Where callers wait, and by which rules."""

    id: QueueId
    needs: tuple[SkillNeed, ...]
    priority: int = 0
    """Higher is served first."""
    greeting: str | None = None
    music: str = "music"
    ring_timeout_s: float = 15.0
    wrap_up_s: float = 5.0
    no_answer_pause_s: float = 10.0
    """How long an agent who let it ring, or refused, is left alone."""
    weights: ScoreWeights = ScoreWeights()
    any_of: tuple[tuple[SkillNeed, ...], ...] = ()
    """Of each group an agent must meet one."""
    attributes: tuple[AttributeNeed, ...] = ()
    scope: Scope = ANYBODY
    """Whom the queue turns to at first."""
    steps: tuple[Step, ...] = ()
    strategy: Strategy = Strategy.WEIGHTED
    aging_s: float | None = None
    """Waiting so long raises the priority by one; None: it does not."""
    aging_ceiling: int = 1000
    """The priority up to which waiting raises."""
    longest_queue: Limit | None = None
    longest_wait_s: Limit | None = None
    longest_estimate_s: Limit | None = None
    call_back: CallBack | None = None
    """None: nobody is called back."""
    employer: str = ""
    """For which outsourcer's people it is, as far as policy asks; empty: ours. Whose agents answer
    its calls, `scope` says."""
    recording: RecordingRules = RecordingRules()
    tenant: TenantId = MAIN


class Channel(StrEnum):
    """By what people talk to an agent. So far calls are the only ones that are routed."""

    VOICE = "voice"
    CHAT = "chat"
    MAIL = "mail"


USUAL_CHANNELS: Mapping[Channel, int] = {Channel.VOICE: 1}


class Agent(Discreet, frozen=True, kw_only=True):
    """A person who answers calls."""

    UNTOLD: ClassVar = frozenset({"ha1"})

    id: AgentId
    """Also the user part of the AOR `sip:ID@everline`."""
    name: str
    site: SiteId
    """Home site: where the agent registers, and whose gate has the last word. In a snapshot the
    one for now: see `Move`."""
    skills: Mapping[SkillId, int]
    ha1: str = ""
    """MD5(id:everline:password), RFC 2617 §3.2.2.2; what Kamailio checks digests against."""
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values by name: `language` = `de`, `en`."""
    team: str = ""
    employer: str = ""
    """Who pays them: empty for us, else the outsourcer's name."""
    pause_after: int = 0
    """How many offers in a row they may let ring before they are paused; 0: any number."""
    channels: Mapping[Channel, int] = field(default_factory=dict)
    """How many conversations at a time they take by each; a channel that is not named: one by
    voice, none by the others."""
    recorded: bool = True
    """False: never, whatever the queue says."""
    tenant: TenantId = MAIN


# ---- what people want ----------------------------------------------------------------------------


class Readiness(StrEnum):
    """What the agent has said of themself."""

    READY = "ready"
    PAUSED = "paused"
    SIGNED_OUT = "signed_out"
    """As if no telephone were registered."""


class Wish(Struct, frozen=True, kw_only=True):
    """What an agent asked to be, or a supervisor for them (at this stage through the CLI).

    The last one counts.
    """

    agent: AgentId
    readiness: Readiness
    reason: str = ""
    """A word of the center's own: `lunch`, `training`."""
    by: str = ""
    """Who asked, when it was not the agent."""


class Rest(Struct, frozen=True, kw_only=True):
    """How long an agent asked to rest after one offer, or a supervisor for them.

    The last one counts, if it is of the agent's last work and newer than what their home says.
    """

    agent: AgentId
    work: int
    """The mod_revision of the work record after which they rest."""
    rest_s: float
    """In all, from when that record was written; 0: no longer."""
    by: str = ""
    """Who asked, when it was not the agent."""


class RecordingWish(Struct, frozen=True, kw_only=True):
    """Whether a call's recording is to pause. Written by the control planes; the last one counts.

    It outlives edges and recorders: whoever takes the call up keeps to it.
    """

    call: CallId
    pause: bool
    by: str = ""
    """In whose name, a word for the manifest: `agent` or `supervisor`."""


# ---- what is going on ----------------------------------------------------------------------------


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
    since_ms: int
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
    since_ms: int


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
    started_ms: int
    applied: int = 0
    """The version of the configuration by which it, and its site's Kamailio, last went: see
    `Release`. 0: none, or a file's."""


class TicketState(StrEnum):
    """How far a caller has come."""

    GREETING = "greeting"
    QUEUED = "queued"
    OFFERED = "offered"
    CONNECTED = "connected"


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
    priority: int
    state: TicketState
    holder: EdgeId
    site: SiteId
    """The holder's site: where the media is anchored."""
    via: SiteId
    """The site whose Kamailio carries the caller's dialog."""
    caller: str
    """Calling number: personal data."""
    sip_call_id: str
    arrived_ms: int
    queued_ms: int | None = None
    connected_ms: int | None = None
    agent: AgentId | None = None
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
    until_ms: int | None = None
    """Until when they want to be; None: it has not come to that."""


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
    until_ms: int | None = None
    tries: int = 0
    """How often they have been called back in vain."""
    was_sent_away: bool = False
    """To be called back. If they call again, how long they had waited before counts against no
    limit."""


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
    since_ms: int
    epoch: int = FIRST_EPOCH
    """The token's; see `edge.acd.token`."""
    granted: int | None = None
    """The token's count, of an offer made without a quorum; None: its create_revision counts."""
    hold_since_ms: int | None = None
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
    a pause after an unanswered ring.
    """

    agent: AgentId
    calls: int = 0
    busy_s: float = 0.0
    idle_s: float = 0.0
    end: WorkEnd = WorkEnd.TALKED
    rest_s: float = 0.0
    ended_ms: int = 0
    recent_calls: float = 0.0
    """Calls that fade with `busy_s` and `idle_s`: those of about the last hour."""
    unanswered: int = 0
    """How many offers in a row the agent has let ring."""


class Probe(Struct, frozen=True, kw_only=True):
    """What one edge's probes say of the sites. Written by that edge, when it changes."""

    edge: EdgeId
    up: tuple[SiteId, ...]
    down: tuple[SiteId, ...]
    lossy: tuple[SiteId, ...] = ()
    """Sites from which too many packets of the media probes do not arrive here."""


class Barred(Struct, frozen=True, kw_only=True):
    """An agent whose user is disabled: no phone of theirs signs in, and they get no calls.

    Written by the control planes.
    """

    agent: AgentId
    since_ms: int


# ---- what has been -------------------------------------------------------------------------------


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
    wall_ms: int
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
    presumed that another did. Not kept when they were many."""
    unreachable: tuple[SiteId, ...] = ()
    """Sites that this edge took for out of everybody's reach."""


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
    arrived_ms: int
    queued_ms: int | None
    connected_ms: int | None
    ended_ms: int
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
    unrecorded: str = ""
    """Why there is no recording of it, or none of a part; see `edge.acd.recorded`. Empty: there is,
    if an agent has answered."""


class Coding(Struct, frozen=True, kw_only=True):
    """What a call was about. Written by its agent, or somebody for them; the last one counts."""

    call: CallId
    agent: AgentId
    code: str
    """A `WrapUpCode`."""
    at_ms: int
    by: str = ""
    """Who said so, when it was not the agent."""
