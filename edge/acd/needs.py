"""What a call asks of an agent at one moment, as a value.

Owns the value. Whether an agent meets it is `edge.acd.eligibility`'s to say; how it changes with
waiting, `edge.acd.relaxation`'s.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from state.model import (
    ANYBODY,
    MAIN,
    AgentId,
    AttributeNeed,
    Queue,
    Scope,
    SkillId,
    SkillNeed,
    TenantId,
    Ticket,
)


class Needs(Struct, frozen=True, kw_only=True, cache_hash=True):
    """All that an agent must be for a call; equal for many calls."""

    all_of: tuple[SkillNeed, ...] = ()
    any_of: tuple[tuple[SkillNeed, ...], ...] = ()
    """Of each group at least one."""
    attributes: tuple[AttributeNeed, ...] = ()
    scope: Scope = ANYBODY
    tenant: TenantId = MAIN
    """Whose agent it must be. No step ever changes that."""
    only: AgentId | None = None
    """The agent for whom the caller still waits, and nobody else."""

    @classmethod
    def of_ticket(cls, ticket: Ticket) -> Needs:
        """Return what the ticket itself says, whatever its queue."""
        return cls(
            all_of=ticket.needs,
            any_of=ticket.any_of,
            attributes=ticket.attributes,
            tenant=ticket.tenant,
        )

    @classmethod
    def of_queue(cls, queue: Queue) -> Needs:
        """Return what a queue asks for a caller who has just come."""
        return cls(
            all_of=queue.needs,
            any_of=queue.any_of,
            attributes=queue.attributes,
            scope=queue.scope,
            tenant=queue.tenant,
        )


def is_met(skills: Mapping[SkillId, int], need: SkillNeed) -> bool:
    """Tell whether these skills meet one need."""
    level = skills.get(need.skill)
    return level is not None and level >= need.level


def asked_of(skills: Mapping[SkillId, int], needs: Needs) -> tuple[SkillNeed, ...]:
    """Return the needs that these skills will serve: all-of, and of each group the first met.

    A group of which none is met adds nothing: such an agent is not eligible.
    """
    if not needs.any_of:
        return needs.all_of
    met = (next((need for need in group if is_met(skills, need)), None) for group in needs.any_of)
    return (*needs.all_of, *(need for need in met if need is not None))
