"""Who may have a call, and which level it has: worked out from the center alone. PURE.

Nothing here is the edge's own. Knows what the center of a run has: skills with levels, steps that
lower or drop them, raise the priority or hand the caller to another queue's agents, and queues that
raise it as callers wait.
"""

from __future__ import annotations

from collections.abc import Mapping

from drills.prove.world import World
from state.model import Queue, SkillId, Ticket

Levels = Mapping[SkillId, int]
"""By skill the least level that is asked for, or the level that somebody has."""
Queues = Mapping[str, tuple[Queue, int]]
"""By id, as `World` has them."""


def asked_by(queue: Queue, waited_s: float, others: Queues) -> Levels:
    """Return what a queue asks for a caller who has waited so long.

    Once they have overflowed, it is what that queue asks for at first, and what the steps of their
    own give up from then on.
    """
    asked = _at_first(queue)
    for step in queue.steps:
        if step.after_s > waited_s:
            continue
        if step.overflow is not None and (other := others.get(step.overflow)) is not None:
            asked = _at_first(other[0])
        asked.update({n.skill: min(n.level, asked.get(n.skill, 0)) for n in step.lower})
        asked = {skill: least for skill, least in asked.items() if skill not in step.drop}
    return {skill: least for skill, least in asked.items() if least}


def _at_first(queue: Queue) -> dict[SkillId, int]:
    return {need.skill: need.level for need in queue.needs}


def stages_of(queue: Queue, others: Queues, least_s: float, most_s: float) -> tuple[Levels, ...]:
    """Return all that a queue may ask for a caller who has waited for so long or so long."""
    steps_s = (step.after_s for step in queue.steps if least_s < step.after_s <= most_s)
    return tuple(asked_by(queue, each, others) for each in (least_s, *steps_s))


def meets(skills: Levels, asked: Levels) -> bool:
    """Tell whether somebody who can do that may have a call that asks for this."""
    return all(skills.get(skill, 0) >= least for skill, least in asked.items())


def skills_of(world: World, agent: str) -> Levels:
    """Return what an agent can do; nothing: there is no such agent."""
    found, _ = world.agents.get(agent, (None, 0))
    return {} if found is None else found.skills


def queue_of(world: World, ticket: Ticket) -> Queue | None:
    """Return where a caller waits: where their number leads, until somebody passes them on."""
    did, _ = world.dids.get(ticket.did, (None, 0))
    name = ticket.queue if did is None or ticket.talks else did.queue
    queue, _ = world.queues.get(name, (None, 0))
    return queue


def stages(world: World, ticket: Ticket, least_s: float, most_s: float) -> tuple[Levels, ...]:
    """Return all that a call may ask for whose caller has waited for so long or so long.

    Empty: its queue does not exist.
    """
    queue = queue_of(world, ticket)
    return () if queue is None else stages_of(queue, world.queues, least_s, most_s)


def level_of(queue: Queue | None, priority: int, waited_s: float) -> int:
    """Return the level of a call of that priority whose caller has waited so long."""
    if queue is None:
        return priority
    level = priority + sum(s.raise_priority for s in queue.steps if s.after_s <= waited_s)
    if queue.aging_s is None:
        return level
    aged = min(level + waited_s / queue.aging_s, queue.aging_ceiling)
    return max(level, int(aged // 1))
