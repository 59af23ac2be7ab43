"""Who may have a call, worked out from the center alone: nothing here is the edge's own. PURE.

Knows what the center of a run has: skills with levels, and steps that lower or drop them. How long
a caller has waited only their edge knows; what is certain here is between what their ticket says,
and all the time since they sent their INVITE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drills.prove.history import Event, FaultKind, Placed
from drills.prove.times import FOR_EVER, spans
from drills.prove.world import World
from state.model import EdgeId, Queue, SkillId, Ticket

Levels = Mapping[SkillId, int]
"""By skill the least level that is asked for, or the level that somebody has."""
_LATE_S = 1.0
"""So much later than it is mended a clock may still be wrong: edges look now and then."""


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


class Waits:
    """How long callers can have waited at most, in the eyes of an edge."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._placed: dict[str, float] = {}
        for event in events:
            if isinstance(event, Placed):
                self._placed.setdefault(event.call, event.at_s)
        self._wrong = [span for span in spans(events) if span.kind is FaultKind.WRONG_CLOCK]

    def most_s(self, ticket: Ticket, edge: EdgeId, at_s: float) -> float:
        """Return how long, until `at_s`, as far as `edge` can know.

        For ever if one of the clocks was wrong by which an edge tells that of tickets which it has
        found written: those of itself and of the caller's edge.
        """
        placed_s = self._placed.get(ticket.call)
        clocks = {edge, ticket.holder}
        if placed_s is None or any(
            span.target in clocks and span.touches(placed_s, at_s, aftermath_s=_LATE_S)
            for span in self._wrong
        ):
            return FOR_EVER
        return at_s - placed_s
