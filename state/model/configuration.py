"""What a center is made of. Written by the control planes (or published from a file). PURE."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct, field

from state.discreet import Discreet
from state.model.identity import (
    MAIN,
    AgentId,
    CalendarId,
    DidNumber,
    QueueId,
    SiteId,
    SkillId,
    TenantId,
    TrunkId,
    Whole,
)


class Site(Struct, frozen=True, kw_only=True):
    """A place with a Kamailio, an rtpengine and edges."""

    id: SiteId
    name: str
    sip: str
    """`host:port` of its Kamailio, as the other sites and the carriers reach it (UDP)."""
    distance_ms: Mapping[SiteId, Whole] = field(default_factory=dict)
    """Round trip to the other sites, for choosing the nearer one."""
    draining: bool = False
    """New calls go to other sites."""
    backups: tuple[SiteId, ...] = ()
    """Sites that take its calls before all others while it drains, in this order."""
    shares: Mapping[SiteId, int] = field(default_factory=dict)
    """Of the calls that come to it, how many parts each site serves; empty: it serves them all."""
    room: int | None = None
    """Calls at once that its carriers' lines and its relay have room for; None: nobody has said."""


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
    needs_clearance: bool = True
    """Nobody is dialled before a control plane has looked whether they said no: see `Clearance`.
    False: for a center that keeps no customers, where there is nothing to look at."""
    offer: str | None = None
    """Prompt that asks whoever has waited so long that they would be sent away to be called back
    whether they want to be: they take it by `key`, and else wait on. None: nobody is asked."""
    key: str = "1"
    wait_s: float = 5.0
    """For that key, once the question has been asked."""
    notice: str | None = None
    """Prompt that tells whoever has taken the offer that they will be called back."""


class TurnAway(StrEnum):
    """What becomes of a caller whom a queue serves no longer, or not at all."""

    REFUSE = "refuse"
    CALLBACK = "callback"
    """To be called back, as the queue's `call_back` says; the call's record says so too."""


class Did(Struct, frozen=True, kw_only=True):
    """A number that callers dial."""

    number: DidNumber
    queue: QueueId
    """Where its callers wait."""
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
    region: str = ""
    """ISO 3166 code of the country in whose form its callers' numbers come. Empty: the trunks of
    its tenant say it."""
    forward: str = ""
    """E.164 number outside to which new calls are handed on, at any hour, while a contingency plan
    says so: nobody here queues, records or writes them down. Empty: the center takes them."""


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
    since_ms: Whole
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
    level: Whole = 1


class AttributeNeed(Struct, frozen=True, kw_only=True):
    """A value that an agent must have under a name: `language` = `de`."""

    name: str
    value: str


class Scope(Struct, frozen=True, kw_only=True):
    """Which agents a queue turns to. An empty tuple does not restrict."""

    sites: tuple[SiteId, ...] = ()
    """Home sites."""
    teams: tuple[str, ...] = ()
    """Teams."""
    employers: tuple[str, ...] = ()
    """Outsourcers."""


ANYBODY = Scope()


class ScoreWeights(Struct, frozen=True, kw_only=True):
    """How much each part of an agent's score counts; see `edge.acd.rank`."""

    skill_fit: float = 1.0
    """How well the skills fit."""
    load: float = 1.0
    """How little they have talked of late."""
    idle: float = 1.0
    """How long they have been free."""
    distance: float = 0.0
    """How near their site is."""


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
    """So long the caller has waited."""
    lower: tuple[SkillNeed, ...] = ()
    """New least levels; a level that is lower already stays."""
    drop: tuple[SkillId, ...] = ()
    """Skills that are needed no longer."""
    drop_attributes: tuple[str, ...] = ()
    """Attributes that are needed no longer."""
    drop_preference: bool = False
    scope: Scope | None = None
    """The scope from now on; None: as it was."""
    raise_priority: Whole = 0
    """By so much from now on."""
    overflow: QueueId | None = None
    """From now on the caller is served by that queue's needs, scope and strategy."""
    turn_away: TurnAway | None = None
    """Now they are sent away, so."""


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
    part_keyed: bool = True
    """Whether agents are kept from callers who key tones, in calls that are recorded."""


class Queue(Struct, frozen=True, kw_only=True):
    """Where callers wait, and by which rules."""

    id: QueueId
    needs: tuple[SkillNeed, ...]
    """Skills that an agent must have, and the least level of each, from 1 to 10."""
    priority: Whole = 0
    """Higher is served first."""
    greeting: str | None = None
    """Prompt that callers hear first; None: none."""
    music: str = "music"
    """What those who wait hear."""
    ring_timeout_s: float = 15.0
    """So long an agent's telephone rings."""
    wrap_up_s: float = 5.0
    """So long an agent rests after a call."""
    no_answer_pause_s: float = 10.0
    """How long an agent who let it ring, or refused, is left alone."""
    weights: ScoreWeights = ScoreWeights()
    """How much each part of an agent's score counts, where the strategy is `weighted`."""
    any_of: tuple[tuple[SkillNeed, ...], ...] = ()
    """Of each group an agent must meet one."""
    attributes: tuple[AttributeNeed, ...] = ()
    """Values that an agent must have: `language` = `de`."""
    scope: Scope = ANYBODY
    """Whom the queue turns to at first."""
    steps: tuple[Step, ...] = ()
    """What is given up for callers who wait longer."""
    strategy: Strategy = Strategy.WEIGHTED
    """By what it chooses among the agents who can take a call."""
    aging_s: float | None = None
    """Waiting so long raises the priority by one; None: it does not."""
    aging_ceiling: Whole = 1000
    """The priority up to which waiting raises."""
    longest_queue: Limit | None = None
    """How many may wait."""
    longest_wait_s: Limit | None = None
    """How long anybody waits."""
    longest_estimate_s: Limit | None = None
    """The wait to be expected beyond which callers are not taken in."""
    call_back: CallBack | None = None
    """None: nobody is called back."""
    employer: str = ""
    """For which outsourcer's people it is, as far as policy asks; empty: ours. Whose agents answer
    its calls, `scope` says."""
    recording: RecordingRules = RecordingRules()
    """Which calls are recorded, and what callers hear of that."""
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
    """As people call them."""
    site: SiteId
    """Home site: where the agent registers, and whose gate has the last word. In a snapshot the
    one for now: see `Move`."""
    skills: Mapping[SkillId, Whole]
    """By skill how good they are, from 1 to 10."""
    ha1: str = ""
    """MD5(id:everline:password), RFC 2617 §3.2.2.2; what Kamailio checks digests against."""
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values by name: `language` = `de`, `en`."""
    team: str = ""
    """Whose supervisor sees to them."""
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
