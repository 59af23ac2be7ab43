"""How well an eligible agent suits a call, as a number and as a sort key.

Owns the formulas of the score, one a strategy, and the rule for ties. Knows nothing of who is
eligible. A skewed clock or a corrupt sum can misplace an agent in the order, and no more.

By strategy of the queue the higher is first of:

- `weighted`: weight * part, summed: skill fit, 1 - occupancy, idle time / IDLE_FULL_S and nearness
  to the caller's site, each part in [0, 1];
- `longest_idle`: seconds since the agent was last at work, or came;
- `least_occupied`: 1 - occupancy;
- `fewest_calls`: minus the calls of about the last hour;
- `most_skilled`: the sum of the levels in what the call asks for;
- `least_skilled_sufficient`: minus the sum of the levels in all skills, so that who can do little
  else comes first;
- `round_robin`: minus the mod_revision of the work record: whose last offer ended first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import assert_never

from msgspec import Struct

from edge.acd.eligibility import AgentFacts, rest_of_s
from edge.acd.needs import Needs, asked_of
from state.model import (
    AgentId,
    Entry,
    Now,
    Presence,
    Queue,
    ScoreWeights,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Strategy,
    Work,
)

IDLE_FULL_S = 300.0
"""From here on, idle time counts no more: it saturates, so that it never drowns fit and load."""

LONGEST_IDLE_S = 86_400.0
"""From here on `longest_idle` tells nobody apart."""

DISTANCE_FULL_MS = 200.0
"""A site so far away, or that nobody has measured, is not near at all."""

SortKey = tuple[float, int, AgentId]


_EQUAL = ScoreWeights()


class Ranking(Struct, frozen=True):
    """By what the agents are ordered for a class of calls."""

    strategy: Strategy = Strategy.WEIGHTED
    weights: ScoreWeights = _EQUAL
    nearness: tuple[tuple[SiteId, float], ...] = ()
    """From 0 to 1, of each site to the caller's. Empty when it has no weight."""

    @classmethod
    def of(cls, queue: Queue | None, site: SiteId, sites: Mapping[SiteId, Entry[Site]]) -> Ranking:
        """Return how a queue orders agents for a caller at `site`.

        What the strategy does not look at is left out, so that equal orders are equal values.
        """
        if queue is None:
            return cls()
        if queue.strategy is not Strategy.WEIGHTED:
            return cls(strategy=queue.strategy)
        weights = queue.weights
        return cls(
            weights=weights,
            nearness=tuple(_nearness(site, sites)) if weights.distance else (),
        )


def _nearness(site: SiteId, sites: Mapping[SiteId, Entry[Site]]) -> Iterator[tuple[SiteId, float]]:
    own = sites.get(site)
    distances = {} if own is None else own.value.distance_ms
    for other in sorted(sites):
        distance_ms = 0.0 if other == site else distances.get(other, DISTANCE_FULL_MS)
        yield other, _unit(1.0 - distance_ms / DISTANCE_FULL_MS)


class Score(Struct, frozen=True):
    """The number by which agents are ordered, higher first, and what it is made of."""

    total: float
    made_of: dict[str, float]

    def parts(self) -> dict[str, float]:
        """Return the parts by name, as a Decision keeps them."""
        return self.made_of


def skill_fit(skills: Mapping[SkillId, int], needs: tuple[SkillNeed, ...]) -> float:
    """Return the share of the agent's skill that the call asks for, so that experts are not wasted.

    (1 + sum of the levels needed) / (1 + sum of the agent's levels, in all skills). 1 means that
    the agent has just what is needed; an expert at an easy call, or one whose other skills
    someone else will need, scores less. The ones keep it defined for an agent without skills.
    """
    return fit_of(asked_levels(needs), had_levels(skills))


def fit_of(asked: int, had: int) -> float:
    """Return `skill_fit` from the two sums."""
    return _unit((1 + asked) / (1 + had))


def asked_levels(needs: tuple[SkillNeed, ...]) -> int:
    """Return the sum of the levels needed."""
    if len(needs) == 1:
        return max(0, needs[0].level)
    asked: dict[SkillId, int] = {}
    for need in needs:
        asked[need.skill] = max(need.level, asked.get(need.skill, 0))
    return sum(asked.values())


def had_levels(skills: Mapping[SkillId, int]) -> int:
    """Return the sum of an agent's levels."""
    had = 0
    for level in skills.values():
        if level > 0:
            had += level
    return had


def occupancy(work: Work | None) -> float:
    """Return busy time / (busy + idle time), as far as the work record counts; 0 for a newcomer."""
    if work is None:
        return 0.0
    # Comparisons and not max(): this is asked of everybody, and calls cost more.
    busy_s = work.busy_s if work.busy_s > 0.0 else 0.0  # noqa: FURB136
    idle_s = work.idle_s if work.idle_s > 0.0 else 0.0  # noqa: FURB136
    total_s = busy_s + idle_s
    return _unit(busy_s / total_s) if total_s > 0.0 else 0.0


def idle_s(
    presence: Entry[Presence] | None,
    work: Entry[Work] | None,
    now: Now,
    most_s: float = IDLE_FULL_S,
) -> float:
    """Return for how long the agent has been free, in seconds, at most `most_s`.

    Counted from the end of the last rest or from the last change of presence, whichever came later.
    By the wall clocks of their writers, but never less than this process has itself seen, and never
    less than nothing: a writer whose clock is ahead does not make an agent look busy for long.
    """
    if presence is None and work is None:
        return 0.0
    # Comparisons and not min() or max(), and no calls: this is asked most often of all.
    wall_ms, mono_s = now.wall_ms, now.mono_s
    age_s = most_s
    if presence is not None:
        said_s, certain_s = (wall_ms - presence.value.since_ms) / 1000.0, mono_s - presence.seen_s
        present_s = certain_s if certain_s > said_s else said_s  # noqa: FURB136
        if present_s < age_s:  # noqa: PLR1730
            age_s = present_s
    if work is not None:
        said_s, certain_s = (wall_ms - work.value.ended_ms) / 1000.0, mono_s - work.seen_s
        rested_s = (certain_s if certain_s > said_s else said_s) - rest_of_s(work, presence)  # noqa: FURB136
        if rested_s < age_s:  # noqa: PLR1730
            age_s = rested_s
    return age_s if age_s > 0.0 else 0.0  # noqa: FURB136


def score(facts: AgentFacts, needs: Needs, ranking: Ranking, now: Now) -> Score:
    """Return the score with its parts."""
    if ranking.strategy is not Strategy.WEIGHTED:
        total = total_score(steady_score(facts, needs, ranking), facts, ranking, now)
        return Score(total, {ranking.strategy.value: total})
    fit, busy, near = _steady_parts(facts, needs, ranking)
    return weighted_score(ranking, fit, busy, near, idle_s(facts.presence, facts.work, now))


def weighted_score(ranking: Ranking, fit: float, busy: float, near: float, free_s: float) -> Score:
    """Return what `score` does by weights, of which all is known: see `weighted_steady`."""
    weights = ranking.weights
    fits, load = weights.skill_fit * fit, weights.load * (1.0 - busy)
    idle = weights.idle * free_s / IDLE_FULL_S
    if not ranking.nearness:
        return Score(fits + load + idle, {"skill_fit": fits, "load": load, "idle": idle})
    distance = weights.distance * near
    return Score(
        fits + load + distance + idle,
        {"skill_fit": fits, "load": load, "distance": distance, "idle": idle},
    )


def steady_score(  # noqa: PLR0911  one a strategy
    facts: AgentFacts, needs: Needs, ranking: Ranking
) -> float:
    """Return the part of the score that time does not change; see `total_score`."""
    work = None if facts.work is None else facts.work.value
    skills = facts.agent.skills
    match ranking.strategy:
        case Strategy.WEIGHTED:
            return weighted_steady(ranking, *_steady_parts(facts, needs, ranking))
        case Strategy.LONGEST_IDLE:
            return 0.0
        case Strategy.LEAST_OCCUPIED:
            return 1.0 - occupancy(work)
        case Strategy.FEWEST_CALLS:
            return 0.0 if work is None else -max(0.0, work.recent_calls)
        case Strategy.MOST_SKILLED:
            return float(sum(skills[n.skill] for n in asked_of(skills, needs) if n.skill in skills))
        case Strategy.LEAST_SKILLED_SUFFICIENT:
            return -float(sum(skills.values()))
        case Strategy.ROUND_ROBIN:
            return 0.0 if facts.work is None else -float(facts.work.mod_revision)
        case _:
            assert_never(ranking.strategy)


def weighted_steady(ranking: Ranking, fit: float, busy: float, near: float) -> float:
    """Return what `steady_score` does by weights: `fit_of`, `occupancy` and nearness are known."""
    weights = ranking.weights
    total = weights.skill_fit * fit + weights.load * (1.0 - busy)
    return total + weights.distance * near if ranking.nearness else total


def total_score(steady: float, facts: AgentFacts, ranking: Ranking, now: Now) -> float:
    """Return `score(...).total` from its steady part: to the last bit the same."""
    match ranking.strategy:
        case Strategy.WEIGHTED:
            return steady + _idle_part(facts, ranking, now)
        case Strategy.LONGEST_IDLE:
            return idle_s(facts.presence, facts.work, now, LONGEST_IDLE_S)
        case _:
            return steady


def _steady_parts(facts: AgentFacts, needs: Needs, ranking: Ranking) -> tuple[float, float, float]:
    """Return skill fit, occupancy and nearness."""
    skills = facts.agent.skills
    near = 0.0
    if ranking.nearness:
        near = next((near for site, near in ranking.nearness if site == facts.agent.site), 0.0)
    work = None if facts.work is None else facts.work.value
    return skill_fit(skills, asked_of(skills, needs)), occupancy(work), near


def _idle_part(facts: AgentFacts, ranking: Ranking, now: Now) -> float:
    return ranking.weights.idle * idle_s(facts.presence, facts.work, now) / IDLE_FULL_S


def sort_key(facts: AgentFacts, total: float) -> SortKey:
    """Return the key by which agents are ordered, best first.

    Higher total; then the lower mod_revision of the work record, who has been idle longer by the
    order of the store (an agent who never worked first); then the agent's id. Never chance.
    """
    return (-total, 0 if facts.work is None else facts.work.mod_revision, facts.agent.id)


def _unit(value: float) -> float:
    if 0.0 <= value <= 1.0:
        return value
    if not math.isfinite(value):
        return 0.0
    return 0.0 if value < 0.0 else 1.0
