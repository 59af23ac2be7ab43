"""All calls that wait: in which group, of which class, and when that changes by itself. PURE.

A call's rules change when a step falls due, its level when it ages. Both come at instants that are
known beforehand, so nobody looks at a call before its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edge.acd.index.crew import Crew
from edge.acd.index.demand import Demand
from edge.acd.index.dues import Dues
from edge.acd.index.group import Group, Standing
from edge.acd.index.shelf import DRIFT_S
from edge.acd.line import Waiting, level_of, standing_of
from edge.acd.needs import Needs
from edge.acd.relaxation import Effective, waited_s
from edge.acd.roster import MOST_CLASSES, CallClass
from state.model import CallId, EdgeId, Now, Queue, QueueId, SiteId, Ticket, TicketState
from state.snapshot import Snapshot

_ROUNDING_S = 1e-6
_MOST_KNOWN: Final = 4096
_Alike = tuple[int, QueueId, SiteId, EdgeId]
"""Identity of the needs, whose rules are in force, where the caller is, and who holds them."""


@dataclass(slots=True, eq=False)
class Caller:
    """A call that waits."""

    waiting: Waiting
    """With its own level: to which it is lifted, its group says."""
    group: Group
    demand: Demand
    standing: Standing
    is_in_line: bool = False
    """Not so while an agent is being given to it."""


class Callers:
    """Every call in the line. `ready` is told of classes that may be served now."""

    def __init__(self, ready: set[Demand], crew: Crew, edge: EdgeId | None) -> None:
        self._ready = ready
        self._crew = crew
        self._edge = edge
        self._calls: dict[CallId, Caller] = {}
        self._groups: dict[tuple[QueueId, int], Group] = {}
        self._demands: dict[CallClass, Demand] = {}
        self._in_use = 0
        """Of so many classes calls wait."""
        self.is_crowded = False
        """Whether many more classes are remembered than are in use."""
        self._known: dict[_Alike, tuple[Needs, Demand]] = {}
        """Classes by what they follow from, while queues, sites and probes stay as they are."""
        self.silent: frozenset[EdgeId] = frozenset()
        """Whose calls are passed over; who changes it looks at their calls anew."""
        self.steps: Dues[CallId] = Dues()
        """When the rules of this edge's calls change (of everybody's, if it is none)."""
        self.turns: Dues[CallId] = Dues()
        """When others' rules change, and when anybody ages."""

    def __iter__(self) -> Iterator[CallId]:
        return iter(self._calls)

    def get(self, call: CallId) -> Caller | None:
        """Return a call if it waits."""
        return self._calls.get(call)

    def of(self, call: CallId) -> Caller:
        """Return a call that waits."""
        return self._calls[call]

    def look(self, snapshot: Snapshot, call: CallId, now: Now) -> None:
        """Take in what the snapshot and the time say of one call."""
        before = self._calls.pop(call, None)
        if before is not None:
            self._remove(before)
        entry = snapshot.tickets.get(call)
        if (
            entry is None
            or entry.value.state is not TicketState.QUEUED
            or entry.value.holder not in snapshot.edges
        ):
            self.steps.set(call, None)
            self.turns.set(call, None)
            return
        waiting = Waiting.of(snapshot, entry, now)
        caller = self._calls[call] = self._stand(snapshot, waiting)
        self._insert(caller)
        self._set_dues(snapshot, waiting, now)

    def _stand(self, snapshot: Snapshot, waiting: Waiting) -> Caller:
        entry = waiting.entry
        ticket = entry.value
        group = self._groups.get((ticket.queue, ticket.priority))
        if group is None:
            group = self._groups[ticket.queue, ticket.priority] = Group()
        demand = self._demand(snapshot, ticket, waiting.effective)
        return Caller(waiting, group, demand, standing_of(entry))

    def _demand(self, snapshot: Snapshot, ticket: Ticket, effective: Effective) -> Demand:
        # Calls that are alike share one object for their needs (`relaxation`), which is quicker to
        # compare than what it holds. Kept beside the class, so that no other has its identity.
        alike = (id(effective.needs), effective.queue, ticket.site, ticket.holder)
        known = self._known.get(alike)
        if known is not None:
            return known[1]
        kind = CallClass.of(snapshot, ticket, effective)
        demand = self._demands.get(kind)
        if demand is None:
            demand = self._demands[kind] = Demand(kind)
            self._crew.meet(demand)
            self.is_crowded = len(self._demands) > 2 * self._in_use + MOST_CLASSES
        if demand.only is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[alike] = (effective.needs, demand)
        return demand

    def forget_known(self) -> None:
        """Work out anew which class a call is of: a queue, a site or a probe has changed."""
        self._known.clear()

    def _insert(self, caller: Caller) -> None:
        caller.group.put(caller.standing, caller.waiting.level)
        demand = caller.demand
        if not demand.calls:
            self._in_use += 1
        demand.calls += 1
        self.line_up(caller, is_in_line=True)

    def _remove(self, caller: Caller) -> None:
        if caller.is_in_line:
            self.line_up(caller, is_in_line=False)
        caller.group.drop(caller.standing)
        if not len(caller.group):
            ticket = caller.waiting.entry.value
            self._groups.pop((ticket.queue, ticket.priority), None)
        demand = caller.demand
        demand.calls -= 1
        if not demand.calls:
            self._in_use -= 1
            if demand.only is not None:
                del self._demands[demand.kind]
                self._crew.forget(demand)

    def line_up(self, caller: Caller, *, is_in_line: bool) -> None:
        """Let a call want an agent, or not; one that is passed over does not."""
        if is_in_line and self.silent and caller.waiting.entry.value.holder in self.silent:
            is_in_line = False
        if caller.is_in_line is is_in_line:
            return
        caller.is_in_line = is_in_line
        if is_in_line:
            caller.demand.join(caller.group, caller.standing)
            self._ready.add(caller.demand)
        else:
            caller.demand.leave(caller.group, caller.standing)

    def _set_dues(self, snapshot: Snapshot, waiting: Waiting, now: Now) -> None:
        entry = waiting.entry
        waits_s = waited_s(entry, now)
        # Of one that was found in a listing, the wall clock tells how long it has waited.
        early_s = DRIFT_S if entry.is_found else _ROUNDING_S

        def at_s(due_s: float | None) -> float | None:
            return None if due_s is None else now.mono_s + max(0.0, due_s - waits_s - early_s)

        queue = snapshot.queues.get(entry.value.queue)
        step_s = waiting.effective.next_due_s
        age_s = _next_age_s(waiting.effective, waits_s, None if queue is None else queue.value)
        is_ours = self._edge is None or entry.value.holder == self._edge
        self.steps.set(entry.value.call, at_s(step_s) if is_ours else None)
        others = [age_s] if is_ours else [age_s, step_s]
        turn_s = min((each for each in others if each is not None), default=None)
        self.turns.set(entry.value.call, at_s(turn_s))


def _next_age_s(effective: Effective, waits_s: float, queue: Queue | None) -> float | None:
    """Return the seconds of waiting at which the level rises next; None: it will not."""
    if queue is None or queue.aging_s is None or queue.aging_s <= 0.0:
        return None
    aged = level_of(effective.priority, waits_s, queue)
    if aged >= max(queue.aging_ceiling, effective.priority):
        return None
    return (waits_s // queue.aging_s + 1.0) * queue.aging_s
