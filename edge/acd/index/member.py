"""One agent: what they can do, where they stand, and whether they can be given to a call. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from edge.acd.index.demand import SUITS, Demand, Stand, Unsuited
from edge.acd.index.shelf import Candidate
from edge.acd.index.skilled import Profile, Seat
from state.model import Entry, Presence

FREE: Final = SUITS
"""In place of a reason why an agent is out."""


@dataclass(slots=True, eq=False)
class Member(Candidate):
    """An agent."""

    profile: Profile
    profiles_stands: Sequence[Stand]
    """Its `stands`, found without looking at it: whoever becomes free is looked at as little as
    can be, for what has not been looked at for long is slow to come by."""
    waited_for: Sequence[Demand]
    """Classes of calls that wait for this agent and for nobody else."""
    is_loose: bool = False
    out_because: int = field(init=False)
    """A place in REASONS."""
    presence: Entry[Presence] | None = field(init=False)

    @property
    def seat(self) -> Seat:
        """Where the agent belongs."""
        agent = self.agent
        return (agent.site, agent.team, agent.employer, agent.tenant)

    @property
    def stands(self) -> Sequence[Stand]:
        """Where the agent stands, and the classes that they suit for more than one skill alone."""
        if not self.waited_for:
            return self.profiles_stands
        mine = [each for each in self.waited_for if self.because_of(each) == SUITS]
        return [*self.profiles_stands, *mine]

    @property
    def suits(self) -> list[Demand]:
        """The classes that the agent suits."""
        suits: list[Demand] = []
        for stand in self.stands:
            suits += stand.suits
        return suits

    @property
    def unsuited(self) -> list[Unsuited]:
        """The classes of which the agent has the entrance, and that they do not suit.

        Without those that look at skills only, and at one that the agent lacks.
        """
        unsuited = [*self.own_unsuited]
        for stand in self.profiles_stands:
            unsuited += stand.unsuited
        return unsuited

    @property
    def own_unsuited(self) -> Sequence[Unsuited]:
        """Those of them that ask for more than one skill alone."""
        if not self.waited_for:
            return self.profile.own_unsuited
        told = [(each, self.because_of(each)) for each in self.waited_for]
        mine = [(each, because) for each, because in told if because != SUITS]
        return [*self.profile.own_unsuited, *mine]

    def because_of(self, demand: Demand) -> int:
        """Return the place in REASONS of why the agent does not suit a class; SUITS: they do."""
        return demand.because(self.agent)
