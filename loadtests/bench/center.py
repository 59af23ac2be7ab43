"""The call center that the edge serves in a benchmark: one queue, many agents who are ready."""

from __future__ import annotations

import hashlib

from state import keys
from state.codec import encode
from state.configuration import Configuration
from state.etcd import EtcdStore, Tls
from state.model import (
    Agent,
    AgentId,
    Did,
    DidNumber,
    Presence,
    PresenceState,
    Queue,
    QueueId,
    Readiness,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Wish,
)
from state.publishing import OPERATIONS_IN_TXN, publish
from state.store import Put

DID = "15550100"
NOBODYS = "15559999"
"""Who calls it waits."""
GREETED = "15559998"
"""Who calls it hears a greeting, for two seconds, and then waits as there."""


def agent_id(number: int) -> AgentId:
    """Return the id of an agent, by number."""
    return AgentId(f"agent{number:05d}")


SITES = "abcdefghi"


def configuration(  # noqa: PLR0913 - each is what it says
    agents: int,
    agents_sip: str,
    wrap_up_s: float = 0.0,
    queues: int = 1,
    sites: int = 1,
    *,
    unserved: bool = False,
) -> Configuration:
    """Return one site, whose Kamailio is at `agents_sip`, and queues without a greeting.

    With several `sites` the same Kamailio stands for each, and all agents are at the first.

    All agents serve all of `queues`, whose numbers follow each other; with several there is one
    more, of `NOBODYS`, which nobody serves. `unserved`: there is in any case, and of `GREETED` too.
    """
    site, skill = SiteId(SITES[0]), SkillId("talk")
    numbers = [str(int(DID) + place) for place in range(queues)]
    names = [QueueId("q" if not place else f"q{place}") for place in range(queues)]
    needs = (SkillNeed(skill=skill, level=2),)
    served = tuple(Queue(id=name, needs=needs, wrap_up_s=wrap_up_s) for name in names)
    dids = tuple(
        Did(number=DidNumber(number), queue=name)
        for number, name in zip(numbers, names, strict=True)
    )
    if queues > 1 or unserved:
        nobody = QueueId("nobody")
        served += (Queue(id=nobody, needs=(SkillNeed(skill=SkillId("nobody"), level=1),)),)
        dids += (Did(number=DidNumber(NOBODYS), queue=nobody),)
        if unserved:
            dids += (Did(number=DidNumber(GREETED), queue=nobody, greeting="greeting"),)
    return Configuration(
        sites=tuple(
            Site(id=SiteId(each), name=each.upper(), sip=agents_sip) for each in SITES[:sites]
        ),
        trunks=(),
        queues=served,
        dids=dids,
        agents=tuple(
            Agent(
                id=agent_id(number),
                name=f"Agent {number}",
                site=site,
                skills={skill: 2 + number % 3, SkillId("write"): 1 + number % 5},
                ha1=hashlib.md5(b"%d" % number).hexdigest(),  # noqa: S324 - what a digest is made of
            )
            for number in range(agents)
        ),
    )


async def furnish(endpoints: tuple[str, ...], tls: Tls, configured: Configuration) -> None:
    """Write the configuration, and every agent as ready as a home site would say."""
    store = EtcdStore(endpoints, tls=tls)
    try:
        await publish(store, configured)
        puts = []
        for agent in configured.agents:
            wish = Wish(agent=agent.id, readiness=Readiness.READY)
            presence = Presence(
                agent=agent.id, site=agent.site, state=PresenceState.READY, since_ms=1
            )
            puts.append(Put(key=keys.wish(agent.id), value=encode(wish)))
            puts.append(Put(key=keys.presence(agent.id), value=encode(presence)))
        for start in range(0, len(puts), OPERATIONS_IN_TXN):
            await store.txn((), puts[start : start + OPERATIONS_IN_TXN])
    finally:
        await store.close()
