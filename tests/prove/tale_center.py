"""The center of the histories that tests write: its queues, and what agents can do."""

from __future__ import annotations

from collections.abc import Mapping

from drills.prove.needs import Able
from state.model import (
    AttributeNeed,
    Queue,
    QueueId,
    Scope,
    SiteId,
    SkillId,
    SkillNeed,
    Step,
    TenantId,
)

SHOP = TenantId("shop")
TALK, TECH = SkillId("talk"), SkillId("tech")
LANGUAGE = "language"
BOTH = {TALK: 5, TECH: 5}
RELAXED_S = 2.0
QUEUES = (
    Queue(id=QueueId("q"), needs=(SkillNeed(skill=TALK, level=2),)),
    Queue(
        id=QueueId("tech"),
        needs=(SkillNeed(skill=TECH, level=4), SkillNeed(skill=TALK, level=1)),
        steps=(Step(after_s=RELAXED_S, lower=(SkillNeed(skill=TECH, level=2),)),),
    ),
    Queue(id=QueueId("first"), needs=(SkillNeed(skill=TALK, level=4),), priority=5),
    Queue(
        id=QueueId("abroad"),
        needs=(),
        any_of=((SkillNeed(skill=TALK, level=4), SkillNeed(skill=TECH, level=3)),),
        attributes=(AttributeNeed(name=LANGUAGE, value="fr"),),
        steps=(
            Step(after_s=RELAXED_S, lower=(SkillNeed(skill=TALK, level=3),)),
            Step(after_s=RELAXED_S + 2.0, drop_attributes=(LANGUAGE,)),
            Step(after_s=RELAXED_S + 4.0, drop=(TECH,)),
        ),
    ),
    Queue(
        id=QueueId("scoped"),
        needs=(),
        scope=Scope(sites=(SiteId("a"), SiteId("b")), teams=("red",), employers=("",)),
        steps=(
            Step(after_s=RELAXED_S, scope=Scope(teams=("red", "blue"))),
            Step(after_s=RELAXED_S + 2.0, overflow=QueueId("ages")),
        ),
    ),
    Queue(id=QueueId("ages"), needs=(), aging_s=1.0, aging_ceiling=3),
    Queue(
        id=QueueId("over"),
        needs=(SkillNeed(skill=TALK, level=2),),
        steps=(Step(after_s=RELAXED_S, overflow=QueueId("tech")),),
    ),
    Queue(
        id=QueueId("shop.line"),
        needs=(SkillNeed(skill=TALK, level=2), SkillNeed(skill=TECH, level=2)),
        tenant=SHOP,
        steps=(
            Step(after_s=RELAXED_S, overflow=QueueId("q")),
            Step(after_s=RELAXED_S + 1.0, drop=(TECH,)),
        ),
    ),
    Queue(id=QueueId("raised"), needs=(), steps=(Step(after_s=RELAXED_S, raise_priority=9),)),
)
"""Each is dialled by its own name."""


def can(levels: Mapping[SkillId, int], *languages: str) -> Able:
    """Return what somebody can do."""
    values = frozenset((LANGUAGE, each) for each in languages)
    return Able(levels=tuple(sorted(levels.items())), values=values)
