"""One class of calls: those that wait, the free agents who suit it, and how many do not. PURE.

Owns the counts of a class and the head of its line. Who suits it, `skilled` tells.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from edge.acd.eligibility import Reason
from edge.acd.index.group import Group, Standing
from edge.acd.index.shelf import Shelf
from edge.acd.roster import CallClass
from state.model import ANYBODY, Agent, AgentId, CallId, SkillId

if TYPE_CHECKING:
    from edge.acd.index.skilled import Rung

Key = tuple[float, int, CallId]
"""By which calls are served: `Waiting.order_key`."""
NO_CALL: Final[Key] = (inf, 0, CallId(""))
"""Comes after all others: nobody waits. One object, to be known by `is`."""

ANYONE = SkillId("")
"""Stands for a skill that every agent has: no configured skill has an empty name."""

REASONS: Final = tuple(Reason)
"""Counts by reason are lists in this order: a list is quicker to count in than a dict of words."""
PLACE_OF: Final[dict[Reason | None, int]] = {each: n for n, each in enumerate(REASONS)} | {None: -1}
SUITS: Final = -1
"""In place of a reason: there is none."""
_ANOTHER_TENANT: Final = PLACE_OF[Reason.ANOTHER_TENANT]
_MISSING: Final = PLACE_OF[Reason.MISSING_SKILL]
_TOO_LOW: Final = PLACE_OF[Reason.SKILL_TOO_LOW]


Unsuited = tuple["Demand", int]
"""A class, and the place in REASONS of why somebody does not suit it; one object for all alike."""


class Stand(Protocol):
    """What agents have in common who suit the same classes."""

    @property
    def suits(self) -> Sequence[Demand]:
        """These classes."""
        ...

    @property
    def unsuited(self) -> Sequence[Unsuited]:
        """Those that all who stand there do not suit, though they have the entrance."""
        ...


def no_counts() -> list[int]:
    """Return a count of nothing for each reason."""
    return [0] * len(REASONS)


class Demand:
    """A class of calls. `fit` - `given` free agents are on its shelf."""

    __slots__ = (
        "_asks",
        "_asks_only_skills",
        "asks_one_skill",
        "asks_where",
        "calls",
        "first",
        "fit",
        "given",
        "kind",
        "lanes",
        "low_rungs",
        "rungs",
        "shelf",
        "stands",
        "tenant",
        "unfit",
    )

    def __init__(self, kind: CallClass) -> None:
        needs = kind.needs
        self.kind = kind
        self.tenant = needs.tenant
        self.shelf = Shelf(needs, kind.ranking)
        self.calls = 0
        """How many there are, those included that are being given an agent."""
        self.fit = 0
        """How many free agents suit, those given away included."""
        self.given = 0
        self.unfit = no_counts()
        """Why others do not: of the free agents with one of `entrances` only."""
        self.lanes: dict[Group, list[Standing]] = {}
        """Calls that wait, by group; none is empty."""
        self.first = NO_CALL
        """Of the call that is served first."""
        self.asks_where = bool(kind.out_of_reach) or needs.scope is not ANYBODY
        """Whether it counts where agents belong."""
        self._asks = [(need.skill, need.level) for need in needs.all_of]
        self._asks_only_skills = (
            not (needs.any_of or needs.attributes or self.asks_where) and needs.only is None
        )
        self.asks_one_skill = self._asks_only_skills and len(self._asks) <= 1
        """Whether an agent's level in its one entrance is all that counts."""
        self.rungs: list[Rung] = []
        """Then: where those stand who suit, and those of too low a level."""
        self.low_rungs: list[Rung] = []
        self.stands: Sequence[Stand] = self.rungs if self.asks_one_skill else (self,)
        """Who suits has one of these among their `Member.stands`, and nobody has two of them."""

    @property
    def entrances(self) -> tuple[SkillId, ...]:
        """Skills of which an agent must have one: nobody else need be looked at."""
        needs = self.kind.needs
        if needs.all_of:
            return (needs.all_of[0].skill,)
        if needs.any_of:
            return tuple(dict.fromkeys(need.skill for need in needs.any_of[0]))
        return (ANYONE,)

    @property
    def asks_only_skills(self) -> bool:
        """Whether it has entrances, and an agent's levels are all that counts."""
        return self._asks_only_skills and bool(self._asks)

    @property
    def least(self) -> int:
        """The level that it asks for, if it asks for one skill alone."""
        return self._asks[0][1] if self._asks else 0

    @property
    def suits(self) -> Sequence[Demand]:
        """Itself: see `Stand`."""
        return (self,)

    @property
    def unsuited(self) -> Sequence[Unsuited]:
        """None: see `Stand`."""
        return ()

    @property
    def only(self) -> AgentId | None:
        """The one agent for whom these calls wait."""
        return self.kind.needs.only

    @property
    def live(self) -> int:
        """How many free agents are on the shelf."""
        return self.fit - self.given

    def because(self, agent: Agent) -> int:
        """Return the place in REASONS of why a free agent does not suit; SUITS: they do."""
        if not self._asks_only_skills:
            return PLACE_OF[self.kind.unsuited_because(agent)]
        if agent.tenant != self.tenant:
            return _ANOTHER_TENANT
        skills = agent.skills
        found = SUITS
        for skill, least in self._asks:
            level = skills.get(skill)
            if level is None:
                return _MISSING
            if level < least:
                found = _TOO_LOW
        return found

    def join(self, group: Group, standing: Standing) -> None:
        """Let a call wait."""
        lane = self.lanes.get(group)
        if lane is None:
            self.lanes[group] = [standing]
            group.onlookers[self] = None
        else:
            insort(lane, standing)
            if lane[0] != standing:
                return
        key = (-group.level_at(standing), *standing)
        self.first = min(self.first, key)

    def leave(self, group: Group, standing: Standing) -> None:
        """Let a call wait no more."""
        lane = self.lanes[group]
        place = bisect_left(lane, standing)
        del lane[place]
        if not lane:
            del self.lanes[group]
            del group.onlookers[self]
        if place == 0:
            self.look_at_levels()

    def look_at_levels(self) -> None:
        """Find the call that is served first: it has come or gone, or a group's levels changed."""
        keys = [(-group.level_at(lane[0]), *lane[0]) for group, lane in self.lanes.items()]
        self.first = min(keys, default=NO_CALL)
