"""The loose agents of a round that serves many. PURE.

Nobody counts them and no shelf holds them (`crew`): most are given away in this very round, and are
out with the next snapshot. What decisions have to know of them is gathered here once a round, by
where they stand (`skilled`), which is less than one entry for each class that each suits; and put
in order for those classes only that are served.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from itertools import chain
from typing import Final

from edge.acd.eligibility import Reason
from edge.acd.index.demand import PLACE_OF, SUITS, Demand, Stand
from edge.acd.index.member import Member
from edge.acd.index.shelf import Ranked, alone
from state.model import Now

_ANOTHER_TENANT: Final = PLACE_OF[Reason.ANOTHER_TENANT]
_MISSING: Final = PLACE_OF[Reason.MISSING_SKILL]
_TOO_LOW: Final = PLACE_OF[Reason.SKILL_TOO_LOW]
_TAKEN: Final = PLACE_OF[Reason.TAKEN]


class Loose:
    """Who was loose when a round began: `fresh`, of whom it gives, and `going`, who are given."""

    def __init__(self, fresh: Collection[Member], going: Collection[Member]) -> None:
        self._all = (*fresh, *going)
        self.left: dict[Stand, dict[Member, None]] = {}
        """Of the fresh ones, those who are not given away."""
        left = self.left
        for member in fresh:
            for stand in member.stands:
                if stand in left:
                    left[stand][member] = None
                else:
                    left[stand] = {member: None}
        self._taken: dict[Stand, int] = defaultdict(
            int, Counter(chain.from_iterable([each.stands for each in going]))
        )
        """How many of all are given away."""
        self._many = self._taken.copy()
        """How many there are, given away or not."""
        for stand, members in left.items():
            self._many[stand] += len(members)
        unsuited = chain.from_iterable([each.profile.own_unsuited for each in self._all])
        self._unsuited = Counter(unsuited)
        self._tenants = Counter([each.agent.tenant for each in self._all])
        self._ranked: dict[Demand, list[Ranked]] = {}
        self._unfit: dict[Demand, list[tuple[int, int]]] = {}
        """Places in REASONS, with how many."""

    @property
    def suited(self) -> set[Demand]:
        """The classes that some of the fresh ones suit."""
        return set(chain.from_iterable([stand.suits for stand in self.left]))

    def has_left(self, demand: Demand) -> bool:
        """Tell whether somebody who suits can still be given away."""
        return any(map(self.left.get, demand.stands))

    def best(self, demand: Demand, now: Now, count: int) -> list[Ranked]:
        """Return the `count` best who suit and are left, or all there are, in their order.

        Who has no rival, on the shelf neither, gets no key.
        """
        ranked = self._ranked.get(demand)
        if ranked is None:
            left = self.left
            suiting = [each for stand in demand.stands if stand in left for each in left[stand]]
            if len(suiting) == 1 and not demand.live:
                return [alone(suiting[0])]
            ranked = self._ranked[demand] = demand.shelf.rank(suiting, now)
            ranked.sort()
        return _left(ranked, count)

    def give(self, member: Member) -> None:
        """Note that one of the fresh ones is given away."""
        left, taken = self.left, self._taken
        for stand in member.stands:
            del left[stand][member]
            taken[stand] += 1

    def add_unfit(self, demand: Demand, counts: list[int]) -> None:
        """Add how many of them each reason keeps from a class."""
        unfit = self._unfit.get(demand)
        if unfit is None:
            work_out = self._of_skills if demand.asks_only_skills else self._one_by_one
            unfit = self._unfit[demand] = work_out(demand)
        for place, many in unfit:
            counts[place] += many
        counts[_TAKEN] += sum(map(self._taken.__getitem__, demand.stands))

    def _of_skills(self, demand: Demand) -> list[tuple[int, int]]:
        """Return why they do not suit a class that looks at levels only."""
        ours, others = self._tenants[demand.tenant], len(self._all) - self._tenants[demand.tenant]
        if demand.asks_one_skill:
            low = sum(map(self._many.__getitem__, demand.low_rungs))
        else:
            low = self._unsuited[demand, _TOO_LOW]
        missing = ours - low - sum(map(self._many.__getitem__, demand.stands))
        told = (_TOO_LOW, low), (_MISSING, missing), (_ANOTHER_TENANT, others)
        return [each for each in told if each[1]]

    def _one_by_one(self, demand: Demand) -> list[tuple[int, int]]:
        unfit = Counter([demand.because(each.agent) for each in self._all])
        del unfit[SUITS]
        return list(unfit.items())


def _left(ranked: list[Ranked], count: int) -> list[Ranked]:
    """Return the first `count` who are not given away; those before them who are go."""
    found = [each for each in ranked[:count] if not each[3].is_given]
    place = count
    while len(found) < count and place < len(ranked):
        more = ranked[place : place + count]
        found += [each for each in more if not each[3].is_given]
        place += len(more)
    if place > len(found):
        ranked[:place] = found
    return found[:count]
