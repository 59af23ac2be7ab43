"""Why an agent cannot take a call, or None if they can.

Owns the rules of eligibility and their order. Knows nothing of scores, or of what becomes of
an offer. A reason comes from shared facts (the same for every edge with the same snapshot) or from
this edge's own opinion of a site, which may only remove agents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Generic, TypeVar

from msgspec import Struct

from edge.acd.needs import Needs, is_met
from state import keys
from state.model import (
    ANYBODY,
    USUAL_CHANNELS,
    Agent,
    AgentId,
    AttributeNeed,
    Channel,
    Entry,
    Now,
    Presence,
    PresenceState,
    Scope,
    SiteId,
    SkillId,
    Ticket,
    Work,
)
from state.snapshot import Snapshot

T = TypeVar("T")

RESERVED_AHEAD_S = 0.4
"""So long before the end of their rest an agent may be given to a call: the store takes its time to
grant that, and the telephone rings when the rest is over. Decision 7."""


class Reason(StrEnum):
    """Why an agent is not considered; the first that holds, in this order, is the one reported."""

    NOT_SIGNED_IN = "not_signed_in"
    PAUSED = "paused"
    NO_CAPACITY = "no_capacity"
    """Takes no calls: other channels alone."""
    SITE_NOT_LIVE = "site_not_live"
    """No edge of the agent's home site lives, or the site is not configured."""
    HAS_OFFER = "has_offer"
    """Has a call, or is given to one; or calls from their own telephone."""
    WRAP_UP = "wrap_up"
    """Resting after a call, or after a ring that was not answered."""
    SITE_UNREACHABLE = "site_unreachable"
    """The call's holder cannot reach the agent's home site, or this edge thinks that nobody can."""
    ANOTHER_TENANT = "another_tenant"
    """Of another tenant than the caller."""
    NOT_PREFERRED = "not_preferred"
    """The caller still waits for another agent, and for nobody else."""
    OUT_OF_SCOPE = "out_of_scope"
    """Of a site, a team or an employer to which the queue does not turn yet."""
    MISSING_SKILL = "missing_skill"
    SKILL_TOO_LOW = "skill_too_low"
    MISSING_ATTRIBUTE = "missing_attribute"
    TAKEN = "taken"
    """Given to a call before this one in the same match."""
    TRIED_BEFORE = "tried_before"
    """Refused this very call, or let it ring, and someone else can take it now."""


class _Once(Generic[T]):
    """A property that is worked out once: functools' has a lock, and this is the hottest code."""

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self.__doc__ = work_out.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, held: Any, owner: type | None = None) -> T:  # noqa: ANN401 - of any class
        found = held.__dict__[self._name] = self._work_out(held)
        return found


class AgentFacts(Struct, frozen=True, kw_only=True, dict=True):
    """What a snapshot says of one agent. No slots: what follows from it is worked out once."""

    agent: Agent
    presence: Entry[Presence] | None
    has_offer: bool
    """An offer stands, readable or not; or they call somebody themselves."""
    work: Entry[Work] | None
    work_revision: int
    """Mod_revision of the work record, readable or not; 0: there is none."""
    site_is_live: bool

    @_Once
    def barred_because(self) -> Reason | None:
        """Return why the agent can take no call whatever the time and whoever asks, or None."""
        return barred_because(
            self.agent,
            self.presence,
            site_is_live=self.site_is_live,
            has_offer=self.has_offer,
        )

    @_Once
    def given_from_s(self) -> float:
        """Return the monotonic instant from which the agent may be given to a call."""
        return given_from_s(self.work, self.presence)

    @_Once
    def rested_s(self) -> float:
        """Return the monotonic instant from which the agent is rested."""
        return rest_ends_s(self.work, self.presence)


def barred_because(
    agent: Agent, presence: Entry[Presence] | None, *, site_is_live: bool, has_offer: bool
) -> Reason | None:
    """Return why an agent can take no call whatever the time and whoever asks, or None."""
    if presence is None:
        return Reason.NOT_SIGNED_IN
    said = presence.value
    # An agent who was moved to another home: what the old one says of them is void.
    if said.state is PresenceState.SIGNED_OUT or said.site != agent.site:
        return Reason.NOT_SIGNED_IN
    if said.state is PresenceState.PAUSED:
        return Reason.PAUSED
    # Who has no figure of their own takes calls.
    if agent.channels and capacity(agent, Channel.VOICE) == 0:
        return Reason.NO_CAPACITY
    if not site_is_live:
        return Reason.SITE_NOT_LIVE
    return Reason.HAS_OFFER if has_offer else None


def capacity(agent: Agent, channel: Channel) -> int:
    """Return how many conversations at a time an agent takes by a channel.

    By voice never more than one: a person has one mouth, and the store one offer for them.
    """
    found = agent.channels.get(channel, USUAL_CHANNELS.get(channel, 0))
    return min(found, 1) if channel is Channel.VOICE else found


def live_sites(snapshot: Snapshot) -> frozenset[SiteId]:
    """Return the configured sites where at least one edge lives."""
    lit = {life.value.site for life in snapshot.edges.values()}
    return frozenset(site for site in lit if site in snapshot.sites)


def agent_facts(snapshot: Snapshot) -> Mapping[AgentId, AgentFacts]:
    """Return what the snapshot says of every agent, in the order of their ids."""
    live = live_sites(snapshot)
    return {agent_id: facts_of(snapshot, agent_id, live) for agent_id in sorted(snapshot.agents)}


def facts_of(snapshot: Snapshot, agent_id: AgentId, live: frozenset[SiteId]) -> AgentFacts:
    """Return what the snapshot says of a configured agent; `live`: its `live_sites`."""
    agent = snapshot.agents[agent_id].value
    work = snapshot.works.get(agent_id)
    return AgentFacts(
        agent=agent,
        presence=snapshot.presences.get(agent_id),
        has_offer=has_offer(snapshot, agent_id),
        work=work,
        work_revision=work_revision(snapshot, agent_id) if work is None else work.mod_revision,
        site_is_live=agent.site in live,
    )


def has_offer(snapshot: Snapshot, agent: AgentId) -> bool:
    """Tell whether an offer stands for the agent, readable or not.

    Who calls from their own telephone has a call as well: it would be busy for any other, and the
    call that they are given might be their own.
    """
    return (
        agent in snapshot.offers
        or agent in snapshot.calling
        or (bool(snapshot.bad) and keys.offer(agent) in snapshot.bad)
    )


def work_revision(snapshot: Snapshot, agent: AgentId) -> int:
    """Return the mod_revision of the agent's work record, readable or not; 0: there is none."""
    work = snapshot.works.get(agent)
    if work is not None:
        return work.mod_revision
    # One that cannot be read is written anew by the next offer: it must not lock the agent out.
    raw = snapshot.raw.get(keys.work(agent)) if snapshot.bad else None
    return 0 if raw is None else raw.mod_revision


def out_of_reach(snapshot: Snapshot, ticket: Ticket) -> frozenset[SiteId]:
    """Return the sites that the ticket's holder has published to be down for it.

    Everybody takes its word for its own calls: an agent whom the holder cannot ring would else be
    kept for that call by all the others, and ring for nobody.
    """
    probe = snapshot.probes.get(ticket.holder)
    return frozenset() if probe is None else frozenset(probe.value.down)


def rest_of_s(work: Entry[Work], presence: Entry[Presence] | None) -> float:
    """Return how long the agent rests after the offer of that work record.

    As the record says, or as the agent's home edge has changed it since.
    """
    rest_s = work.value.rest_s
    if presence is not None and presence.value.rest_of == work.mod_revision:
        rest_s = presence.value.rest_s
    return rest_s if rest_s > 0.0 else 0.0  # noqa: FURB136


def rest_ends_s(work: Entry[Work] | None, presence: Entry[Presence] | None) -> float:
    """Return the monotonic instant from which the agent is rested; minus infinity if never at work.

    Measured from the moment this process saw the record, so that no other clock matters. After a
    restart the whole rest is counted again.
    """
    return float("-inf") if work is None else work.seen_s + rest_of_s(work, presence)


def given_from_s(work: Entry[Work] | None, presence: Entry[Presence] | None) -> float:
    """Return the instant from which the agent may be given to a call: a little before `rested`."""
    return rest_ends_s(work, presence) - RESERVED_AHEAD_S


def rings_from_s(work: Entry[Work] | None, presence: Entry[Presence] | None, now: Now) -> float:
    """Return the monotonic instant from which the telephone of an agent who was given may ring.

    The end of the rest, counted from the moment that the record names, for its way into the store
    is no part of the rest. By its writer's wall clock, and so no more than `RESERVED_AHEAD_S`
    sooner than by this process's own: a clock that is wrong shortens a rest by no more.
    """
    if work is None:
        return float("-inf")
    ahead_s = now.wall_ms / 1000.0 - now.mono_s
    said_s = work.value.ended_ms / 1000.0 - ahead_s + rest_of_s(work, presence)
    ends_s = rest_ends_s(work, presence)
    return min(ends_s, max(said_s, ends_s - RESERVED_AHEAD_S))


def unavailable_because(
    facts: AgentFacts, now: Now, *, unreachable: frozenset[SiteId] = frozenset()
) -> Reason | None:
    """Return why the agent can take no call at all, or None if they are free.

    Who rests can be given to one from `given_from_s` on, that very instant included.
    """
    if facts.barred_because is not None:
        return facts.barred_because
    return away_because(facts.agent.site, facts.given_from_s, now, unreachable)


def away_because(
    site: SiteId, from_s: float, now: Now, unreachable: frozenset[SiteId]
) -> Reason | None:
    """Return why an agent who is not barred can be given to no call at this moment, or None.

    `site`: their home; `from_s`: their `given_from_s`.
    """
    if now.mono_s < from_s:
        return Reason.WRAP_UP
    return Reason.SITE_UNREACHABLE if site in unreachable else None


def unsuited_because(agent: Agent, needs: Needs) -> Reason | None:
    """Return why an agent, however free, does not meet the needs, or None if they do."""
    if agent.tenant != needs.tenant:
        return Reason.ANOTHER_TENANT
    if needs.only is not None and agent.id != needs.only:
        return Reason.NOT_PREFERRED
    if needs.scope is not ANYBODY and not is_in_scope(agent, needs.scope):
        return Reason.OUT_OF_SCOPE
    return _unskilled_because(agent.skills, needs) or (
        None if all(has(agent, need) for need in needs.attributes) else Reason.MISSING_ATTRIBUTE
    )


def _unskilled_because(skills: Mapping[SkillId, int], needs: Needs) -> Reason | None:
    because = None
    for need in needs.all_of:
        level = skills.get(need.skill)
        if level is None:
            return Reason.MISSING_SKILL
        if level < need.level:
            because = Reason.SKILL_TOO_LOW
    for group in needs.any_of:
        if not any(is_met(skills, need) for need in group):
            if not any(need.skill in skills for need in group):
                return Reason.MISSING_SKILL
            because = Reason.SKILL_TOO_LOW
    return because


def has(agent: Agent, need: AttributeNeed) -> bool:
    """Tell whether the agent has this value under this name."""
    return need.value in agent.attributes.get(need.name, ())


def is_in_scope(agent: Agent, scope: Scope) -> bool:
    """Tell whether a queue with this scope turns to the agent."""
    return (
        (not scope.sites or agent.site in scope.sites)
        and (not scope.teams or agent.team in scope.teams)
        and (not scope.employers or agent.employer in scope.employers)
    )


def ineligible_because(
    facts: AgentFacts,
    ticket: Ticket,
    now: Now,
    *,
    unreachable: frozenset[SiteId] = frozenset(),
    needs: Needs | None = None,
) -> Reason | None:
    """Return why the agent cannot be offered this call, or None if they can.

    `unreachable` is this edge's own opinion and what `out_of_reach` says of the ticket's holder;
    `needs` are those in force, by default what the ticket itself says. TRIED_BEFORE is the weakest
    reason: such an agent is the last resort, and is offered the call again (once rested) when at
    that moment nobody else can take it, lest the caller starve.
    """
    because = unavailable_because(facts, now, unreachable=unreachable) or unsuited_because(
        facts.agent, Needs.of_ticket(ticket) if needs is None else needs
    )
    if because is None and facts.agent.id in ticket.tried:
        return Reason.TRIED_BEFORE
    return because
