"""A round: who is free is given to the calls that wait, the first call first. PURE.

Owns which call comes next, who gets it, and what the decision tells. Knows nothing of snapshots:
who is free and who waits, `crew` and `callers` tell.
"""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace
from itertools import compress
from typing import Final

from edge.acd.eligibility import Reason
from edge.acd.index.callers import Caller, Callers
from edge.acd.index.crew import Crew
from edge.acd.index.demand import NO_CALL, PLACE_OF, REASONS, Demand
from edge.acd.index.loose import Loose
from edge.acd.index.member import FREE, Member
from edge.acd.index.shelf import Ranked, alone
from edge.acd.match import RUNNERS_UP, Offering
from state.model import AgentId, CallId, Decision, EdgeId, Now

_NAMES: Final = tuple(each.value for each in REASONS)
_TRIED_BEFORE: Final = PLACE_OF[Reason.TRIED_BEFORE]


class Rounds:
    """Gives agents to calls; offers are made of `edge`'s calls alone, if it names one."""

    def __init__(self, crew: Crew, callers: Callers, edge: EdgeId | None) -> None:
        self._crew = crew
        self._callers = callers
        self._edge = edge
        self._now = Now(mono_s=0.0, wall_ms=0)
        self._revision = 0
        self.offered: dict[CallId, AgentId] = {}
        """What has been given to whom, other edges' calls included, since somebody cleared it."""

    def serve(self, ready: set[Demand], revision: int, now: Now) -> list[Offering]:
        """Give to the first of all `ready` calls, then to the next, until nobody finds anyone."""
        self._now, self._revision = now, revision
        crew = self._crew
        crew.count_going()
        fresh = list(crew.fresh)
        # Whom nobody on a shelf suits, only a fresh one can serve.
        served = [each for each in ready if each.live]
        ready.clear()
        loose = None
        if len(fresh) == 1 and not served:
            # By far the most frequent: somebody has become free, and callers wait.
            offers = self._serve_by(fresh[0])
        else:
            loose = Loose(fresh, crew.going) if fresh else None
            offers = self._serve_by_all(loose, served)
        if crew.fresh:
            crew.put_away({} if loose is None else loose.left)
        return offers

    def _serve_by(self, member: Member) -> list[Offering]:
        """Give the only one who has become free to the first of all calls that they suit."""
        stands = member.stands
        first = min([each.first for stand in stands for each in stand.suits], default=NO_CALL)
        offers: list[Offering] = []
        if first is not NO_CALL:
            caller = self._callers.of(first[2])
            demand = caller.demand
            order = [alone(member)]
            if demand.live:
                count = self._wanted(caller)
                order = demand.shelf.best(self._now, count, demand.live)
                order += demand.shelf.rank([member], self._now)
                order.sort()
                del order[count:]
            self._give(caller, order, None, offers)
        return offers

    def _serve_by_all(self, loose: Loose | None, ready: list[Demand]) -> list[Offering]:
        """Give those on the shelves and the fresh ones to the ready calls, the first call first.

        Keys end in the call's id, so no two are equal.
        """
        demands = ready if loose is None else loose.suited.union(ready)
        # By the key alone, which is told apart at once; it leads to the call, and so to its class.
        line = [each.first for each in demands if each.first is not NO_CALL]
        heapify(line)
        offers: list[Offering] = []
        while line:
            caller = self._callers.of(line[0][2])
            demand = caller.demand
            if demand.fit == demand.given and (loose is None or not loose.has_left(demand)):
                heappop(line)
                continue
            order = self._order(demand, self._wanted(caller), loose)
            self._give(caller, order, loose, offers)
            if demand.first is NO_CALL:
                heappop(line)
            else:
                heapreplace(line, demand.first)
            if loose is not None and not self._crew.fresh:
                # Now it is for shelves alone.
                loose = None
                line = [key for key in line if self._callers.of(key[2]).demand.live]
                heapify(line)
        return offers

    def _wanted(self, caller: Caller) -> int:
        """Return how many of an order it takes to give a call its agent, and to tell about it."""
        ticket = caller.waiting.entry.value
        return len(ticket.tried) + 1 + (RUNNERS_UP if self._is_ours(caller) else 0)

    def _is_ours(self, caller: Caller) -> bool:
        return self._edge is None or caller.waiting.entry.value.holder == self._edge

    def _order(self, demand: Demand, count: int, loose: Loose | None) -> list[Ranked]:
        """Return the `count` best of the shelf and of the loose ones."""
        live = demand.live
        order = demand.shelf.best(self._now, count, live) if live else []
        if loose is not None:
            more = loose.best(demand, self._now, count)
            if more:
                order += more
                order.sort()
                del order[count:]
        return order

    def _give(
        self, caller: Caller, order: list[Ranked], loose: Loose | None, offers: list[Offering]
    ) -> None:
        """Give a call the best of an order; of a call of ours the offer is put to `offers`.

        `loose`: who was when the round began; None: nobody, but for one who suits this call.
        """
        ticket = caller.waiting.entry.value
        is_first_try = False
        if ticket.tried:
            untried = [each for each in order if each[2] not in ticket.tried]
            is_first_try = bool(untried)
            order = untried or order
        winner = order[0][3]
        if not isinstance(winner, Member) or winner.out_because != FREE:
            raise LookupError(f"{order[0][2]} is on a shelf and not free")
        if self._is_ours(caller):
            passed_over = self._passed_over(caller) if is_first_try else 0
            decision = self._decision(caller, winner, order, passed_over, loose)
            offers.append(Offering.of(caller.waiting.entry, winner.facts, decision))
        if loose is not None and winner.is_loose:
            loose.give(winner)
        self._crew.give(winner, is_given=True)
        self._callers.line_up(caller, is_in_line=False)
        self.offered[ticket.call] = winner.agent.id

    def _passed_over(self, caller: Caller) -> int:
        """Return how many the call has tried who could take it now."""
        tried = (self._crew.member(agent) for agent in caller.waiting.entry.value.tried)
        free = (member for member in tried if member is not None and not member.is_given)
        return sum(caller.demand in member.suits for member in free)

    def _decision(
        self,
        caller: Caller,
        winner: Member,
        order: list[Ranked],
        passed_over: int,
        loose: Loose | None,
    ) -> Decision:
        demand = caller.demand
        scored = demand.shelf.score(winner, self._now)
        counts = self._crew.unfit(demand)
        if loose is None:
            self._crew.add_going(demand, counts)
        else:
            loose.add_unfit(demand, counts)
        counts[_TRIED_BEFORE] = passed_over
        return Decision(
            revision=self._revision,
            wall_ms=self._now.wall_ms,
            winner=winner.agent.id,
            score=scored.total,
            parts=scored.made_of,
            runners_up=_runners_up(order),
            excluded=dict(compress(zip(_NAMES, counts, strict=True), counts)),
            step=caller.waiting.effective.step,
        )


def _runners_up(order: list[Ranked]) -> tuple[tuple[AgentId, float], ...]:
    if len(order) == 1:
        return ()
    return tuple([(each[2], -each[0]) for each in order[1 : 1 + RUNNERS_UP]])
