"""How a call's rules change while it waits: which steps of its queue are in force.

Owns the clock of waiting and the meaning of a step. Knows nothing of agents, nor of who carries out
an overflow or a goodbye.

The laws:

- **Waiting is measured without wall clocks** where that is possible. The holder writes into the
  ticket how long the caller had waited (`Ticket.waited_s`, by its monotonic clock), and each reader
  adds what has passed since it saw that record: so a caller's clock goes on through offers, edges
  and restarts. A reader who saw the record being written is wrong by no more than the time the
  watch takes.
- A reader who *found* the record in a listing, being younger than it, cannot know how old it was.
  It asks the wall clocks, leaves out the talks that are over, and never takes less than what is
  certain, nor more than `GUESSED_MOST_S` above it. So a clock that is wrong by minutes misplaces,
  in the eyes of a process that has just started, calls that came before it by that much at most,
  until their next write; and no safety rests on it.
- Steps add up, in the order of their times. The place in the queue is the ticket's create_revision
  and no step touches it.
- An overflow hands the caller to another queue's needs, scope and strategy. The steps of the first
  queue go on; those of the other do not count, so that queues cannot send callers in a circle. What
  the caller gave up before does not count against the other queue's needs.
- A preference for an agent is the first to go: when its time is over, when a step drops it, or when
  that agent has refused the call or let it ring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.needs import Needs
from state.model import (
    ANYBODY,
    AgentId,
    AttributeNeed,
    Entry,
    Now,
    Queue,
    QueueId,
    Scope,
    SkillId,
    SkillNeed,
    Step,
    TenantId,
    Ticket,
    TurnAway,
)

GUESSED_MOST_S: Final = 600.0
"""How far wall clocks may lengthen a waiting of which this process did not see the beginning."""

Queues = Mapping[QueueId, Entry[Queue]]


class Effective(Struct, frozen=True, kw_only=True, cache_hash=True):
    """By which rules a call is served at one moment of its waiting."""

    queue: QueueId
    """Its own, or the one that it has overflowed to."""
    needs: Needs
    priority: int
    """With what steps have raised it by; what aging adds is told by `edge.acd.line`."""
    step: int = 0
    """How many of the queue's steps are in force; 0: none."""
    turn_away: TurnAway | None = None
    """The caller has waited for too long."""
    next_due_s: float | None = None
    """Seconds of waiting at which the next of these changes; None: nothing more will."""

    @property
    def scope(self) -> Scope:
        """Which agents it is for."""
        return self.needs.scope


def waited_s(entry: Entry[Ticket], now: Now) -> float:
    """Return how long the caller has waited in the queue."""
    ticket = entry.value
    certain_s = max(0.0, ticket.waited_s) + max(0.0, now.mono_s - entry.seen_s)
    if not entry.is_found or ticket.queued_ms is None:
        return certain_s
    talked_ms = sum(talk.until_ms - talk.since_ms for talk in ticket.talks)
    guessed_s = (now.wall_ms - ticket.queued_ms - talked_ms) / 1000.0
    return max(certain_s, min(guessed_s, certain_s + GUESSED_MOST_S))


def in_force(
    queue: Queue | None, ticket: Ticket, waits_s: float, *, queues: Queues | None = None
) -> Effective:
    """Return the rules for a call that has waited `waits_s`; a step counts from its very second.

    `queues`: where those to overflow to are looked up; one that is not there is passed over.
    """
    scope = ANYBODY if queue is None else queue.scope
    effective = _at_first(
        ticket.queue,
        ticket.tenant,
        ticket.needs,
        ticket.any_of,
        ticket.attributes,
        scope,
        ticket.priority,
    )
    steps = () if queue is None else steps_of(queue)
    if not steps and ticket.prefers is None:
        return effective
    due = tuple([step for step in steps if step.after_s <= waits_s])
    next_due_s = steps[len(due)].after_s if len(due) < len(steps) else None
    if any(step.overflow is not None for step in due):
        # What another queue asks for may change: nothing of it is kept.
        effective = _relaxed(effective, due, next_due_s, queues)
    else:
        effective = _relaxed_alone(effective, due, next_due_s)
    only = _preferred(ticket, waits_s, due)
    if only is None:
        return effective
    until_s = ticket.prefers_for_s
    return replace(
        effective,
        needs=replace(effective.needs, only=only),
        next_due_s=until_s if next_due_s is None else min(until_s, next_due_s),
    )


def steps_of(queue: Queue) -> tuple[Step, ...]:
    """Return the steps in the order of their times; the longest wait is the last of its second."""
    if queue.longest_wait_s is None and len(queue.steps) <= 1:
        return queue.steps
    limit = queue.longest_wait_s
    last: tuple[Step, ...] = ()
    if limit is not None:
        turn_away = limit.turn_away if limit.overflow is None else None
        last = (Step(after_s=limit.most, overflow=limit.overflow, turn_away=turn_away),)
    return tuple(sorted((*queue.steps, *last), key=lambda step: step.after_s))


def last_turn_away(entry: Entry[Queue] | None, step: int) -> int:
    """Return which of the first `step` steps is the last that sends callers away; 0: none."""
    steps = () if entry is None else steps_of(entry.value)[:step]
    return max((n for n, each in enumerate(steps, start=1) if each.turn_away), default=0)


def asked_at_once(queue: Queue, queues: Queues) -> Needs:
    """Return what a queue asks for whoever has just come: its steps of the first second count."""
    alone = Effective(queue=queue.id, needs=Needs.of_queue(queue), priority=queue.priority)
    due = tuple(step for step in steps_of(queue) if step.after_s <= 0.0)
    return _relaxed(alone, due, None, queues).needs


def effective_now(queues: Queues, entry: Entry[Ticket], now: Now) -> Effective:
    """Return the rules for a call as things stand."""
    queue = queues.get(entry.value.queue)
    return in_force(
        None if queue is None else queue.value, entry.value, waited_s(entry, now), queues=queues
    )


def next_step_s(queues: Queues, entry: Entry[Ticket], now: Now) -> float | None:
    """Return the monotonic instant of the next change in a call's rules; None: none will come."""
    due_s = effective_now(queues, entry, now).next_due_s
    return None if due_s is None else now.mono_s + max(0.0, due_s - waited_s(entry, now))


@lru_cache(maxsize=4096)
def _at_first(  # noqa: PLR0913, PLR0917  the parts of a ticket that many share
    queue: QueueId,
    tenant: TenantId,
    all_of: tuple[SkillNeed, ...],
    any_of: tuple[tuple[SkillNeed, ...], ...],
    attributes: tuple[AttributeNeed, ...],
    scope: Scope,
    priority: int,
) -> Effective:
    """Return the rules before any step; the same object for calls that are alike."""
    needs = Needs(all_of=all_of, any_of=any_of, attributes=attributes, scope=scope, tenant=tenant)
    return Effective(queue=queue, needs=needs, priority=priority)


def _preferred(ticket: Ticket, waits_s: float, due: Iterable[Step]) -> AgentId | None:
    is_over = waits_s >= ticket.prefers_for_s or ticket.prefers in ticket.tried
    return None if is_over or any(step.drop_preference for step in due) else ticket.prefers


def _relaxed(
    effective: Effective, due: tuple[Step, ...], next_due_s: float | None, queues: Queues | None
) -> Effective:
    for step in due:
        effective = _after(effective, step, queues)
    return replace(effective, step=len(due), next_due_s=next_due_s)


@lru_cache(maxsize=4096)
def _relaxed_alone(
    effective: Effective, due: tuple[Step, ...], next_due_s: float | None
) -> Effective:
    """Return the rules after steps that look at no other queue; the same object for calls alike."""
    return _relaxed(effective, due, next_due_s, None)


def _after(effective: Effective, step: Step, queues: Queues | None) -> Effective:
    other = None
    if step.overflow is not None and queues is not None:
        other = queues.get(step.overflow)
        if other is not None and other.value.tenant != effective.needs.tenant:
            other = None  # nobody is handed over to another tenant, whatever is configured
    needs = effective.needs if other is None else Needs.of_queue(other.value)
    return replace(
        effective,
        queue=effective.queue if other is None else other.value.id,
        needs=_lowered(needs, step),
        priority=effective.priority + step.raise_priority,
        turn_away=step.turn_away or effective.turn_away,
    )


def _lowered(needs: Needs, step: Step) -> Needs:
    levels = {need.skill: need.level for need in step.lower}
    return replace(
        needs,
        all_of=tuple(_lower(n, levels) for n in needs.all_of if n.skill not in step.drop),
        # To do without one of a group is to do without the group: a step never asks for more.
        any_of=tuple(
            tuple(_lower(need, levels) for need in group)
            for group in needs.any_of
            if not any(need.skill in step.drop for need in group)
        ),
        attributes=tuple(a for a in needs.attributes if a.name not in step.drop_attributes),
        scope=needs.scope if step.scope is None else step.scope,
    )


def _lower(need: SkillNeed, levels: Mapping[SkillId, int]) -> SkillNeed:
    level = levels.get(need.skill, need.level)
    return need if level >= need.level else replace(need, level=level)
