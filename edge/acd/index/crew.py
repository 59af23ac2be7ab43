"""All agents: who is free, who is given away, and on which shelves they stand. PURE.

An agent is *out* (cannot take any call), *free* (on the shelf of each class that they suit), or
*given* (free by the snapshot, but another call has asked for them). What an agent's change costs
depends on the classes that look at their skills, and not on how many agents there are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import count

from edge.acd.eligibility import AgentFacts, Reason, facts_of, unavailable_because
from edge.acd.index.demand import Demand
from edge.acd.index.dues import Dues
from edge.acd.index.shelf import Candidate, idle_since_s
from edge.acd.index.skilled import Profile, Seat, Skilled
from state.model import AgentId, Now, SiteId
from state.snapshot import Snapshot


@dataclass(slots=True, eq=False)
class Member(Candidate):
    """An agent."""

    profile: Profile
    out_because: Reason | None = None
    """None: free."""
    waited_for: list[Demand] = field(default_factory=list)
    """Classes of calls that wait for this agent and for nobody else."""

    @property
    def seat(self) -> Seat:
        """Where the agent belongs."""
        agent = self.facts.agent
        return (agent.site, agent.team, agent.employer)

    @property
    def suits(self) -> list[Demand]:
        """Return the classes that the agent suits."""
        if not self.waited_for:
            return self.profile.suits
        mine = [each for each in self.waited_for if self.because_of(each) is None]
        return [*self.profile.suits, *mine]

    @property
    def unsuited(self) -> list[tuple[Demand, Reason]]:
        """Return the classes of which the agent has the entrance, and that they do not suit."""
        if not self.waited_for:
            return self.profile.unsuited
        told = ((each, self.because_of(each)) for each in self.waited_for)
        return [*self.profile.unsuited, *((each, why) for each, why in told if why is not None)]

    def because_of(self, demand: Demand) -> Reason | None:
        """Return why the agent does not suit a class that waits for them."""
        return demand.kind.unsuited_because(self.facts.agent)


class Crew:
    """Every configured agent. `ready` is told of classes that may be served now."""

    def __init__(self, ready: set[Demand], skilled: Skilled, ahead_s: float) -> None:
        self._ready = ready
        self._skilled = skilled
        self._ahead_s = ahead_s
        self._stamps = count()
        self._members: dict[AgentId, Member] = {}
        self._waited_for: dict[AgentId, list[Demand]] = {}
        self.rests: Dues[AgentId] = Dues()
        self.out: Counter[Reason] = Counter()
        """How many cannot take a call, by reason."""
        self.seats: Counter[Seat] = Counter()
        """Where the free ones belong."""
        self.free = 0

    def member(self, agent: AgentId) -> Member | None:
        """Return an agent if they are free; None: they are not, or not configured."""
        member = self._members.get(agent)
        return None if member is None or member.out_because is not None else member

    # ---- what snapshots say ----------------------------------------------------------------------

    def look(
        self,
        snapshot: Snapshot,
        agent: AgentId,
        now: Now,
        *,
        live: frozenset[SiteId],
        unreachable: frozenset[SiteId],
    ) -> None:
        """Take in what the snapshot says of one agent."""
        member = self._members.get(agent)
        if member is not None:
            self._retire(member)
        if agent not in snapshot.agents:
            if member is not None:
                del self._members[agent]
            self.rests.set(agent, None)
            return
        facts = facts_of(snapshot, agent, live)
        if member is None or member.facts.agent is not facts.agent:
            member = self._hire(agent, facts)
        member.facts = facts
        self._place(member, now, unreachable)

    def _hire(self, agent: AgentId, facts: AgentFacts) -> Member:
        profile = self._skilled.profile(facts.agent)
        member = Member(facts, 0.0, profile=profile, stamp=next(self._stamps))
        member.waited_for = self._waited_for.setdefault(agent, [])
        self._members[agent] = member
        return member

    def _place(self, member: Member, now: Now, unreachable: frozenset[SiteId]) -> None:
        facts = member.facts
        member.out_because = unavailable_because(facts, now, unreachable=unreachable)
        is_resting = member.out_because is Reason.WRAP_UP
        self.rests.set(facts.agent.id, facts.rested_s if is_resting else None)
        if member.out_because is not None:
            self.out[member.out_because] += 1
            return
        member.idle_since_s = idle_since_s(facts, self._ahead_s)
        self.free += 1
        member.profile.members[member] = None
        self.seats[member.seat] += 1
        for demand, because in member.unsuited:
            demand.unfit[because] += 1
        for demand in member.suits:
            demand.fit += 1
        self._put_on_shelves(member)

    def _retire(self, member: Member) -> None:
        """Take an agent out of all counts, whatever they are."""
        if member.out_because is not None:
            self.out[member.out_because] -= 1
            return
        member.stamp = next(self._stamps)
        if member.is_given:
            member.is_given = False
            for demand in member.suits:
                demand.given -= 1
        self.free -= 1
        del member.profile.members[member]
        self.seats[member.seat] -= 1
        for demand, because in member.unsuited:
            demand.unfit[because] -= 1
        for demand in member.suits:
            demand.fit -= 1

    # ---- giving ----------------------------------------------------------------------------------

    def give(self, member: Member, *, is_given: bool) -> None:
        """Let a free agent be given away, or be there again."""
        if member.is_given is is_given:
            return
        member.is_given = is_given
        if is_given:
            member.stamp = next(self._stamps)
            for demand in member.suits:
                demand.given += 1
            return
        for demand in member.suits:
            demand.given -= 1
        self._put_on_shelves(member)

    def _put_on_shelves(self, member: Member) -> None:
        for demand in member.suits:
            demand.shelf.add(member, demand.fit - demand.given)
            if demand.lanes:
                self._ready.add(demand)

    # ---- classes ---------------------------------------------------------------------------------

    def meet(self, demand: Demand) -> None:
        """Let a class of calls know all who suit it."""
        if demand.only is None:
            for profile in self._skilled.meet(demand):
                for each in profile.members:
                    _add(demand, each)
            return
        self._waited_for.setdefault(demand.only, []).append(demand)
        member = self._members.get(demand.only)
        if member is not None and member.out_because is None:
            because = member.because_of(demand)
            if because is None:
                _add(demand, member)
            else:
                demand.unfit[because] += 1

    def forget(self, demand: Demand) -> None:
        """Let a class that waited for one agent be gone."""
        if demand.only is not None:
            self._waited_for[demand.only].remove(demand)


def _add(demand: Demand, member: Candidate) -> None:
    demand.fit += 1
    if member.is_given:
        demand.given += 1
    else:
        demand.shelf.add(member, demand.fit)
