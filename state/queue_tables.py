"""The table of a queue, as an operator writes it, and the noun that it becomes. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from state.model import (
    AttributeNeed,
    CallBack,
    CountryRules,
    Limit,
    Queue,
    QueueId,
    RecordingFailure,
    RecordingRules,
    Scope,
    ScoreWeights,
    SiteId,
    SkillId,
    SkillNeed,
    Step,
    Strategy,
    TenantId,
    TrunkId,
    TurnAway,
)
from state.patterns import whole
from state.table import Employer, Level, Prompt, Table, Values, Word, check_skills, words_of

CALLED_BACK = "called_back"
"""What those hear who take an offer to be called back, if no other prompt is named."""
_Seconds = Annotated[float, Meta(ge=0, le=3600)]
_Weight = Annotated[float, Meta(ge=0, le=1000)]


class _WeightsTable(Table):
    skill_fit: _Weight = 1.0
    load: _Weight = 1.0
    idle: _Weight = 1.0
    distance: _Weight = 0.0


class _ScopeTable(Table):
    sites: list[str] = msgspec.field(default_factory=list)
    teams: list[Employer] = msgspec.field(default_factory=list)
    employers: list[Employer] = msgspec.field(default_factory=list)


class _StepTable(Table):
    after_s: _Seconds
    lower: dict[str, Level] = msgspec.field(default_factory=dict)
    drop: list[str] = msgspec.field(default_factory=list)
    drop_attributes: list[Word] = msgspec.field(default_factory=list)
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
    needs_clearance: bool = True
    offer: Prompt | None = None
    key: Annotated[str, whole(r"[0-9*#]")] = "1"
    wait_s: Annotated[float, Meta(ge=1, le=20)] = 5.0
    notice: Prompt | None = None


class _CountryTable(Table):
    announcement: Prompt | None = None
    consent: Prompt | None = None
    recorded: bool = True


class _RecordingTable(Table):
    share: Annotated[float, Meta(ge=0, le=1)] = 1.0
    announcement: Prompt | None = None
    consent: Prompt | None = None
    countries: dict[Annotated[str, whole(r"[A-Z]{2}")], _CountryTable] = msgspec.field(
        default_factory=dict
    )
    key: Annotated[str, whole(r"[0-9*#]")] = "1"
    wait_s: Annotated[float, Meta(ge=1, le=20)] = 5.0
    failure: RecordingFailure = RecordingFailure.GO_ON
    apology: Prompt | None = None
    part_keyed: bool = True


class QueueTable(Table):
    """`[queues.ID]`."""

    needs: dict[str, Level]
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    greeting: Prompt | None = None
    music: Prompt = "music"
    ring_timeout_s: Annotated[float, Meta(gt=0, le=300)] = 15.0
    wrap_up_s: _Seconds = 5.0
    no_answer_pause_s: _Seconds = 10.0
    weights: _WeightsTable = msgspec.field(default_factory=_WeightsTable)
    any_of: list[Annotated[dict[str, Level], Meta(min_length=1)]] = msgspec.field(
        default_factory=list
    )
    attributes: dict[Word, Values] = msgspec.field(default_factory=dict)
    scope: _ScopeTable = msgspec.field(default_factory=_ScopeTable)
    steps: list[_StepTable] = msgspec.field(default_factory=list)
    strategy: Strategy = Strategy.WEIGHTED
    aging_s: Annotated[float, Meta(gt=0, le=3600)] | None = None
    aging_ceiling: Annotated[int, Meta(ge=-1000, le=1000)] = 1000
    longest_queue: _LimitTable | None = None
    longest_wait_s: _LimitTable | None = None
    longest_estimate_s: _LimitTable | None = None
    call_back: _CallBackTable | None = None
    employer: Employer = ""
    recording: _RecordingTable = msgspec.field(default_factory=_RecordingTable)
    tenant: Word = "main"


def queue_of(identifier: str, table: QueueTable) -> Queue:
    """Return the queue that a table describes; ValueError: why it is none."""
    for group in (table.needs, *table.any_of):
        check_skills(group)
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
            for value in words_of(name, values)
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


def _scope(table: _ScopeTable) -> Scope:
    sites = tuple(SiteId(site) for site in table.sites)
    return Scope(sites=sites, teams=tuple(table.teams), employers=tuple(table.employers))


def _step(table: _StepTable) -> Step:
    check_skills((*table.lower, *table.drop))
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
    if table.notice is not None and table.offer is None:
        raise ValueError("call_back: a notice is for who has taken an offer; name that prompt, too")
    return CallBack(
        trunk=TrunkId(table.trunk),
        tries=table.tries,
        pause_s=table.pause_s,
        ring_s=table.ring_s,
        expires_s=table.expires_s,
        after_lost_s=table.after_lost_s,
        needs_clearance=table.needs_clearance,
        offer=table.offer,
        key=table.key,
        wait_s=table.wait_s,
        notice=table.notice or (None if table.offer is None else CALLED_BACK),
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
        part_keyed=table.part_keyed,
    )
