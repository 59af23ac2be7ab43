"""One decision in words: who got the call, and why nobody else did. PURE.

Owns the sentences. The decision itself is what the edge kept of it in the call's record.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from drills.demo.scenario import Scenario
from state.model import AgentId, CallRecord, Decision, QueueId

ENOUGH_RUNNERS_UP = 2


class Candidate(Struct, frozen=True, kw_only=True):
    """An agent who could have had the call, best first."""

    agent: AgentId
    site: str
    score: float
    won: bool


class Explanation(Struct, frozen=True, kw_only=True):
    """A decision, laid out for a person."""

    headline: str
    reasons: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    excluded: tuple[tuple[str, int], ...]
    """Reason and how many agents it kept out, most first."""


def worth_explaining(records: Iterable[CallRecord]) -> CallRecord | None:
    """Return the record with the most to tell: a contest, and many kinds of reasons against."""

    def interest(record: CallRecord) -> tuple[int, int, str]:
        decision = record.decision
        if decision is None:
            return (0, 0, record.call)
        contest = min(len(decision.runners_up), ENOUGH_RUNNERS_UP)
        return (contest, len(decision.excluded), record.call)

    decided = [record for record in records if record.decision is not None]
    return max(decided, key=interest, default=None)


def explain(scenario: Scenario, record: CallRecord) -> Explanation:
    """Lay out the decision that a record keeps. ValueError when it keeps none."""
    decision = record.decision
    if decision is None:
        raise ValueError(f"the record of call {record.call} keeps no decision")
    agent = scenario.agent(decision.winner)
    waited_s = (decision.wall_ms - record.arrived_ms) / 1000
    return Explanation(
        headline=f"{agent.name} at site {agent.site} got a call to {record.queue}"
        f" served at site {record.site}, {waited_s:.1f} s after it came"
        f" (decided on revision {decision.revision} of the shared state)",
        reasons=_reasons(scenario, record.queue, decision),
        candidates=_candidates(scenario, decision),
        excluded=tuple(
            sorted(decision.excluded.items(), key=lambda pair: (-pair[1], pair[0])),
        ),
    )


def _reasons(scenario: Scenario, queue: QueueId, decision: Decision) -> tuple[str, ...]:
    skills = scenario.agent(decision.winner).skills
    needs = ", ".join(
        f"{need.skill} {need.level} (has {skills.get(need.skill, 0)})"
        for need in scenario.queue(queue).needs
    )
    parts = " + ".join(f"{name} {value:.2f}" for name, value in sorted(decision.parts.items()))
    return (f"needed: {needs}", f"score: {parts} = {decision.score:.2f}")


def _candidates(scenario: Scenario, decision: Decision) -> tuple[Candidate, ...]:
    ranked = [(decision.winner, decision.score), *decision.runners_up]
    return tuple(
        Candidate(
            agent=agent, site=scenario.agent(agent).site, score=score, won=agent == decision.winner
        )
        for agent, score in ranked
    )
