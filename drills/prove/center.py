"""The call center of a run: three sites, four queues, agents of whom some suit one of them. PURE.

Of each site's eight agents four suit every queue, and four do not: one of these has the other's
skill at too low a level, until a caller has waited. One queue goes first, at first: waiting raises
the callers of the usual one above it, and a step those of the third above both. Nobody dials the
fourth, `help`: callers overflow to it, and keep their place.
"""

from __future__ import annotations

from collections.abc import Mapping

from state.configuration import Configuration
from state.model import (
    Agent,
    AgentId,
    Did,
    DidNumber,
    Queue,
    QueueId,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Step,
)

RING_S = 1.0
RELAXED_S = 1.5
"""After so long callers make do with somebody who knows less."""
RAISED_S, RAISED = 1.0, 3
"""After so long the callers of `tech` go before all others."""
FIRST = 1
AGING_S, CEILING = 0.2, 2
"""The usual queue's callers rise by one level in so long, until they go before `first`."""
OVERFLOW_S = 0.4
"""After so long callers of `first` are served by the needs of `help`: other agents suit, and who
can talk and no more does not suit any more."""
TALK, TECH = SkillId("talk"), SkillId("tech")
_BOTH = {TALK: 5, TECH: 5}
SKILLS: tuple[Mapping[SkillId, int], ...] = (
    _BOTH,
    _BOTH,
    _BOTH,
    _BOTH,
    {TALK: 5},
    {TALK: 3},
    {TALK: 3, TECH: 3},
    {TALK: 1, TECH: 5},
)
"""Of the agents of each site."""
AGENTS_PER_SITE = len(SKILLS)


def _queue(
    name: str,
    needs: Mapping[SkillId, int],
    *,
    priority: int = 0,
    steps: tuple[Step, ...] = (),
    aging_s: float | None = None,
) -> Queue:
    return Queue(
        id=QueueId(name),
        needs=tuple(SkillNeed(skill=skill, level=level) for skill, level in needs.items()),
        priority=priority,
        aging_s=aging_s,
        aging_ceiling=CEILING,
        steps=steps,
        ring_timeout_s=RING_S,
        wrap_up_s=0.0,
        no_answer_pause_s=0.3,
    )


QUEUES = (
    _queue("q", {TALK: 2}, aging_s=AGING_S),
    _queue(
        "tech",
        {TECH: 4, TALK: 1},
        steps=(
            Step(after_s=RELAXED_S, lower=(SkillNeed(skill=TECH, level=2),)),
            Step(after_s=RAISED_S, raise_priority=RAISED),
        ),
    ),
    _queue(
        "first",
        {TALK: 4},
        priority=FIRST,
        steps=(Step(after_s=OVERFLOW_S, overflow=QueueId("help")),),
    ),
    _queue("help", {TECH: 2}),
)
DIDS = {"15550100": "q", "15550101": "tech", "15550102": "first"}
DIALLED = ("15550100", "15550100", "15550101", "15550102")
"""Callers draw one of these: half of them wait in the usual queue."""


def configuration(addresses: dict[str, str]) -> Configuration:
    """Return it; `addresses` are the sites' proxies, `host:port` by site."""
    return Configuration(
        sites=tuple(
            Site(id=SiteId(site), name=site.upper(), sip=sip) for site, sip in addresses.items()
        ),
        trunks=(),
        queues=QUEUES,
        dids=tuple(Did(number=DidNumber(did), queue=QueueId(q)) for did, q in DIDS.items()),
        agents=tuple(
            Agent(
                id=AgentId(agent),
                name=agent,
                site=SiteId(site),
                skills=skills_of(agent),
                ha1="0" * 32,
            )
            for agent, site in agents(tuple(addresses)).items()
        ),
    )


def agents(sites: tuple[str, ...]) -> dict[str, str]:
    """Return the home site of each agent; an agent's id begins with it, and ends in a number."""
    return {
        f"{site}{number:02d}": site for site in sites for number in range(1, AGENTS_PER_SITE + 1)
    }


def skills_of(agent: str) -> Mapping[SkillId, int]:
    """Return what an agent can do, by skill how well."""
    return SKILLS[int(agent[-2:]) - 1]
