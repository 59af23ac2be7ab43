"""The loose agents of a round that serves many, class by class. PURE.

Nobody counts them and no shelf holds them (`crew`): most are given away in this very round, and are
out with the next snapshot. What decisions have to know of them is gathered here once a round, and
put in order for those classes only that are served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from itertools import chain
from typing import Final

from edge.acd.eligibility import Reason
from edge.acd.index.crew import Member
from edge.acd.index.demand import PLACE_OF, SUITS, Demand
from edge.acd.index.shelf import Ranked, alone
from state.model import Now

_ANOTHER_TENANT: Final = PLACE_OF[Reason.ANOTHER_TENANT]
_MISSING: Final = PLACE_OF[Reason.MISSING_SKILL]
_TOO_LOW: Final = PLACE_OF[Reason.SKILL_TOO_LOW]
_TAKEN: Final = PLACE_OF[Reason.TAKEN]
_MOST_GONE: Final = 16
"""Beyond so many at the head of an order who are given away, they are cleared away."""


class Loose:
    """Who was loose when a round began: `fresh`, of whom it gives, and `going`, who are given."""

    def __init__(self, fresh: Collection[Member], going: Collection[Member]) -> None:
        self._all = (*fresh, *going)
        self._suiting: dict[Demand, list[Member]] = {}
        """Of the fresh ones; those whom the round has given away included."""
        suiting = self._suiting
        for member in fresh:
            for demand in member.suits:
                if demand in suiting:
                    suiting[demand].append(member)
                else:
                    suiting[demand] = [member]
        self._left = {demand: len(members) for demand, members in suiting.items()}
        """So many of them are not given away."""
        self._going = Counter(chain.from_iterable([each.suits for each in going]))
        self._unsuited = Counter(chain.from_iterable([each.unsuited for each in self._all]))
        self._tenants = Counter([each.agent.tenant for each in self._all])
        self._ranked: dict[Demand, list[Ranked]] = {}
        self._unfit: dict[Demand, list[tuple[int, int]]] = {}
        """Places in REASONS, with how many."""

    @property
    def suited(self) -> Collection[Demand]:
        """The classes that some of the fresh ones suit, or did before they were given away."""
        return self._suiting.keys()

    def has_left(self, demand: Demand) -> bool:
        """Tell whether somebody who suits can still be given away."""
        return bool(self._left.get(demand))

    def best(self, demand: Demand, now: Now, count: int) -> list[Ranked]:
        """Return the `count` best who suit and are left, or all there are, in their order.

        Who has no rival, on the shelf neither, gets no key.
        """
        ranked = self._ranked.get(demand)
        if ranked is None:
            left = [each for each in self._suiting.get(demand, ()) if not each.is_given]
            if len(left) == 1 and not demand.live:
                return [alone(left[0])]
            ranked = self._ranked[demand] = demand.shelf.rank(left, now)
            ranked.sort()
        return _left(ranked, count)

    def give(self, member: Member) -> None:
        """Note that one of the fresh ones is given away."""
        left = self._left
        for demand in member.suits:
            left[demand] -= 1

    def add_unfit(self, demand: Demand, counts: list[int]) -> None:
        """Add how many of them each reason keeps from a class."""
        unfit = self._unfit.get(demand)
        if unfit is None:
            work_out = self._of_skills if demand.asks_only_skills else self._one_by_one
            unfit = self._unfit[demand] = work_out(demand)
        for place, many in unfit:
            counts[place] += many
        given = len(self._suiting.get(demand, ())) - self._left.get(demand, 0)
        counts[_TAKEN] += self._going[demand] + given

    def _of_skills(self, demand: Demand) -> list[tuple[int, int]]:
        """Return why they do not suit a class that looks at levels only.

        A profile tells of the classes of its tenant whose first skill it has; the others lack it.
        """
        ours = self._tenants[demand.tenant]
        low = self._unsuited[demand, _TOO_LOW]
        suiting = len(self._suiting.get(demand, ())) + self._going[demand]
        missing, others = ours - low - suiting, len(self._all) - ours
        return [(_TOO_LOW, low), (_MISSING, missing), (_ANOTHER_TENANT, others)]

    def _one_by_one(self, demand: Demand) -> list[tuple[int, int]]:
        unfit = Counter([demand.because(each.agent) for each in self._all])
        del unfit[SUITS]
        return list(unfit.items())


def _left(ranked: list[Ranked], count: int) -> list[Ranked]:
    """Return the first `count` who are not given away."""
    found: list[Ranked] = []
    gone = 0
    for each in ranked:
        if not each[3].is_given:
            found.append(each)
            if len(found) == count:
                break
        elif not found:
            gone += 1
    if gone > _MOST_GONE:
        del ranked[:gone]
    return found
