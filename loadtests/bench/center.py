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


def agent_id(number: int) -> AgentId:
    """Return the id of an agent, by number."""
    return AgentId(f"agent{number:05d}")


def configuration(agents: int, agents_sip: str, wrap_up_s: float = 0.0) -> Configuration:
    """Return one site, whose Kamailio is at `agents_sip`, and a queue without a greeting."""
    site, skill = SiteId("a"), SkillId("talk")
    return Configuration(
        sites=(Site(id=site, name="A", sip=agents_sip),),
        trunks=(),
        queues=(
            Queue(id=QueueId("q"), needs=(SkillNeed(skill=skill, level=2),), wrap_up_s=wrap_up_s),
        ),
        dids=(Did(number=DidNumber(DID), queue=QueueId("q")),),
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
