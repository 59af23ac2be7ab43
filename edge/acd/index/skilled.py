"""Who suits which class of calls: worked out once for all agents who are alike. PURE.

Agents with the same tenant, skills, attributes, site, team and employer share a `Profile`; it names
the classes that they suit, and those that they do not with the reason. A class is held against
those profiles of its tenant only that have its *entrance*, a skill without which nobody suits it;
all others lack a skill, unless they are another tenant's, their site is out of reach or they are
out of scope, which is told by their `Seat`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from edge.acd.eligibility import Reason
from edge.acd.index.demand import ANYONE, PLACE_OF, SUITS, Demand
from edge.acd.index.shelf import Candidate
from edge.acd.rank import had_levels
from state.model import ANYBODY, Agent, Scope, SiteId, SkillId, TenantId

_MISSING: Final = PLACE_OF[Reason.MISSING_SKILL]
_TOO_LOW: Final = PLACE_OF[Reason.SKILL_TOO_LOW]
_NOT_PREFERRED: Final = PLACE_OF[Reason.NOT_PREFERRED]
_UNREACHABLE: Final = PLACE_OF[Reason.SITE_UNREACHABLE]
_ANOTHER_TENANT: Final = PLACE_OF[Reason.ANOTHER_TENANT]
_OUT_OF_SCOPE: Final = PLACE_OF[Reason.OUT_OF_SCOPE]
_OF_CLASSES: Final = range(_UNREACHABLE, PLACE_OF[Reason.MISSING_ATTRIBUTE] + 1)
"""Those that are for an agent and a class, and stand together."""
_NOBODY: Final[tuple[list[Profile], list[int]]] = ([], [])

Seat = tuple[SiteId, str, str, TenantId]
"""Where an agent belongs: site, team, employer (all that a scope looks at), and tenant."""

Entrance = tuple[TenantId, SkillId]
"""A skill that somebody of a tenant has or asks for: tenants have nothing to do with each other."""


@dataclass(slots=True, eq=False)
class Profile:
    """What some agents can do, and for whom."""

    example: Agent
    had: int
    """`rank.had_levels`."""
    suits: list[Demand] = field(default_factory=list)
    unsuited: list[tuple[Demand, int]] = field(default_factory=list)
    """With the place of the reason in REASONS."""
    members: list[Candidate] = field(default_factory=list)
    """Those of them who are free, in no order; each knows its `place` there."""

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
        self._having: dict[Entrance, tuple[list[Profile], list[int]]] = {}
        """Who has a skill, and at which levels."""
        self._asking: dict[Entrance, list[Demand]] = {}

    def profile(self, agent: Agent) -> Profile:
        """Return the profile of an agent."""
        alike = _alike(agent)
        profile = self._profiles.get(alike)
        if profile is None:
            profile = self._profiles[alike] = Profile(agent, had_levels(agent.skills))
            self._add(profile)
        return profile

    def _add(self, profile: Profile) -> None:
        asking: dict[Demand, None] = {}
        tenant = profile.example.tenant
        for skill, level in ((ANYONE, 0), *profile.example.skills.items()):
            having = self._having.get((tenant, skill))
            if having is None:
                having = self._having[tenant, skill] = ([], [])
            having[0].append(profile)
            having[1].append(level)
            for demand in self._asking.get((tenant, skill), ()):
                asking[demand] = None
        for demand in asking:
            _hold(demand, (profile,), (demand.because(profile.example),))

    def meet(self, demand: Demand, *, is_anybody_free: bool) -> list[Profile]:
        """Take in a class that is not for one agent only; return who suits it and has free ones."""
        entrances = [(demand.tenant, skill) for skill in demand.entrances]
        for entrance in entrances:
            self._asking.setdefault(entrance, []).append(demand)
        if demand.asks_only_skills:
            profiles, levels = self._having.get(entrances[0], _NOBODY)
            becauses = _because_of_levels(demand, profiles, levels)
        else:
            having = {p: None for each in entrances for p in self._having.get(each, _NOBODY)[0]}
            profiles = list(having)
            becauses = [demand.because(profile.example) for profile in profiles]
        _hold(demand, profiles, becauses)
        suiting: list[Profile] = []
        if is_anybody_free:
            for profile, because in zip(profiles, becauses, strict=True):
                if profile.members:
                    _count(demand, profile, because, suiting)
        return suiting


def _because_of_levels(
    demand: Demand, profiles: Sequence[Profile], levels: Sequence[int]
) -> list[int]:
    """Return `Demand.because` of each, for a class that looks at levels only.

    Most do, and agents are many. `levels`: those of the first skill that it asks for.
    """
    first, *others = demand.kind.needs.all_of
    least = first.level
    found = [SUITS if level >= least else _TOO_LOW for level in levels]
    for need in others:
        skill, least = need.skill, need.level
        for place, profile in enumerate(profiles):
            level = profile.example.skills.get(skill)
            if level is None:
                found[place] = _MISSING
            elif level < least and found[place] == SUITS:
                found[place] = _TOO_LOW
    return found


def _hold(demand: Demand, profiles: Sequence[Profile], becauses: Sequence[int]) -> None:
    """Let each profile know that it suits a class, or why it does not."""
    unsuited = {because: (demand, because) for because in set(becauses)}
    for profile, because in zip(profiles, becauses, strict=True):
        if because == SUITS:
            profile.suits.append(demand)
        else:
            profile.unsuited.append(unsuited[because])


def _alike(agent: Agent) -> tuple[object, ...]:
    """Return what is equal for agents who can do the same for the same; one flat tuple is small."""
    skills = [part for item in sorted(agent.skills.items()) for part in item]
    attributes = frozenset(agent.attributes.items()) if agent.attributes else None
    return (agent.site, agent.team, agent.employer, agent.tenant, attributes, *skills)


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
    if demand.kind.out_of_reach or demand.kind.needs.scope is not ANYBODY:
        unfit = _with_those_away(demand, seats)
    elif tenants[demand.tenant] != free:
        unfit = unfit.copy()
        unfit[_ANOTHER_TENANT] = free - tenants[demand.tenant]
    counts = out.copy()
    others = free - demand.fit
    told = sum(unfit)
    if told:
        others -= told
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
