"""One class of calls: those that wait, the free agents who suit it, and how many do not. PURE.

Owns the counts of a class and the head of its line. Who suits it, `skilled` tells.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter

from edge.acd.eligibility import Reason
from edge.acd.index.group import Group, Standing
from edge.acd.index.shelf import Shelf
from edge.acd.roster import CallClass
from state.model import AgentId, CallId, SkillId

Key = tuple[int, int, CallId]
"""By which calls are served: `Waiting.order_key`."""

ANYONE = SkillId("")
"""Stands for a skill that every agent has: no configured skill has an empty name."""


class Demand:
    """A class of calls. `fit` - `given` free agents are on its shelf."""

    def __init__(self, kind: CallClass) -> None:
        self.kind = kind
        self.shelf = Shelf(kind.needs, kind.ranking)
        self.fit = 0
        """How many free agents suit, those given away included."""
        self.given = 0
        self.unfit: Counter[Reason] = Counter()
        """Why others do not: of the free agents with one of `entrances` only."""
        self.lanes: dict[Group, list[Standing]] = {}
        """Calls that wait, by group; none is empty."""

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
    def only(self) -> AgentId | None:
        """The one agent for whom these calls wait."""
        return self.kind.needs.only

    @property
    def live(self) -> int:
        """How many free agents are on the shelf."""
        return self.fit - self.given

    def join(self, group: Group, standing: Standing) -> None:
        """Let a call wait."""
        insort(self.lanes.setdefault(group, []), standing)

    def leave(self, group: Group, standing: Standing) -> None:
        """Let a call wait no more."""
        lane = self.lanes[group]
        del lane[bisect_left(lane, standing)]
        if not lane:
            del self.lanes[group]

    def head(self) -> Key:
        """Return the key of the call that is served first. ValueError: none waits."""
        return min((-group.level_at(lane[0]), *lane[0]) for group, lane in self.lanes.items())
