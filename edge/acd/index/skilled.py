"""Who suits which class of calls: worked out once for all agents who are alike. PURE.

Agents with the same skills, attributes, site, team and employer share a `Profile`; it names the
classes that they suit, and those that they do not with the reason. A class is held against those
profiles only that have its *entrance*, a skill without which nobody suits it; all others lack a
skill, unless their site is out of reach or they are out of scope, which is told by their `Seat`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from edge.acd.eligibility import Reason
from edge.acd.index.demand import ANYONE, Demand
from edge.acd.index.shelf import Candidate
from edge.acd.roster import CallClass
from state.model import ANYBODY, Agent, Scope, SiteId, SkillId

Seat = tuple[SiteId, str, str]
"""Where an agent belongs: site, team, employer. All that a scope looks at."""


@dataclass(slots=True, eq=False)
class Profile:
    """What some agents can do, and for whom."""

    example: Agent
    suits: list[Demand] = field(default_factory=list)
    unsuited: list[tuple[Demand, Reason]] = field(default_factory=list)
    members: dict[Candidate, None] = field(default_factory=dict)
    """Those of them who are free."""

    def hold_against(self, demand: Demand) -> Reason | None:
        """Take note of one more class."""
        because = demand.kind.unsuited_because(self.example)
        if because is None:
            self.suits.append(demand)
        else:
            self.unsuited.append((demand, because))
        return because


class Skilled:
    """All profiles and all classes, and who of them may suit whom."""

    def __init__(self) -> None:
        self._profiles: dict[object, Profile] = {}
        self._having: dict[SkillId, list[Profile]] = {}
        self._asking: dict[SkillId, list[Demand]] = {}

    def profile(self, agent: Agent) -> Profile:
        """Return the profile of an agent."""
        skills = frozenset(agent.skills.items())
        attributes = frozenset(agent.attributes.items()) if agent.attributes else None
        alike = (skills, agent.site, agent.team, agent.employer, attributes)
        profile = self._profiles.get(alike)
        if profile is None:
            profile = self._profiles[alike] = Profile(agent)
            asking: dict[Demand, None] = {}
            for skill in (ANYONE, *agent.skills):
                self._having.setdefault(skill, []).append(profile)
                asking.update(dict.fromkeys(self._asking.get(skill, ())))
            for demand in asking:
                profile.hold_against(demand)
        return profile

    def meet(self, demand: Demand) -> list[Profile]:
        """Take in a class that is not for one agent only; return who suits it and has free ones."""
        having: dict[Profile, None] = {}
        for skill in demand.entrances:
            self._asking.setdefault(skill, []).append(demand)
            having.update(dict.fromkeys(self._having.get(skill, ())))
        suiting = []
        for profile in having:
            because = profile.hold_against(demand)
            if not profile.members:
                continue
            if because is None:
                suiting.append(profile)
            else:
                demand.unfit[because] += len(profile.members)
        return suiting


def excluded(demand: Demand, seats: Counter[Seat], free: int) -> Counter[Reason]:
    """Return for how many free agents each reason holds why they do not suit the class.

    `seats`: how many of the `free` belong where.
    """
    away = _away(demand.kind, seats)
    known = Counter({r: n for r, n in demand.unfit.items() if r not in away})
    others = free - away.total() - demand.fit - known.total()
    because = Reason.MISSING_SKILL if demand.only is None else Reason.NOT_PREFERRED
    return away + known + Counter({because: others})


def _away(kind: CallClass, seats: Counter[Seat]) -> Counter[Reason]:
    """Return who does not suit because of where they belong, whatever they can do."""
    away: Counter[Reason] = Counter()
    if not kind.out_of_reach and kind.needs.scope is ANYBODY:
        return away
    for seat, count in seats.items():
        if seat[0] in kind.out_of_reach:
            away[Reason.SITE_UNREACHABLE] += count
        elif kind.needs.only is None and not _is_in(seat, kind.needs.scope):
            away[Reason.OUT_OF_SCOPE] += count
    return away


def _is_in(seat: Seat, scope: Scope) -> bool:
    site, team, employer = seat
    return (
        (not scope.sites or site in scope.sites)
        and (not scope.teams or team in scope.teams)
        and (not scope.employers or employer in scope.employers)
    )
