"""The call center of a run: three sites, one queue, agents who all suit. PURE."""

from __future__ import annotations

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
)

DID = "15550100"
QUEUE = "q"
AGENTS_PER_SITE = 8
RING_S = 1.0


def configuration(addresses: dict[str, str]) -> Configuration:
    """Return it; `addresses` are the sites' proxies, `host:port` by site."""
    skill = SkillId("talk")
    return Configuration(
        sites=tuple(
            Site(id=SiteId(site), name=site.upper(), sip=sip) for site, sip in addresses.items()
        ),
        trunks=(),
        queues=(
            Queue(
                id=QueueId(QUEUE),
                needs=(SkillNeed(skill=skill, level=2),),
                ring_timeout_s=RING_S,
                wrap_up_s=0.0,
                no_answer_pause_s=0.3,
            ),
        ),
        dids=(Did(number=DidNumber(DID), queue=QueueId(QUEUE)),),
        agents=tuple(
            Agent(id=AgentId(agent), name=agent, site=SiteId(site), skills={skill: 2}, ha1="0" * 32)
            for agent, site in agents(tuple(addresses)).items()
        ),
    )


def agents(sites: tuple[str, ...]) -> dict[str, str]:
    """Return the home site of each agent; an agent's id begins with it."""
    return {
        f"{site}{number:02d}": site for site in sites for number in range(1, AGENTS_PER_SITE + 1)
    }
