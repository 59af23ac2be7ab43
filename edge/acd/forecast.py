"""How long a caller will probably wait, and how wrong such forecasts were.

Owns the formula and the measure of its error. It looks at what is there: the calls ahead, the
agents who are present, and how long they have been taking for a call in about the last hour.

The formula: of the `staff` agents who are present and suit the call, one becomes free every
`handling_s / staff` seconds on average. A call ahead that also suits others takes only its share of
those: the part of its own agents who are among ours. With `ahead` such shares before it, and `free`
agents free, the call gets the (ahead + 1 - free)th agent to become free, and none has to when that
is not positive. Before a newcomer stand also those who came earlier and still hear the greeting.

What it does not know: calls of higher levels that are still to come, steps that are still to fall
due, and agents who come and go. So for a low priority it is too short, which is what the measured
error is there to show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean, median
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.eligibility import (
    AgentFacts,
    Reason,
    agent_facts,
    unavailable_because,
    unsuited_because,
)
from edge.acd.line import Waiting, waiting_calls
from edge.acd.needs import Needs
from edge.acd.service_level import wait_s
from state.model import AgentId, CallId, CallRecord, Now, Queue, QueueId, SkillId, TicketState
from state.snapshot import Snapshot


class Forecast(Struct, frozen=True, kw_only=True):
    """What a caller may be told."""

    position: int
    """1: the next of those who compete for the same agents."""
    staff: int
    """Agents who are present and suit the call, busy or not."""
    wait_s: float | None
    """None: nobody suits who is present, or nobody has finished a call lately."""


def forecast(snapshot: Snapshot, call: CallId, now: Now) -> Forecast | None:
    """Return the forecast for a call that waits in line; None: it does not."""
    line = waiting_calls(snapshot, now)
    for place, each in enumerate(line):
        if each.entry.value.call == call:
            return _forecast(Staff(snapshot), each.effective.needs, line[:place], now)
    return None


def forecast_for_newcomer(snapshot: Snapshot, queue: Queue, now: Now) -> Forecast:
    """Return the forecast for a caller who would come to a queue now."""
    return forecasts_for_newcomers(Staff(snapshot), snapshot, (queue,), now)[queue.id]


def forecasts_for_newcomers(
    staff: Staff, snapshot: Snapshot, queues: Iterable[Queue], now: Now
) -> dict[QueueId, Forecast]:
    """Return the forecasts for callers who would come to these queues now.

    `staff`: of this snapshot. All who wait and all who work are looked at once, for all queues.
    """
    line = (*waiting_calls(snapshot, now), *_greeted(snapshot, now))
    return {
        queue.id: _forecast(
            staff,
            Needs.of_queue(queue),
            [each for each in line if each.level >= queue.priority],
            now,
        )
        for queue in queues
    }


def _greeted(snapshot: Snapshot, now: Now) -> Iterator[Waiting]:
    """Yield those who hear the greeting, as they will come to the line: before a newcomer."""
    for entry in snapshot.tickets.values():
        ticket = entry.value
        is_coming = ticket.state is TicketState.GREETING and not ticket.takes_callback
        if is_coming and ticket.holder in snapshot.edges:
            # They begin to wait when it is over.
            yield Waiting.of(snapshot, replace(entry, seen_s=now.mono_s), now)


class Staff:
    """The agents who are present, busy or not, and who of them suits which needs."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.present = {
            agent: facts
            for agent, facts in agent_facts(snapshot).items()
            if facts.barred_because in {None, Reason.HAS_OFFER}
        }
        self._skilled: dict[SkillId, list[AgentId]] = {}
        for agent, facts in self.present.items():
            for skill in facts.agent.skills:
                self._skilled.setdefault(skill, []).append(agent)
        self._pools: dict[Needs, frozenset[AgentId]] = {}
        self._shares: dict[tuple[Needs, Needs], float] = {}

    def pool(self, needs: Needs) -> frozenset[AgentId]:
        """Return those who suit `needs`."""
        found = self._pools.get(needs)
        if found is None:
            # Whoever suits has each of the skills that all are needed: look at the rarest.
            skilled = [self._skilled.get(need.skill, []) for need in needs.all_of]
            names = min(skilled, key=len) if skilled else list(self.present)
            found = self._pools[needs] = frozenset(
                each for each in names if unsuited_because(self.present[each].agent, needs) is None
            )
        return found

    def share(self, theirs: Needs, ours: Needs) -> float:
        """Return which part of those who suit `theirs` also suit `ours`."""
        key = (theirs, ours)
        found = self._shares.get(key)
        if found is None:
            pool = self.pool(theirs)
            found = len(pool & self.pool(ours)) / len(pool) if pool else 0.0
            self._shares[key] = found
        return found


def _forecast(staff: Staff, needs: Needs, ahead: Iterable[Waiting], now: Now) -> Forecast:
    pool = staff.pool(needs)
    shares = [share for each in ahead if (share := staff.share(each.effective.needs, needs))]
    present = [staff.present[agent] for agent in pool]
    free = sum(1 for facts in present if unavailable_because(facts, now) is None)
    missing = sum(shares) + 1.0 - free
    return Forecast(
        position=len(shares) + 1,
        staff=len(pool),
        wait_s=_wait_s(missing, present),
    )


def _wait_s(missing: float, staff: list[AgentFacts]) -> float | None:
    if staff and missing <= 0.0:
        return 0.0
    handling = handling_s(staff)
    return missing * handling / len(staff) if staff and handling is not None else None


def handling_s(staff: Iterable[AgentFacts]) -> float | None:
    """Return how long a call keeps one of these agents, wrap-up included; None: nothing seen yet.

    Of about the last hour, and of all of them together.
    """
    works = [facts.work.value for facts in staff if facts.work is not None]
    calls = sum(max(0.0, work.recent_calls) for work in works)
    busy_s = sum(max(0.0, work.busy_s) for work in works)
    return busy_s / calls if calls > 0.0 else None


# ---- how wrong it was ----------------------------------------------------------------------------


SAMPLED_EVERY_S: Final = 5.0
SAMPLED_EACH_S: Final = 0.01
"""For each who works or waits: an estimate looks at all of them, which takes some 8 us for each."""
SAMPLED_MOST: Final = 2000
"""Of more, an estimate that nobody has asked for would hold calls up."""


def is_sampled(snapshot: Snapshot, since_s: float) -> bool:
    """Tell whether a caller's wait is estimated for the sake of the measure alone.

    `since_s`: so long after the last such one, by this edge. A queue with a limit of estimated
    waits has one for each of its callers.
    """
    size = len(snapshot.presences) + len(snapshot.tickets)
    return size <= SAMPLED_MOST and since_s >= max(SAMPLED_EVERY_S, size * SAMPLED_EACH_S)


CLOSE: Final = 0.3
NOTICED_S: Final = 1.0
"""An error below this is none, however short the wait was."""


class Accuracy(Struct, frozen=True, kw_only=True):
    """How estimates compare with what happened, in seconds."""

    count: int
    bias_s: float
    """Mean of estimate - wait: above 0, callers were told too much."""
    mean_error_s: float
    """Mean of the size of that."""
    median_error_s: float
    within_share: float
    """The share of those that were right to CLOSE of the wait, or to a second."""


def accuracy(estimates: Iterable[tuple[float, float]]) -> Accuracy | None:
    """Return the error of pairs of (estimated, waited); None: there is nothing to compare."""
    pairs = tuple(estimates)
    errors = [estimated - waited for estimated, waited in pairs]
    if not errors:
        return None
    sizes = [abs(error) for error in errors]
    return Accuracy(
        count=len(errors),
        bias_s=fmean(errors),
        mean_error_s=fmean(sizes),
        median_error_s=median(sizes),
        within_share=fmean(
            size <= max(CLOSE * waited, NOTICED_S)
            for size, (_, waited) in zip(sizes, pairs, strict=True)
        ),
    )


def accuracy_of(records: Iterable[CallRecord]) -> Accuracy | None:
    """Return the error of what was estimated for the calls that an agent has answered.

    Who left earlier has not waited to the end, and would make estimates look too long.
    """
    return accuracy(
        (record.estimate_s, wait_s(record))
        for record in records
        if record.estimate_s is not None and record.connected_ms is not None
    )
