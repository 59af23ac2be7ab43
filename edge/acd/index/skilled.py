"""Who suits which class of calls: worked out once for all agents who are alike. PURE.

Agents with the same tenant, skills, attributes, site, team and employer share a `Profile`; it names
the classes that they suit, and those that they do not with the reason. A class is held against
those profiles of its tenant only that have its *entrance*, a skill without which nobody suits it;
all others lack a skill, unless they are another tenant's, their site is out of reach or they are
out of scope, which is told by their `Seat`.

Most classes ask for one skill alone. Those are not held against profiles, but against *rungs*: who
has a skill at one level either suits or does not, whatever else they can do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from edge.acd.eligibility import Reason
from edge.acd.index.demand import ANYONE, PLACE_OF, SUITS, Demand, Stand, Unsuited
from edge.acd.index.shelf import Candidate
from edge.acd.rank import had_levels
from state.model import Agent, Scope, SiteId, SkillId, TenantId

_MISSING: Final = PLACE_OF[Reason.MISSING_SKILL]
_TOO_LOW: Final = PLACE_OF[Reason.SKILL_TOO_LOW]
_NOT_PREFERRED: Final = PLACE_OF[Reason.NOT_PREFERRED]
_UNREACHABLE: Final = PLACE_OF[Reason.SITE_UNREACHABLE]
_ANOTHER_TENANT: Final = PLACE_OF[Reason.ANOTHER_TENANT]
_OUT_OF_SCOPE: Final = PLACE_OF[Reason.OUT_OF_SCOPE]
_OF_CLASSES: Final = range(_UNREACHABLE, PLACE_OF[Reason.MISSING_ATTRIBUTE] + 1)
"""Those that are for an agent and a class, and stand together."""
Seat = tuple[SiteId, str, str, TenantId]
"""Where an agent belongs: site, team, employer (all that a scope looks at), and tenant."""

Entrance = tuple[TenantId, SkillId]
"""A skill that somebody of a tenant has or asks for: tenants have nothing to do with each other."""


@dataclass(slots=True, eq=False)
class Rung:
    """A skill at one level: who has it, and how they suit the classes that ask for it alone."""

    level: int
    profiles: list[Profile] = field(default_factory=list)
    suits: list[Demand] = field(default_factory=list)
    unsuited: list[Unsuited] = field(default_factory=list)

    def meet(self, demand: Demand) -> int:
        """Take in a class; return what `Demand.because` does of everybody here."""
        if self.level >= demand.least:
            self.suits.append(demand)
            demand.rungs.append(self)
            return SUITS
        self.unsuited.append((demand, _TOO_LOW))
        demand.low_rungs.append(self)
        return _TOO_LOW


@dataclass(slots=True, eq=False)
class Profile:
    """What some agents can do, and for whom."""

    example: Agent
    had: int
    """`rank.had_levels`."""
    stands: list[Stand]
    """Their rungs, and the classes that they suit for more than one skill alone."""
    members: list[Candidate]
    """Those of them who are free, in no order; each knows its `place` there."""
    own_unsuited: Sequence[Unsuited] = ()
    """Of the classes that ask for more than one skill alone."""

    def hold(self, demand: Demand, told: Unsuited | None) -> None:
        """Take in a class that asks for more than one skill alone; `told`: why they do not suit."""
        if told is None:
            self.stands.append(demand)
        else:
            # Most agents are like no other, and most profiles hold none.
            self.own_unsuited = [*self.own_unsuited, told]

    def enter(self, member: Candidate) -> None:
        """Let somebody be free."""
        member.place = len(self.members)
        self.members.append(member)

    def leave(self, member: Candidate) -> None:
        """Let somebody not be free: the last one takes the place."""
        last = self.members.pop()
        if last is not member:
            self.members[member.place] = last
            last.place = member.place


class Skilled:
    """All profiles and all classes, and who of them may suit whom."""

    def __init__(self) -> None:
        self._profiles: dict[object, Profile] = {}
        self._rungs: dict[Entrance, list[Rung]] = {}
        self._rung_of: dict[tuple[TenantId, SkillId, int], Rung] = {}
        self._asking_alone: dict[Entrance, list[Demand]] = {}
        """The classes that ask for a skill and for nothing else."""
        self._asking: dict[Entrance, list[Demand]] = {}
        """The others."""

    def __len__(self) -> int:
        """Return how many profiles are remembered, those included that nobody has any more."""
        return len(self._profiles)

    def profile(self, agent: Agent) -> Profile:
        """Return the profile of an agent."""
        skills = agent.skills
        attributes = frozenset(agent.attributes.items()) if agent.attributes else None
        # One flat tuple is small. Should the same skills come in another order, the profile is
        # another one, and no worse.
        alike = (
            *(agent.site, agent.team, agent.employer, agent.tenant, attributes),
            *skills,
            *skills.values(),
        )
        profile = self._profiles.get(alike)
        if profile is None:
            profile = self._profiles[alike] = self._new_profile(agent)
        return profile

    def _new_profile(self, agent: Agent) -> Profile:
        tenant, skills = agent.tenant, agent.skills
        rungs = [self._rung(tenant, ANYONE, 0)]
        rung_of = self._rung_of
        for skill, level in skills.items():
            rungs.append(rung_of.get((tenant, skill, level)) or self._rung(tenant, skill, level))
        profile = Profile(agent, had_levels(skills), [*rungs], [])
        for rung in rungs:
            rung.profiles.append(profile)
        if self._asking:
            asking: dict[Demand, None] = {}
            for skill in (ANYONE, *skills):
                asking.update(dict.fromkeys(self._asking.get((tenant, skill), ())))
            for demand in asking:
                because = demand.because(agent)
                if because != _MISSING or not demand.asks_only_skills:
                    _hold(demand, {profile: because})
        return profile

    def _rung(self, tenant: TenantId, skill: SkillId, level: int) -> Rung:
        rung = self._rung_of.get((tenant, skill, level))
        if rung is None:
            rung = self._rung_of[tenant, skill, level] = Rung(level)
            self._rungs.setdefault((tenant, skill), []).append(rung)
            for demand in self._asking_alone.get((tenant, skill), ()):
                rung.meet(demand)
        return rung

    def meet(self, demand: Demand, *, is_anybody_free: bool) -> list[Profile]:
        """Take in a class that is not for one agent only; return who suits it and has free ones."""
        entrances = [(demand.tenant, skill) for skill in demand.entrances]
        if demand.asks_one_skill:
            held = self._meet_rungs(demand, entrances[0])
        else:
            held = self._meet_profiles(demand, entrances)
        suiting: list[Profile] = []
        if is_anybody_free:
            for profiles, because in held:
                for profile in profiles:
                    if profile.members:
                        _count(demand, profile, because, suiting)
        return suiting

    def _meet_rungs(
        self, demand: Demand, entrance: Entrance
    ) -> Iterator[tuple[Sequence[Profile], int]]:
        """Return whom the class was held against, and what came out for them."""
        self._asking_alone.setdefault(entrance, []).append(demand)
        rungs = self._rungs.get(entrance, [])
        return iter([(rung.profiles, rung.meet(demand)) for rung in rungs])

    def _meet_profiles(
        self, demand: Demand, entrances: Sequence[Entrance]
    ) -> Iterator[tuple[Sequence[Profile], int]]:
        for entrance in entrances:
            self._asking.setdefault(entrance, []).append(demand)
        if demand.asks_only_skills:
            profiles = self._having_all(demand)
        else:
            profiles = [each for entrance in entrances for each in self._having(entrance)]
        # An agent may have several of the entrances.
        becauses = {each: demand.because(each.example) for each in profiles}
        _hold(demand, becauses)
        return (((profile,), why) for profile, why in becauses.items())

    def _having_all(self, demand: Demand) -> Iterable[Profile]:
        """Return who has all skills that a class asks for; of the others nothing is held."""
        skills = [need.skill for need in demand.kind.needs.all_of]
        having = [frozenset(self._having((demand.tenant, skill))) for skill in skills]
        return having[0].intersection(*having[1:])

    def _having(self, entrance: Entrance) -> Iterator[Profile]:
        rungs = self._rungs.get(entrance, [])
        return chain.from_iterable([rung.profiles for rung in rungs])


def _hold(demand: Demand, becauses: Mapping[Profile, int]) -> None:
    """Let each profile know that it suits a class, or why it does not."""
    unsuited: dict[int, Unsuited] = {}
    for profile, because in becauses.items():
        told = None if because == SUITS else unsuited.setdefault(because, (demand, because))
        profile.hold(demand, told)


def _count(demand: Demand, profile: Profile, because: int, suiting: list[Profile]) -> None:
    """Note a profile that has free agents: as one that suits, or why it does not."""
    if because == SUITS:
        suiting.append(profile)
    else:
        demand.unfit[because] += len(profile.members)


def excluded(
    demand: Demand,
    seats: Counter[Seat],
    tenants: Counter[TenantId],
    free: int,
    out: list[int],
) -> list[int]:
    """Return for how many agents each reason holds why they cannot take a call of the class.

    `seats`, `tenants`: how many of the `free` belong where, and to whom. `out`: why those who are
    not free are not.
    """
    unfit = demand.unfit
    if demand.asks_where:
        unfit = _with_those_away(demand, seats)
    elif tenants[demand.tenant] != free:
        unfit = unfit.copy()
        unfit[_ANOTHER_TENANT] = free - tenants[demand.tenant]
    counts = out.copy()
    others = free - demand.fit
    if any(unfit):
        others -= sum(unfit)
        for place in _OF_CLASSES:
            counts[place] += unfit[place]
    counts[_MISSING if demand.only is None else _NOT_PREFERRED] += others
    return counts


def _with_those_away(demand: Demand, seats: Counter[Seat]) -> list[int]:
    """Return why free agents are unfit; where they belong comes before what they can do."""
    kind = demand.kind
    counts = demand.unfit.copy()
    counts[_UNREACHABLE] = counts[_ANOTHER_TENANT] = counts[_OUT_OF_SCOPE] = 0
    for seat, count in seats.items():
        if seat[0] in kind.out_of_reach:
            counts[_UNREACHABLE] += count
        elif seat[3] != demand.tenant:
            counts[_ANOTHER_TENANT] += count
        elif kind.needs.only is None and not _is_in(seat, kind.needs.scope):
            counts[_OUT_OF_SCOPE] += count
    return counts


def _is_in(seat: Seat, scope: Scope) -> bool:
    site, team, employer, _ = seat
    return (
        (not scope.sites or site in scope.sites)
        and (not scope.teams or team in scope.teams)
        and (not scope.employers or employer in scope.employers)
    )
