"""What snapshots say of the agents, and how they suit each class of calls. PURE.

A memo, and nothing more: what a `Roster` gives depends on the snapshot at hand alone. It looks anew
only at agents of whom a record has changed since the snapshot before.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from edge.acd.eligibility import (
    AgentFacts,
    Reason,
    agent_facts,
    facts_of,
    live_sites,
    out_of_reach,
    unsuited_because,
)
from edge.acd.needs import Needs
from edge.acd.rank import Ranking, steady_score
from edge.acd.relaxation import Effective
from state.model import Agent, AgentId, SiteId, Ticket
from state.snapshot import Snapshot

MOST_CLASSES = 512
"""Beyond so many the memo starts anew: each holds an entry for each agent."""


class CallClass(Struct, frozen=True):
    """What sets the order of the agents for a call: equal for many calls."""

    needs: Needs
    ranking: Ranking
    out_of_reach: frozenset[SiteId]

    @classmethod
    def of(cls, snapshot: Snapshot, ticket: Ticket, effective: Effective) -> CallClass:
        """Return the ticket's class, by the rules in force for it."""
        queue = snapshot.queues.get(effective.queue)
        ranking = Ranking.of(None if queue is None else queue.value, ticket.site, snapshot.sites)
        return cls(effective.needs, ranking, out_of_reach(snapshot, ticket))

    def unsuited_because(self, agent: Agent) -> Reason | None:
        """Return why a free agent suits none of these calls, or None if they suit them all."""
        if agent.site in self.out_of_reach:
            return Reason.SITE_UNREACHABLE
        return unsuited_because(agent, self.needs)


class Suit(Struct, frozen=True):
    """How an agent suits a class of calls, as far as time does not change it."""

    facts: AgentFacts
    because: Reason | None
    """Why not at all; None: they do."""
    steady: float
    """The score without its idle part."""


class Roster:
    """Keeps what was worked out for one snapshot for the next."""

    def __init__(self) -> None:
        self._seen = Snapshot()
        self._live: frozenset[SiteId] = frozenset()
        self._facts: dict[AgentId, AgentFacts] = {}
        self._suits: dict[CallClass, dict[AgentId, Suit]] = {}

    def facts(self, snapshot: Snapshot) -> Mapping[AgentId, AgentFacts]:
        """Return what `agent_facts` does. Whoever has not changed keeps the same object."""
        seen, self._seen = self._seen, snapshot
        if snapshot is seen:
            return self._facts
        live = live_sites(snapshot)
        is_readable = not snapshot.bad and not seen.bad
        if snapshot.agents is seen.agents and live == self._live and is_readable:
            self._renew(seen, snapshot)
        else:
            self._facts = dict(agent_facts(snapshot))
        self._live = live
        return self._facts

    def suits(self, kind: CallClass) -> Suits:
        """Return how agents suit a class of calls."""
        kept = self._suits.get(kind)
        if kept is None:
            if len(self._suits) >= MOST_CLASSES:
                self._suits.clear()
            kept = self._suits[kind] = {}
        return Suits(kind, kept)

    def _renew(self, seen: Snapshot, snapshot: Snapshot) -> None:
        """Look again at those of whom a record has changed, where a map has changed at all."""
        facts = self._facts
        changed: set[AgentId] = set()
        if snapshot.offers is not seen.offers:
            # Few have one: cheaper than asking after each agent.
            changed.update(frozenset(seen.offers) ^ frozenset(snapshot.offers))
        if snapshot.calling is not seen.calling:
            changed.update(frozenset(seen.calling) ^ frozenset(snapshot.calling))
        if snapshot.works is not seen.works:
            work_of = snapshot.works.get
            changed.update([agent for agent in facts if facts[agent].work is not work_of(agent)])
        if snapshot.presences is not seen.presences:
            said_of = snapshot.presences.get
            changed.update(
                [agent for agent in facts if facts[agent].presence is not said_of(agent)]
            )
        for agent in changed & facts.keys():
            facts[agent] = facts_of(snapshot, agent, self._live)


class Suits:
    """How agents suit one class of calls."""

    def __init__(self, kind: CallClass, kept: dict[AgentId, Suit]) -> None:
        self.kind = kind
        self._kept = kept

    def of(self, facts: AgentFacts) -> Suit:
        """Return how this agent does."""
        suit = self._kept.get(facts.agent.id)
        if suit is None or suit.facts is not facts:
            because = self.kind.unsuited_because(facts.agent)
            steady = 0.0
            if because is None:
                steady = steady_score(facts, self.kind.needs, self.kind.ranking)
            suit = self._kept[facts.agent.id] = Suit(facts, because, steady)
        return suit
