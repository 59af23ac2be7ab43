"""How long callers waited although an agent was free for them. PURE.

A wait has two causes: nobody who suits is free, or somebody is and has not been given. Of who
waits at a moment, in their order, as many are taken as can each have another agent, whichever: who
is among them had nobody ahead for whom an agent would be missing. Judged by the plan (who can what)
and the history of the shared state, and not by how the edges choose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeVar

from msgspec.structs import replace

from drills.demo.routing import lacking
from drills.demo.scenario import Scenario
from drills.demo.waiting import Free, OutOfReach, Wait, Waiting
from drills.seen import Seen
from state.model import AgentId, CallId, EdgeId, Outcome, QueueId, SiteId

S = TypeVar("S", Wait, Free, OutOfReach)

COMING_S: Final = 20.0
"""Who comes within so long after the first fault counts, and who waits when it comes."""
_MS: Final = 1000.0


def offer_delay_s(seen: Seen, t0_ms: int) -> float | None:
    """Return how long, at most, a caller waited while an agent who suits was free for them.

    Of those who waited at the first fault or came within `COMING_S` of it, whether they got
    somebody or left, from the first fault on; not of those who were lost. None: nobody waited, or
    a site served alone meanwhile, of whose agents the history does not know who was free.
    """
    if seen.alone_still or any(at_ms >= t0_ms for at_ms in seen.merged_ms):
        return None
    left_ms = {
        CallId(row.caller.call): row.caller.hung_up_ms
        for row in seen.ledger.placed
        if row.caller
        and row.caller.ok_ms is not None
        and row.caller.ok_ms <= t0_ms + COMING_S * _MS
        and row.by_people is not Outcome.LOST
    }
    # Who has hung up waits no longer, however late their edge could write that down.
    waits = tuple(
        replace(
            each,
            from_ms=max(each.from_ms, t0_ms),
            to_ms=min(each.to_ms, left_ms.get(each.call) or each.to_ms),
        )
        for each in seen.waiting.waits
    )
    told = delayed_ms(seen.scenario, replace(seen.waiting, waits=waits))
    due = {each.call for each in waits if each.from_ms < each.to_ms} & left_ms.keys()
    return max(told.get(call, 0.0) for call in due) / _MS if due else None


def delayed_ms(scenario: Scenario, waiting: Waiting) -> dict[CallId, float]:
    """Return for how long each caller waited while an agent was free for them, all stretches."""
    suits = {
        (agent.id, queue.id): not lacking(scenario, agent.id, queue.id)
        for agent in scenario.agents
        for queue in scenario.queues
    }
    found: defaultdict[CallId, float] = defaultdict(float)
    stretches: tuple[Wait | Free | OutOfReach, ...]
    stretches = (*waiting.waits, *waiting.free, *waiting.out_of_reach)
    ends = {at_ms for each in stretches for at_ms in (each.from_ms, each.to_ms)}
    for from_ms, to_ms in pairwise(sorted(ends)):
        waits, free = _at(waiting.waits, from_ms), _at(waiting.free, from_ms)
        if not waits or not free:
            continue
        unreachable = {each.edge: each.sites for each in _at(waiting.out_of_reach, from_ms)}
        for call in served(waits, free, suits, unreachable):
            found[call] += to_ms - from_ms
    return dict(found)


def served(
    waits: Iterable[Wait],
    free: Sequence[Free],
    suits: Mapping[tuple[AgentId, QueueId], bool],
    unreachable: Mapping[EdgeId, frozenset[SiteId]],
) -> frozenset[CallId]:
    """Return who of those who wait could have an agent each, those before them first."""
    given: dict[AgentId, Wait] = {}

    def find(wait: Wait, asked: set[AgentId]) -> bool:
        """Give somebody to a caller, if need be one whose caller can have another."""
        away = unreachable.get(wait.holder, frozenset())
        for each in free:
            agent = each.agent
            if agent in asked or each.site in away or not suits.get((agent, wait.queue), False):
                continue
            asked.add(agent)
            if agent not in given or find(given[agent], asked):
                given[agent] = wait
                return True
        return False

    return frozenset(
        wait.call for wait in sorted(waits, key=lambda each: each.order) if find(wait, set())
    )


def _at(stretches: Iterable[S], at_ms: float) -> tuple[S, ...]:
    return tuple(each for each in stretches if each.from_ms <= at_ms < each.to_ms)
