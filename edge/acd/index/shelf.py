"""The free agents who suit one class of calls, best first, at whatever moment one asks. PURE.

Owns the order. What decides is `edge.acd.rank`'s own sort key, worked out for the few who come into
question; here is only what keeps them few:

- Strategies that do not look at idle time (least occupied, fewest calls, most and least skilled,
  round robin, and weighted without a weight for it) give keys that stay until a record of the agent
  changes: one sorted list, `_still`.
- Longest idle, and weighted with idle time: while it counts (up to `IDLE_FULL_S` or
  `LONGEST_IDLE_S`), everybody's rises alike. So the order among those *rising* stays as well, and
  is kept by the score that each would have had at instant 0. Who has risen to the full goes over to
  the still ones, once, when it falls due. The best are at the heads of the two lists.
- Idle time is the longer of what two clocks say, and two clocks never agree to the last bit; and
  some are given who rest for a moment still. So of those rising all are looked at who are not
  surely behind: within `_UNSURE_S` of idle time.

An agent who is put on a shelf gets a key only when somebody looks: most are gone again by then.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from edge.acd.eligibility import RESERVED_AHEAD_S, AgentFacts, rest_of_s
from edge.acd.needs import Needs
from edge.acd.rank import (
    IDLE_FULL_S,
    LONGEST_IDLE_S,
    Ranking,
    Score,
    asked_levels,
    fit_of,
    idle_s,
    score,
    steady_score,
    total_score,
    weighted_score,
)
from state.model import Agent, AgentId, Now, Strategy

DRIFT_S = 0.1
"""How far the two clocks may drift apart before everything is reckoned anew (`MatchIndex`)."""
_UNSURE_S = 2 * DRIFT_S + RESERVED_AHEAD_S
"""Of idle time: who is so far behind is surely so. Who still rests has idled for no less than
nothing, and stands here by less."""
_NO_LIMIT_S = float("inf")
_ROUNDING = 1e-9
_SLACK = 16
_AHEAD = 8
"""So many times what is asked for is looked up when the same is asked again at one instant."""


@dataclass(slots=True, eq=False)
class Candidate:
    """A free agent as shelves see them."""

    agent: Agent
    stamp: int
    """No two agents have the same. What was put on a shelf under an older one is void."""
    had: int
    """`rank.had_levels`."""
    is_given: bool = field(default=False, init=False)
    """Another call has asked for the agent, or has just been offered them."""
    facts: AgentFacts = field(init=False)
    """As they were when the agent was last free."""
    busy: float = field(init=False)
    """`rank.occupancy`, and the mod_revision of the work record: as of `facts`."""
    revision: int = field(init=False)
    idle_since_s: float = field(init=False)
    place: int = field(init=False)
    """Among those of the same profile who are free."""
    idle_at: Now | None = field(init=False)
    """When it was asked last for how long they had been idle, and what came out."""
    idle_then_s: float = field(init=False)

    def idle_s(self, now: Now) -> float:
        """Return for how long the agent has been idle, without limit (`rank.idle_s`)."""
        if self.idle_at is not now:
            self.idle_at = now
            self.idle_then_s = idle_s(self.facts.presence, self.facts.work, now, _NO_LIMIT_S)
        return self.idle_then_s


_Placed = tuple[float, int, str, int, Candidate, float]
"""Score (the better is lower), the two tie-breakers of `sort_key`, stamp, agent, steady score."""
Ranked = tuple[float, int, AgentId, Candidate]
"""A free agent with their exact `sort_key` at one moment, flat: no two have the same, and one that
begins with a number is sorted several times as fast."""
_Exact = tuple[Ranked, int]
"""With the stamp under which the agent stood there."""


def alone(candidate: Candidate) -> Ranked:
    """Return somebody who has no rival: nobody looks at the key."""
    return (0.0, 0, candidate.agent.id, candidate)


def idle_since_s(facts: AgentFacts, ahead_s: float) -> float:
    """Return the monotonic instant from which the agent's idle time counts (`rank.idle_s`).

    `ahead_s`: how far the wall clock is ahead of the monotonic one.
    """
    since_s = float("-inf")
    if facts.presence is not None:
        seen_s, said_ms = facts.presence.seen_s, facts.presence.value.since_ms
        since_s = min(seen_s, said_ms / 1000.0 - ahead_s)
    if facts.work is not None:
        rest_s = rest_of_s(facts.work, facts.presence)
        ended_s = min(facts.work.seen_s, facts.work.value.ended_ms / 1000.0 - ahead_s)
        since_s = max(since_s, ended_s + rest_s)
    return since_s


class _Fits(dict[int, float]):
    """The skill fit for so many levels asked, by an agent's levels; worked out as it is asked."""

    def __init__(self, asked: int) -> None:
        self._asked = asked

    def __missing__(self, had: int) -> float:
        fit = self[had] = fit_of(self._asked, had)
        return fit


class Shelf:
    """Some free agents in the order of one ranking."""

    def __init__(self, needs: Needs, ranking: Ranking) -> None:
        self._needs = needs
        self._ranking = ranking
        self._slope, self._full_s = _slope(ranking)
        self._new: list[tuple[int, Candidate]] = []
        self._still: list[_Placed] = []
        self._rising: list[_Placed] = []
        self._fills: list[tuple[float, _Placed]] = []
        """When those rising will have risen to the full."""
        self._name = ranking.strategy.value
        self._is_weighted = ranking.strategy is Strategy.WEIGHTED
        self._by_weights = self._is_weighted and not needs.any_of
        self._fits = _Fits(asked_levels(needs.all_of))
        self._near = dict(ranking.nearness)
        self._ahead: list[_Exact] = []
        """The best as they were found last, at `_ahead_at`; meanwhile some may be void."""
        self._ahead_at: Now | None = None
        self._ahead_is_all = False

    def add(self, candidate: Candidate, live: int) -> None:
        """Put an agent there. `live`: how many it holds then that are not void."""
        self._new.append((candidate.stamp, candidate))
        if len(self._new) > 2 * live + _SLACK:
            self._new = [each for each in self._new if each[0] == each[1].stamp]

    def add_many(self, candidates: list[Candidate]) -> None:
        """Put some there who are not on it."""
        self._new += [(each.stamp, each) for each in candidates]

    def best(self, now: Now, count: int, live: int) -> list[Ranked]:
        """Return the `count` best, or all there are, in their order. `live`: how many there are."""
        reach = count
        if now is self._ahead_at and not self._new:
            found = self._left(count)
            if len(found) == count or self._ahead_is_all:
                return found
            # A round that gives many: it will ask again.
            reach = _AHEAD * count
        self._place_new(now)
        self._clear(live)
        self._fill(now)
        ahead = self._exact(_heads(self._still, reach), now)
        if self._rising:
            ahead += self._exact(self._best_rising(reach), now)
            ahead.sort()
        self._ahead_is_all = len(ahead) < reach
        self._ahead, self._ahead_at = ahead[:reach], now
        return [each[0] for each in ahead[:count]]

    def _left(self, count: int) -> list[Ranked]:
        """Return the first `count` of those ahead who are not void."""
        found: list[Ranked] = []
        void = 0
        for ranked, stamp in self._ahead:
            if stamp == ranked[3].stamp:
                found.append(ranked)
                if len(found) == count:
                    break
            elif not found:
                void += 1
        if void > _SLACK:
            del self._ahead[:void]
        return found

    def score(self, candidate: Candidate, now: Now) -> Score:
        """Return what `rank.score` says of somebody who suits."""
        if not self._is_weighted:
            total = self._totals((candidate,), self._steady((candidate,)), now)[0]
            return Score(total, {self._name: total})
        if not self._by_weights:
            return score(candidate.facts, self._needs, self._ranking, now)
        free_s = min(candidate.idle_s(now), IDLE_FULL_S)
        fit, near = self._fits[candidate.had], self._nearness(candidate)
        return weighted_score(self._ranking, fit, candidate.busy, near, free_s)

    def rank(self, candidates: Sequence[Candidate], now: Now) -> list[Ranked]:
        """Return where some would stand who are on no shelf, in no order."""
        totals = self._totals(candidates, self._steady(candidates), now)
        return [
            (-total, each.revision, each.agent.id, each)
            for each, total in zip(candidates, totals, strict=True)
        ]

    def _exact(self, placed: list[_Placed], now: Now) -> list[_Exact]:
        candidates = [each[4] for each in placed]
        totals = self._totals(candidates, [each[5] for each in placed], now)
        return [
            ((-total, each.revision, each.agent.id, each), stamp)
            for (_, _, _, stamp, each, _), total in zip(placed, totals, strict=True)
        ]

    def _totals(
        self, candidates: Sequence[Candidate], steady: list[float], now: Now
    ) -> list[float]:
        """Return what `total_score` says of each."""
        if self._is_weighted:
            weight = self._ranking.weights.idle
            idle = _idle(candidates, now, IDLE_FULL_S)
            return [
                part + weight * each / IDLE_FULL_S for part, each in zip(steady, idle, strict=True)
            ]
        if self._ranking.strategy is Strategy.LONGEST_IDLE:
            return _idle(candidates, now, LONGEST_IDLE_S)
        return steady

    def _steady(self, candidates: Sequence[Candidate]) -> list[float]:
        ranking, fits = self._ranking, self._fits
        if ranking.strategy is Strategy.LEAST_OCCUPIED:
            return [1.0 - each.busy for each in candidates]
        if ranking.strategy is Strategy.LONGEST_IDLE:
            return [0.0] * len(candidates)
        if not self._by_weights:
            return [steady_score(each.facts, self._needs, ranking) for each in candidates]
        # As `rank.weighted_steady`: this is asked of everybody, and calls cost more.
        fit, load = ranking.weights.skill_fit, ranking.weights.load
        steady = [fit * fits[each.had] + load * (1.0 - each.busy) for each in candidates]
        if self._near:
            distance, near_of = ranking.weights.distance, self._near.get
            steady = [
                part + distance * near_of(each.agent.site, 0.0)
                for part, each in zip(steady, candidates, strict=True)
            ]
        return steady

    def _nearness(self, candidate: Candidate) -> float:
        return self._near.get(candidate.agent.site, 0.0) if self._near else 0.0

    def _place_new(self, now: Now) -> None:
        if not self._new:
            return
        there = [each for stamp, each in self._new if stamp == each.stamp]
        still: list[_Placed] = []
        rising: list[_Placed] = []
        fills: list[tuple[float, _Placed]] = []
        slope, full_s, now_s = self._slope, self._full_s + DRIFT_S, now.mono_s
        for candidate, steady in zip(there, self._steady(there), strict=True):
            revision, name = candidate.revision, candidate.agent.id
            stamp, since_s = candidate.stamp, candidate.idle_since_s
            if slope and since_s + full_s > now_s:
                placed = (slope * since_s - steady, revision, name, stamp, candidate, steady)
                rising.append(placed)
                fills.append((since_s + full_s, placed))
            else:
                total = steady
                if slope:
                    total = total_score(steady, candidate.facts, self._ranking, now)
                still.append((-total, revision, name, stamp, candidate, steady))
        self._new.clear()
        _insert(self._still, still)
        _insert(self._rising, rising)
        if len(fills) > _SLACK:
            self._fills += fills
            heapify(self._fills)
        else:
            for fill in fills:
                heappush(self._fills, fill)

    def _clear(self, live: int) -> None:
        """Clear away what is void, when it is most."""
        for placed in (self._still, self._rising):
            if len(placed) > 2 * live + _SLACK:
                placed[:] = [each for each in placed if each[3] == each[4].stamp]
        if len(self._fills) > 2 * len(self._rising) + _SLACK:
            self._fills = [each for each in self._fills if each[1][3] == each[1][4].stamp]
            self._fills.sort()

    def _fill(self, now: Now) -> None:
        """Let those who have risen to the full go over to the still ones."""
        while self._fills and self._fills[0][0] <= now.mono_s:
            _, placed = heappop(self._fills)
            if placed[3] != placed[4].stamp:
                continue
            del self._rising[bisect_left(self._rising, placed)]
            total = total_score(placed[5], placed[4].facts, self._ranking, now)
            insort(self._still, (-total, *placed[1:]))

    def _best_rising(self, count: int) -> list[_Placed]:
        """Return those who may be among the `count` best of the rising."""
        found = _heads(self._rising, count)
        if len(found) < count:
            return found
        worst = found[-1][0]
        reach = worst + abs(self._slope) * _UNSURE_S + _ROUNDING * (1.0 + abs(worst))
        start = bisect_left(self._rising, found[-1]) + 1
        for placed in self._rising[start : bisect_left(self._rising, (reach,), start)]:
            if placed[3] == placed[4].stamp:
                found.append(placed)
        return found


def _idle(candidates: Sequence[Candidate], now: Now, most_s: float) -> list[float]:
    """Return for how long each has been idle, at most `most_s`."""
    found = [each.idle_then_s if each.idle_at is now else each.idle_s(now) for each in candidates]
    return [most_s if each > most_s else each for each in found]  # noqa: FURB136


def _insert(order: list[_Placed], more: list[_Placed]) -> None:
    if len(more) > _SLACK:
        order += more
        order.sort()
        return
    for placed in more:
        insort(order, placed)


def _heads(order: list[_Placed], count: int) -> list[_Placed]:
    """Return the first `count` that are not void; the void ones before them are cleared away."""
    found: list[_Placed] = []
    if not order:
        return found
    place = 0
    for placed in order:
        place += 1
        if placed[3] == placed[4].stamp:
            found.append(placed)
            if len(found) == count:
                break
    if place > len(found):
        order[:place] = found
    return found


def _slope(ranking: Ranking) -> tuple[float, float]:
    """Return by how much a second of idle time raises the score, and up to which time."""
    if ranking.strategy is Strategy.LONGEST_IDLE:
        return 1.0, LONGEST_IDLE_S
    if ranking.strategy is Strategy.WEIGHTED:
        return ranking.weights.idle / IDLE_FULL_S, IDLE_FULL_S
    return 0.0, 0.0
