"""Who may have a call, and which level it has: worked out from the center alone. PURE.

Nothing here is the edge's own. Knows what the center of a run has: skills with levels, groups of
which one will do, attributes, scopes, tenants; steps that lower, drop or widen them, raise the
priority or hand the caller to another queue's agents, of the same tenant; and queues that raise it
as callers wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from drills.prove.world import World
from state.model import (
    ANYBODY,
    MAIN,
    Agent,
    Channel,
    Queue,
    Scope,
    SkillId,
    SkillNeed,
    Step,
    TenantId,
    Ticket,
)

Levels: TypeAlias = tuple[tuple[SkillId, int], ...]
"""By skill the least level that is asked for, or the level that somebody has."""
Values: TypeAlias = frozenset[tuple[str, str]]
"""Attributes: what somebody has under a name, or must have."""
Queues: TypeAlias = Mapping[str, tuple[Queue, int]]
"""By id, as `World` has them."""


class Able(Struct, frozen=True):
    """What an agent can do, and whose they are: equal for agents who are alike for every call."""

    levels: Levels = ()
    """Each skill once, in order."""
    values: Values = frozenset()
    site: str = ""
    """Where they are at home..."""
    team: str = ""
    """... in which team..."""
    employer: str = ""
    """... and paid by whom."""
    takes_calls: bool = True
    """Or conversations by other channels alone."""
    tenant: TenantId = MAIN
    """Whose calls they take."""

    @classmethod
    def of(cls, agent: Agent) -> Able:
        """Return what a configured agent can do, and whose they are."""
        named = agent.attributes.items()
        return cls(
            levels=tuple(sorted(agent.skills.items())),
            values=frozenset((name, value) for name, values in named for value in values),
            site=agent.site,
            team=agent.team,
            employer=agent.employer,
            takes_calls=agent.channels.get(Channel.VOICE, 1) > 0,
            tenant=agent.tenant,
        )


class Asked(Struct, frozen=True):
    """What a call asks for at one moment."""

    levels: Levels = ()
    """All of these..."""
    groups: tuple[Levels, ...] = ()
    """... and of each group one..."""
    values: Values = frozenset()
    """... and all of these..."""
    scope: Scope = ANYBODY
    """... of somebody here..."""
    tenant: TenantId = MAIN
    """... and of this tenant, whatever comes."""

    @classmethod
    def at_first(cls, queue: Queue) -> Asked:
        """Return what a queue asks for a caller who has just come."""
        return cls(
            levels=_levels(queue.needs),
            groups=tuple(map(_levels, queue.any_of)),
            values=frozenset((each.name, each.value) for each in queue.attributes),
            scope=queue.scope,
            tenant=queue.tenant,
        )

    def after(self, step: Step) -> Asked:
        """Return what is left of it once a step has given something up.

        A group goes with any of its skills.
        """
        lower = {need.skill: need.level for need in step.lower}

        def lowered(levels: Levels) -> Levels:
            return tuple((skill, min(level, lower.get(skill, level))) for skill, level in levels)

        return replace(
            self,
            levels=tuple(each for each in lowered(self.levels) if each[0] not in step.drop),
            groups=tuple(
                lowered(group)
                for group in self.groups
                if not any(skill in step.drop for skill, _ in group)
            ),
            values=frozenset(each for each in self.values if each[0] not in step.drop_attributes),
            scope=self.scope if step.scope is None else step.scope,
        )


def _levels(needs: Iterable[SkillNeed]) -> Levels:
    return tuple((need.skill, need.level) for need in needs)


def asked_by(queue: Queue, waited_s: float, others: Queues) -> Asked:
    """Return what a queue asks for a caller who has waited so long.

    Once they have overflowed, it is what that queue asks for at first, and what the steps of their
    own give up from then on. To another tenant's nobody overflows.
    """
    asked = Asked.at_first(queue)
    for step in queue.steps:
        if step.after_s > waited_s:
            continue
        other, _ = others.get(step.overflow or "", (None, 0))
        if other is not None and other.tenant == queue.tenant:
            asked = Asked.at_first(other)
        asked = asked.after(step)
    return asked


def stages_of(queue: Queue, others: Queues, least_s: float, most_s: float) -> tuple[Asked, ...]:
    """Return all that a queue may ask for a caller who has waited for so long or so long."""
    steps_s = (step.after_s for step in queue.steps if least_s < step.after_s <= most_s)
    return tuple(asked_by(queue, each, others) for each in (least_s, *steps_s))


def meets(able: Able, asked: Asked) -> bool:
    """Tell whether somebody who can do that may have a call that asks for this."""
    has = dict(able.levels)

    def is_met(need: tuple[SkillId, int]) -> bool:
        return has.get(need[0], 0) >= need[1]

    return (
        able.takes_calls
        and able.tenant == asked.tenant
        and all(map(is_met, asked.levels))
        and all(any(map(is_met, group)) for group in asked.groups)
        and asked.values <= able.values
        and _is_within(able, asked.scope)
    )


def _is_within(able: Able, scope: Scope) -> bool:
    """Tell whether a queue turns to somebody: where it names nobody it turns to all."""
    named = (
        (scope.sites, able.site),
        (scope.teams, able.team),
        (scope.employers, able.employer),
    )
    return all(not names or own in names for names, own in named)


def able(world: World, agent: str) -> Able:
    """Return what an agent can do; nothing: there is no such agent."""
    found, _ = world.agents.get(agent, (None, 0))
    return Able() if found is None else Able.of(found)


def queue_of(world: World, ticket: Ticket) -> Queue | None:
    """Return where a caller waits: where their number leads, until somebody passes them on."""
    did, _ = world.dids.get(ticket.did, (None, 0))
    name = ticket.queue if did is None or ticket.talks else did.queue
    queue, _ = world.queues.get(name, (None, 0))
    return queue


def stages(world: World, ticket: Ticket, least_s: float, most_s: float) -> tuple[Asked, ...]:
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
