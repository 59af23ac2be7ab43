"""Who may have a call, and which level it has: worked out from the center alone. PURE.

Nothing here is the edge's own. Knows what the center of a run has: skills with levels, steps that
lower or drop them or raise the priority, and queues that raise it as callers wait.
"""

from __future__ import annotations

from collections.abc import Mapping

from drills.prove.world import World
from state.model import Queue, SkillId, Ticket

Levels = Mapping[SkillId, int]
"""By skill the least level that is asked for, or the level that somebody has."""


def asked_by(queue: Queue, waited_s: float) -> Levels:
    """Return what a queue asks for a caller who has waited so long."""
    asked = {need.skill: need.level for need in queue.needs}
    for step in queue.steps:
        if step.after_s <= waited_s:
            asked.update({n.skill: min(n.level, asked.get(n.skill, 0)) for n in step.lower})
            asked = {skill: least for skill, least in asked.items() if skill not in step.drop}
    return {skill: least for skill, least in asked.items() if least}


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


def asked_for(world: World, ticket: Ticket, waited_s: float) -> Levels | None:
    """Return what a call asks for once it has waited so long; None: its queue does not exist."""
    queue = queue_of(world, ticket)
    return None if queue is None else asked_by(queue, waited_s)


def level_of(queue: Queue | None, priority: int, waited_s: float) -> int:
    """Return the level of a call of that priority whose caller has waited so long."""
    if queue is None:
        return priority
    level = priority + sum(s.raise_priority for s in queue.steps if s.after_s <= waited_s)
    if queue.aging_s is None:
        return level
    aged = min(level + waited_s / queue.aging_s, queue.aging_ceiling)
    return max(level, int(aged // 1))
