"""The call center of a run: three sites, two tenants, seven queues. PURE.

One queue goes first, at first: waiting raises the callers of the usual one above it, and a step
those of `tech` above both. Nobody dials `help`: callers overflow to it, and keep their place. Each
of a site's eight agents lacks something that some caller asks for: a skill, or its level, or a
language; or they are of a team, an employer or a site to which a queue does not turn at first.
Steps give up what some of them lack. A ninth lacks nothing, and takes no calls: they chat.

The last two lack nothing either, and are another tenant's, whose queues nobody else answers. One of
these asks for a skill that only the first of them has, until a step gives that up; and its callers
would overflow to `help`, if they were not of another tenant than that: no control plane publishes
such a queue, and an edge that reads it leaves that out.
"""

from __future__ import annotations

from collections.abc import Mapping

from state.configuration import Configuration
from state.model import (
    ANYBODY,
    MAIN,
    Agent,
    AgentId,
    AttributeNeed,
    Channel,
    Did,
    DidNumber,
    Queue,
    QueueId,
    Scope,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Step,
    TenantId,
)

RING_S = 1.0
RELAXED_S = 1.5
"""After so long callers make do with somebody who knows less."""
RAISED_S, RAISED = 1.0, 3
"""After so long the callers of `tech` go before all others."""
FIRST = 1
AGING_S, CEILING = 0.2, 2
"""The usual queue's callers rise by one level in so long, until they go before `first`."""
OVERFLOW_S = 0.3
"""After so long callers of `first` are served by the needs of `help`: other agents suit, and who
can talk and no more does not suit any more."""
LOWERED_S, ANY_LANGUAGE_S = 2.0, 1.0
"""After so long those of `abroad` make do with who talks less well, or not in their language."""
WIDENED_S = 0.6
"""After so long `tech` turns to others' people, too, and `abroad` to those of the third site."""
DROPPED_S = 0.2
"""After so long the other tenant's callers make do with who knows nothing of its wares."""
LANGUAGE = "language"
OURS, OTHERS = "", "helpers"
"""Employers."""
SHOP = TenantId("shop")
"""The other tenant."""
TALK, TECH, WARES = SkillId("talk"), SkillId("tech"), SkillId("shop.wares")
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
    _BOTH,
    {**_BOTH, WARES: 5},
    _BOTH,
)
"""Of the agents of each site..."""
_DE, _FR = ("de",), ("fr",)
_EITHER = ("de", "fr")
LANGUAGES = (_EITHER, _DE, _FR, _DE, _FR, _EITHER, _DE, _FR, *[_EITHER] * 3)
"""... what they speak..."""
TEAMS = ("red", "red", "blue", "blue", "red", "red", "blue", "blue", *["red"] * 3)
"""... whose supervisor sees to them..."""
EMPLOYERS = (OURS, OURS, OURS, OTHERS, OURS, OURS, OTHERS, OTHERS, *[OURS] * 3)
"""... who pays them..."""
TENANTS = (*[MAIN] * 9, SHOP, SHOP)
"""... whose calls they take..."""
_CALLS: Mapping[Channel, int] = {}
_CALLS_AND_CHATS = {Channel.VOICE: 1, Channel.CHAT: 3}
_CHATS = {Channel.VOICE: 0, Channel.CHAT: 3}
CHANNELS = (*[_CALLS] * 4, *[_CALLS_AND_CHATS] * 4, _CHATS, _CALLS, _CALLS)
"""... and how many conversations they take by which channel."""
AGENTS_PER_SITE = len(SKILLS)


def _queue(  # noqa: PLR0913 - all that a queue of a run has
    name: str,
    needs: Mapping[SkillId, int],
    *,
    one_of: Mapping[SkillId, int] | None = None,
    language: str = "",
    scope: Scope = ANYBODY,
    priority: int = 0,
    steps: tuple[Step, ...] = (),
    aging_s: float | None = None,
    tenant: TenantId = MAIN,
) -> Queue:
    return Queue(
        id=QueueId(name),
        needs=_needs(needs),
        any_of=(_needs(one_of),) if one_of else (),
        attributes=(AttributeNeed(name=LANGUAGE, value=language),) if language else (),
        scope=scope,
        priority=priority,
        aging_s=aging_s,
        aging_ceiling=CEILING,
        steps=steps,
        ring_timeout_s=RING_S,
        wrap_up_s=0.0,
        no_answer_pause_s=0.3,
        tenant=tenant,
    )


def _needs(levels: Mapping[SkillId, int]) -> tuple[SkillNeed, ...]:
    return tuple(SkillNeed(skill=skill, level=level) for skill, level in levels.items())


QUEUES = (
    _queue("q", {TALK: 2}, aging_s=AGING_S),
    _queue(
        "tech",
        {TECH: 4, TALK: 1},
        scope=Scope(employers=(OURS,)),
        steps=(
            Step(after_s=WIDENED_S, scope=ANYBODY),
            Step(after_s=RELAXED_S, lower=(SkillNeed(skill=TECH, level=2),)),
            Step(after_s=RAISED_S, raise_priority=RAISED),
        ),
    ),
    _queue(
        "first",
        {TALK: 4},
        scope=Scope(teams=("red",)),
        priority=FIRST,
        steps=(Step(after_s=OVERFLOW_S, overflow=QueueId("help")),),
    ),
    _queue("help", {TECH: 2}),
    _queue(
        "abroad",
        {},
        one_of={TALK: 4, TECH: 3},
        language="fr",
        scope=Scope(sites=(SiteId("a"), SiteId("b"))),
        steps=(
            Step(after_s=WIDENED_S, scope=ANYBODY),
            Step(after_s=LOWERED_S, lower=(SkillNeed(skill=TALK, level=3),)),
            Step(after_s=ANY_LANGUAGE_S, drop_attributes=(LANGUAGE,)),
        ),
    ),
    _queue(
        "shop.line",
        {TALK: 2, WARES: 2},
        tenant=SHOP,
        steps=(
            Step(after_s=OVERFLOW_S, overflow=QueueId("help")),
            Step(after_s=DROPPED_S, drop=(WARES,)),
        ),
    ),
    _queue("shop.desk", {TALK: 2}, tenant=SHOP),
)
DIDS = {
    "15550100": "q",
    "15550101": "tech",
    "15550102": "first",
    "15550103": "abroad",
    "15550104": "shop.line",
    "15550105": "shop.desk",
}
_USUAL, *_OTHERS = (did for did, queue in DIDS.items() if not queue.startswith(SHOP))
_SHOPS = [did for did, queue in DIDS.items() if queue.startswith(SHOP)]
DIALLED = (*[_USUAL] * 8, *_OTHERS * 4, *_SHOPS * 2, _SHOPS[0])
"""Callers draw one of these: one in five calls the other tenant, which has as many of the agents;
of the others two in five wait in the usual queue."""
_TENANTS_OF_QUEUES = {queue.id: queue.tenant for queue in QUEUES}


def configuration(addresses: dict[str, str]) -> Configuration:
    """Return it; `addresses` are the sites' proxies, `host:port` by site."""
    return Configuration(
        sites=tuple(
            Site(id=SiteId(site), name=site.upper(), sip=sip) for site, sip in addresses.items()
        ),
        trunks=(),
        queues=QUEUES,
        dids=tuple(
            Did(number=DidNumber(did), queue=QueueId(q), tenant=_TENANTS_OF_QUEUES[QueueId(q)])
            for did, q in DIDS.items()
        ),
        agents=tuple(
            Agent(
                id=AgentId(agent),
                name=agent,
                site=SiteId(site),
                skills=skills_of(agent),
                attributes={LANGUAGE: languages_of(agent)},
                team=TEAMS[_number(agent)],
                employer=EMPLOYERS[_number(agent)],
                tenant=TENANTS[_number(agent)],
                channels=CHANNELS[_number(agent)],
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
    return SKILLS[_number(agent)]


def languages_of(agent: str) -> tuple[str, ...]:
    """Return what an agent speaks."""
    return LANGUAGES[_number(agent)]


def _number(agent: str) -> int:
    return int(agent[-2:]) - 1
