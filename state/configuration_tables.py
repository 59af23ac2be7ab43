"""The tables of the operator's file, and the nouns that they become. PURE.

Owns the spelling of each table and what is wrong within one; what one table says of another is
`state.configuration`'s to check.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from state import keys
from state.model import (
    Agent,
    AgentId,
    AttributeNeed,
    CalendarId,
    CallBack,
    Channel,
    CountryRules,
    Did,
    DidNumber,
    Limit,
    PauseCode,
    Queue,
    QueueId,
    RecordingFailure,
    RecordingRules,
    Scope,
    ScoreWeights,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Step,
    Strategy,
    TenantId,
    Trunk,
    TrunkId,
    TurnAway,
    WrapUpCode,
)

REALM: Final = "everline"

_Level = Annotated[int, Meta(ge=1, le=10)]
_Seconds = Annotated[float, Meta(ge=0, le=3600)]
_Weight = Annotated[float, Meta(ge=0, le=1000)]
_Prompt = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")]
_Region = Annotated[str, Meta(pattern=r"^([A-Z]{2})?$")]
_Word = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")]
_Employer = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.+-]{0,64}$")]
"""A word, or empty: ours."""
_Values = str | Annotated[list[_Word], Meta(min_length=1)]
"""A word, or several. Not `_Word | ...`: msgspec 0.22 frees a pattern that stands beside a list as
what it is not, and one process in five dies of it as it ends."""
_A_WORD = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
_HA1 = re.compile(r"[0-9a-f]{32}")
_PORT_MAX = 65535


def ha1_of(agent: str, password: str) -> str:
    """Return MD5(agent:everline:password), RFC 2617 §3.2.2.2."""
    text = f"{agent}:{REALM}:{password}".encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


# ---- the file's tables ---------------------------------------------------------------------------


class Table(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One table of the file; a misspelt field is an error, not a default."""


class SiteTable(Table):
    """`[sites.ID]`."""

    sip: str
    name: str = ""
    distance_ms: dict[str, Annotated[int, Meta(ge=0, le=60_000)]] = msgspec.field(
        default_factory=dict
    )
    draining: bool = False
    backups: list[_Word] = msgspec.field(default_factory=list)
    shares: dict[_Word, Annotated[int, Meta(ge=0, le=100)]] = msgspec.field(default_factory=dict)
    room: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class TrunkTable(Table):
    """`[trunks.ID]`."""

    addresses: Annotated[list[str], Meta(min_length=1)]
    sip: str = ""
    dial_out: list[Annotated[str, Meta(pattern=r"^\+?[0-9]{1,15}$")]] = msgspec.field(
        default_factory=list
    )
    tenants: list[_Word] = msgspec.field(default_factory=lambda: ["main"])
    region: _Region = ""


class _WeightsTable(Table):
    skill_fit: _Weight = 1.0
    load: _Weight = 1.0
    idle: _Weight = 1.0
    distance: _Weight = 0.0


class _ScopeTable(Table):
    sites: list[str] = msgspec.field(default_factory=list)
    teams: list[_Employer] = msgspec.field(default_factory=list)
    employers: list[_Employer] = msgspec.field(default_factory=list)


class _StepTable(Table):
    after_s: _Seconds
    lower: dict[str, _Level] = msgspec.field(default_factory=dict)
    drop: list[str] = msgspec.field(default_factory=list)
    drop_attributes: list[_Word] = msgspec.field(default_factory=list)
    drop_preference: bool = False
    scope: _ScopeTable | None = None
    raise_priority: Annotated[int, Meta(ge=0, le=1000)] = 0
    overflow: str | None = None
    turn_away: TurnAway | None = None


class _LimitTable(Table):
    most: Annotated[float, Meta(ge=0, le=100_000)]
    overflow: str | None = None
    turn_away: TurnAway = TurnAway.REFUSE


class _CallBackTable(Table):
    trunk: str
    tries: Annotated[int, Meta(ge=1, le=10)] = 3
    pause_s: Annotated[float, Meta(ge=5, le=86_400)] = 300.0
    ring_s: Annotated[float, Meta(ge=5, le=120)] = 25.0
    expires_s: Annotated[float, Meta(ge=60, le=604_800)] = 7200.0
    after_lost_s: Annotated[float, Meta(ge=0, le=3600)] | None = None


class _CountryTable(Table):
    announcement: _Prompt | None = None
    consent: _Prompt | None = None
    recorded: bool = True


class _RecordingTable(Table):
    share: Annotated[float, Meta(ge=0, le=1)] = 1.0
    announcement: _Prompt | None = None
    consent: _Prompt | None = None
    countries: dict[Annotated[str, Meta(pattern=r"^[A-Z]{2}$")], _CountryTable] = msgspec.field(
        default_factory=dict
    )
    key: Annotated[str, Meta(pattern=r"^[0-9*#]$")] = "1"
    wait_s: Annotated[float, Meta(ge=1, le=20)] = 5.0
    failure: RecordingFailure = RecordingFailure.GO_ON
    apology: _Prompt | None = None


class QueueTable(Table):
    """`[queues.ID]`."""

    needs: dict[str, _Level]
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    greeting: _Prompt | None = None
    music: _Prompt = "music"
    ring_timeout_s: Annotated[float, Meta(gt=0, le=300)] = 15.0
    wrap_up_s: _Seconds = 5.0
    no_answer_pause_s: _Seconds = 10.0
    weights: _WeightsTable = msgspec.field(default_factory=_WeightsTable)
    any_of: list[Annotated[dict[str, _Level], Meta(min_length=1)]] = msgspec.field(
        default_factory=list
    )
    attributes: dict[_Word, _Values] = msgspec.field(default_factory=dict)
    scope: _ScopeTable = msgspec.field(default_factory=_ScopeTable)
    steps: list[_StepTable] = msgspec.field(default_factory=list)
    strategy: Strategy = Strategy.WEIGHTED
    aging_s: Annotated[float, Meta(gt=0, le=3600)] | None = None
    aging_ceiling: Annotated[int, Meta(ge=-1000, le=1000)] = 1000
    longest_queue: _LimitTable | None = None
    longest_wait_s: _LimitTable | None = None
    longest_estimate_s: _LimitTable | None = None
    call_back: _CallBackTable | None = None
    employer: _Employer = ""
    recording: _RecordingTable = msgspec.field(default_factory=_RecordingTable)
    tenant: _Word = "main"


class DidTable(Table):
    """`[dids.NUMBER]`."""

    queue: str
    greeting: _Prompt | None = None
    tenant: _Word = "main"
    sites: list[_Word] = msgspec.field(default_factory=list)
    calendar: _Word | None = None
    closed_queue: _Word | None = None
    closed: TurnAway = TurnAway.REFUSE
    region: _Region = ""


class AgentTable(Table):
    """`[agents.ID]`."""

    site: str
    skills: dict[str, _Level]
    name: str = ""
    password: str | None = None
    ha1: str | None = None
    attributes: dict[_Word, _Values] = msgspec.field(default_factory=dict)
    team: _Employer = ""
    employer: _Employer = ""
    pause_after: Annotated[int, Meta(ge=0, le=100)] = 0
    channels: dict[Channel, Annotated[int, Meta(ge=0, le=20)]] = msgspec.field(default_factory=dict)
    recorded: bool = True
    tenant: _Word = "main"


class CodeTable(Table):
    """`[pause_codes.ID]`, `[wrap_up_codes.ID]`."""

    name: Annotated[str, Meta(max_length=200)] = ""
    tenant: _Word = "main"


# ---- a table becomes a noun ----------------------------------------------------------------------


def site_of(identifier: str, table: SiteTable) -> Site:
    """Return the site that a table describes; ValueError: why it is none."""
    _check_address(table.sip)
    return Site(
        id=SiteId(identifier),
        name=table.name or identifier,
        sip=table.sip,
        distance_ms={SiteId(other): ms for other, ms in table.distance_ms.items()},
        draining=table.draining,
        backups=tuple(SiteId(site) for site in table.backups),
        shares={SiteId(other): parts for other, parts in table.shares.items()},
        room=table.room,
    )


def trunk_of(identifier: str, table: TrunkTable) -> Trunk:
    """Return the trunk that a table describes; ValueError: why it is none."""
    addresses = tuple(str(ipaddress.ip_address(address)) for address in table.addresses)
    if table.sip:
        _check_address(table.sip)
    elif table.dial_out:
        raise ValueError("dial_out without sip: give the host:port that takes calls from us")
    return Trunk(
        id=TrunkId(identifier),
        addresses=addresses,
        sip=table.sip,
        dial_out=tuple(table.dial_out),
        tenants=tuple(TenantId(tenant) for tenant in table.tenants),
        region=table.region,
    )


def _check_address(sip: str) -> None:
    host, colon, port = sip.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) <= _PORT_MAX):
        raise ValueError(f"sip = {sip!r} is no host:port")


def queue_of(identifier: str, table: QueueTable) -> Queue:
    """Return the queue that a table describes; ValueError: why it is none."""
    for group in (table.needs, *table.any_of):
        _check_skills(group)
    weights = table.weights
    return Queue(
        id=QueueId(identifier),
        needs=_needs(table.needs),
        priority=table.priority,
        greeting=table.greeting,
        music=table.music,
        ring_timeout_s=table.ring_timeout_s,
        wrap_up_s=table.wrap_up_s,
        no_answer_pause_s=table.no_answer_pause_s,
        weights=ScoreWeights(
            skill_fit=weights.skill_fit,
            load=weights.load,
            idle=weights.idle,
            distance=weights.distance,
        ),
        any_of=tuple(_needs(group) for group in table.any_of),
        attributes=tuple(
            AttributeNeed(name=name, value=value)
            for name, values in table.attributes.items()
            for value in _values(name, values)
        ),
        scope=_scope(table.scope),
        steps=tuple(_step(step) for step in sorted(table.steps, key=lambda step: step.after_s)),
        strategy=table.strategy,
        aging_s=table.aging_s,
        aging_ceiling=table.aging_ceiling,
        longest_queue=_limit(table.longest_queue),
        longest_wait_s=_limit(table.longest_wait_s),
        longest_estimate_s=_limit(table.longest_estimate_s),
        call_back=_call_back(table.call_back),
        employer=table.employer,
        recording=_recording(table.recording),
        tenant=TenantId(table.tenant),
    )


def _needs(levels: Mapping[str, int]) -> tuple[SkillNeed, ...]:
    return tuple(SkillNeed(skill=SkillId(skill), level=level) for skill, level in levels.items())


def _values(name: str, values: str | list[str]) -> tuple[str, ...]:
    if isinstance(values, list):
        return tuple(values)
    if not _A_WORD.fullmatch(values):
        raise ValueError(
            f"attributes.{name} = {values!r} is no word: up to 64 letters, digits, _ . + or -"
        )
    return (values,)


def _scope(table: _ScopeTable) -> Scope:
    sites = tuple(SiteId(site) for site in table.sites)
    return Scope(sites=sites, teams=tuple(table.teams), employers=tuple(table.employers))


def _step(table: _StepTable) -> Step:
    _check_skills((*table.lower, *table.drop))
    if table.overflow is not None and table.turn_away is not None:
        raise ValueError(
            f"the step after {table.after_s:g} s: give overflow or turn_away, not both"
        )
    return Step(
        after_s=table.after_s,
        lower=_needs(table.lower),
        drop=tuple(SkillId(skill) for skill in table.drop),
        drop_attributes=tuple(table.drop_attributes),
        drop_preference=table.drop_preference,
        scope=None if table.scope is None else _scope(table.scope),
        raise_priority=table.raise_priority,
        overflow=None if table.overflow is None else QueueId(table.overflow),
        turn_away=table.turn_away,
    )


def _limit(table: _LimitTable | None) -> Limit | None:
    if table is None:
        return None
    overflow = None if table.overflow is None else QueueId(table.overflow)
    return Limit(most=table.most, overflow=overflow, turn_away=table.turn_away)


def _call_back(table: _CallBackTable | None) -> CallBack | None:
    if table is None:
        return None
    return CallBack(
        trunk=TrunkId(table.trunk),
        tries=table.tries,
        pause_s=table.pause_s,
        ring_s=table.ring_s,
        expires_s=table.expires_s,
        after_lost_s=table.after_lost_s,
    )


def _recording(table: _RecordingTable) -> RecordingRules:
    return RecordingRules(
        share=table.share,
        announcement=table.announcement,
        consent=table.consent,
        countries={
            code: CountryRules(
                announcement=each.announcement, consent=each.consent, recorded=each.recorded
            )
            for code, each in table.countries.items()
        },
        key=table.key,
        wait_s=table.wait_s,
        failure=table.failure,
        apology=table.apology,
    )


def did_of(number: str, table: DidTable) -> Did:
    """Return the DID that a table describes; ValueError: why it is none."""
    return Did(
        number=DidNumber(number),
        queue=QueueId(table.queue),
        greeting=table.greeting,
        tenant=TenantId(table.tenant),
        sites=tuple(SiteId(site) for site in table.sites),
        calendar=None if table.calendar is None else CalendarId(table.calendar),
        closed_queue=None if table.closed_queue is None else QueueId(table.closed_queue),
        closed=table.closed,
        region=table.region,
    )


def agent_of(identifier: str, table: AgentTable) -> Agent:
    """Return the agent that a table describes; ValueError: why it is none."""
    _check_skills(table.skills)
    if table.password is not None and table.ha1 is not None:
        raise ValueError("give password or ha1, one of the two, or neither")
    ha1 = table.ha1 or ""
    if table.password is not None:
        ha1 = ha1_of(identifier, table.password)
    elif table.ha1 is not None and _HA1.fullmatch(ha1) is None:
        raise ValueError("ha1 is not 32 lower-case hex digits")
    return Agent(
        id=AgentId(identifier),
        name=table.name or identifier,
        site=SiteId(table.site),
        skills={SkillId(skill): level for skill, level in table.skills.items()},
        ha1=ha1,
        attributes={name: _values(name, values) for name, values in table.attributes.items()},
        team=table.team,
        employer=table.employer,
        pause_after=table.pause_after,
        channels=_channels(table.channels),
        recorded=table.recorded,
        tenant=TenantId(table.tenant),
    )


def pause_code_of(identifier: str, table: CodeTable) -> PauseCode:
    """Return the pause code that a table describes."""
    return PauseCode(id=identifier, name=table.name, tenant=TenantId(table.tenant))


def wrap_up_code_of(identifier: str, table: CodeTable) -> WrapUpCode:
    """Return the wrap-up code that a table describes."""
    return WrapUpCode(id=identifier, name=table.name, tenant=TenantId(table.tenant))


def _channels(channels: Mapping[Channel, int]) -> Mapping[Channel, int]:
    if channels.get(Channel.VOICE, 0) > 1:
        raise ValueError("channels: voice is 0 or 1; nobody talks in two calls")
    return dict(channels)


def _check_skills(skills: Iterable[str]) -> None:
    for skill in skills:
        check_id(skill, "a skill")


def check_id(text: str, what: str) -> None:
    """Raise ValueError if the text cannot name `what`."""
    if not keys.is_id(text):
        raise ValueError(f"{text[:80]!r} is no id for {what}: use 1 to 64 of A-Z a-z 0-9 _ . + -")
