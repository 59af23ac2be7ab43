"""The call center of a scenario as configuration records. PURE.

Owns how the plan's people and queues become the nouns that the edges read.
"""

from __future__ import annotations

from collections.abc import Mapping

from drills.demo.scenario import (
    NUMBERS,
    RING_TIMEOUT_S,
    WRAP_UP_S,
    PlannedAgent,
    PlannedQueue,
    Scenario,
)
from state.configuration import Configuration, ha1_of
from state.model import (
    Agent,
    AgentId,
    CallBack,
    Did,
    Queue,
    Readiness,
    Site,
    SiteId,
    Trunk,
    TrunkId,
    Wish,
)

CARRIER = TrunkId("carrier")
REGION = "US"
"""Callers' numbers begin with 1, and have no plus."""
GREETING = "greeting"
SIP_PORT = 5060
SITE_NAMES = {"a": "Alpha", "b": "Bravo", "c": "Charlie"}
CALL_BACK = CallBack(trunk=CARRIER, tries=2, pause_s=5.0, ring_s=10.0, after_lost_s=6.0)
"""By what rules callers are called back, in a center that does."""
NEAR_MS, FAR_MS = 8, 20
"""Round trips between neighbouring sites and between the first and the last."""


def configuration(
    scenario: Scenario,
    addresses: Mapping[str, str],
    passwords: Mapping[AgentId, str],
    *,
    calls_back: bool = False,
) -> Configuration:
    """Return all that is under `/everline/state/config/`.

    `addresses` has each site's and the carrier's, by host name; `passwords` each agent's.
    `calls_back`: callers who were cut off and do not dial again are called back by the carrier.
    """
    return Configuration(
        sites=tuple(_site(site, scenario, addresses) for site in scenario.sites),
        trunks=(_trunk(addresses["carrier"], calls_back=calls_back),),
        queues=tuple(_queue(queue, CALL_BACK if calls_back else None) for queue in scenario.queues),
        dids=tuple(Did(number=queue.did, queue=queue.id) for queue in scenario.queues),
        agents=tuple(_agent(agent, passwords[agent.id]) for agent in scenario.agents),
    )


def wishes(scenario: Scenario) -> tuple[Wish, ...]:
    """Return what every agent says when their day begins."""
    return tuple(
        Wish(agent=agent.id, readiness=Readiness.READY, reason="") for agent in scenario.agents
    )


def _site(site: SiteId, scenario: Scenario, addresses: Mapping[str, str]) -> Site:
    place = scenario.sites.index(site)
    return Site(
        id=site,
        name=SITE_NAMES.get(site, site),
        sip=f"{addresses[site]}:{SIP_PORT}",
        distance_ms={
            other: NEAR_MS if abs(scenario.sites.index(other) - place) == 1 else FAR_MS
            for other in scenario.sites
            if other != site
        },
    )


def _trunk(address: str, *, calls_back: bool) -> Trunk:
    return Trunk(
        id=CARRIER,
        addresses=(address,),
        region=REGION,
        sip=f"{address}:{SIP_PORT}" if calls_back else "",
        dial_out=(NUMBERS,) if calls_back else (),
    )


def _queue(queue: PlannedQueue, call_back: CallBack | None) -> Queue:
    return Queue(
        id=queue.id,
        needs=queue.needs,
        priority=queue.priority,
        greeting=GREETING,
        ring_timeout_s=RING_TIMEOUT_S,
        wrap_up_s=WRAP_UP_S,
        no_answer_pause_s=WRAP_UP_S,
        call_back=call_back,
    )


def _agent(agent: PlannedAgent, password: str) -> Agent:
    return Agent(
        id=agent.id,
        name=agent.name,
        site=agent.site,
        skills=dict(agent.skills),
        ha1=ha1_of(agent.id, password),
    )
