"""The match, kept up to date: an event touches those only whom it concerns. PURE.

A deterministic fold over the snapshots and their deltas, so that every edge has the same. What it
offers is at each moment what `edge.acd.match` would from nothing: same calls, same agents, same
order, same decisions. That one stays the definition; `tests/acd/index` holds this one against it.

Between events no call waits that a free agent could take: all such pairs have been offered. So a
class needs to be looked at only when an agent who suits it becomes free, or a call joins it: those
are the *ready* ones. An offer is a wish, and until the store has granted it (`asked`) or the
snapshot shows it, somebody better may come: what was offered and not asked for is taken back first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from itertools import compress
from types import MappingProxyType
from typing import Final

from edge.acd.eligibility import Reason, live_sites
from edge.acd.index.callers import Caller, Callers
from edge.acd.index.crew import Crew, Member
from edge.acd.index.demand import PLACE_OF, REASONS, SUITS, Demand, Key
from edge.acd.index.shelf import DRIFT_S, Ranked
from edge.acd.index.skilled import Skilled
from edge.acd.match import RUNNERS_UP, Offering
from edge.acd.rank import SortKey
from state.errors import BadKeyError
from state.keys import Kind, parse
from state.model import AgentId, CallId, Decision, EdgeId, Now, SiteId
from state.snapshot import Delta, Snapshot

_NOTHING: Mapping[CallId, AgentId] = MappingProxyType({})
_TICKET = Kind.TICKET
_OF_AGENTS = frozenset({Kind.AGENT, Kind.PRESENCE, Kind.OFFER, Kind.WORK})
_OF_CALLS = frozenset({Kind.QUEUE, Kind.PROBE})
_OF_ALL = frozenset({Kind.SITE, Kind.EDGE})

_MOST_DRIFT_S: Final = DRIFT_S / 2
_NAMES: Final = tuple(each.value for each in REASONS)
_TRIED_BEFORE: Final = PLACE_OF[Reason.TRIED_BEFORE]
_ALONE: Final[SortKey] = (0.0, 0, AgentId(""))
"""The key of somebody who has no rival: nobody looks at it."""


class MatchIndex:
    """Folds snapshots into the offers to make. Of `edge`'s calls alone, if it names one."""

    def __init__(self, edge: EdgeId | None = None) -> None:
        self._edge = edge
        self._snapshot = Snapshot()
        self._agents: dict[AgentId, None] = {}
        self._calls: dict[CallId, None] = {}
        self._is_new = True
        self._unreachable: frozenset[SiteId] = frozenset()
        self._asked: Mapping[CallId, AgentId] = _NOTHING
        self._offered: dict[CallId, AgentId] = {}
        self._lives_of: tuple[object, object] = (None, None)
        self._live: frozenset[SiteId] = frozenset()
        self._begin(0.0)

    def _begin(self, ahead_s: float) -> None:
        """Forget all that has been worked out."""
        self._ahead_s = ahead_s
        self._ready: set[Demand] = set()
        self._crew = Crew(self._ready, Skilled(), ahead_s)
        self._callers = Callers(self._ready, self._crew, self._edge)
        self._offered.clear()

    # ---- what has changed ------------------------------------------------------------------------

    def fold(self, snapshot: Snapshot, deltas: Iterable[Delta]) -> None:
        """Note what has changed since the snapshot before; it is worked out when offers are asked.

        The deltas must lead from the one snapshot to the other, as `state.mirror` tells them.
        """
        before, self._snapshot = self._snapshot, snapshot
        for delta in deltas:
            kind = delta.kind
            if kind in _OF_AGENTS:
                self._agents[AgentId(delta.id)] = None
            elif kind is _TICKET:
                self._calls[CallId(delta.id)] = None
            elif kind in _OF_CALLS:
                self._callers.forget_known()
                self._calls.update(dict.fromkeys(self._callers))
            elif kind in _OF_ALL:
                self._callers.forget_known()
                self._agents.update(dict.fromkeys(snapshot.agents))
                self._calls.update(dict.fromkeys(snapshot.tickets))
        if before.bad or snapshot.bad:
            # What cannot be read makes no delta, and yet an agent's offer may stand in it.
            self._agents.update(dict.fromkeys(_agents_of((*before.bad, *snapshot.bad))))

    def next_due_s(self) -> float | None:
        """Return when offers may change by themselves, as `match.next_due_s` does; None: never.

        Counted from the last `offers`.
        """
        due = (self._crew.rests.next_s(), self._callers.steps.next_s())
        return min((each for each in due if each is not None), default=None)

    # ---- what follows ----------------------------------------------------------------------------

    def offers(
        self,
        now: Now,
        *,
        unreachable: frozenset[SiteId] = frozenset(),
        asked: Mapping[CallId, AgentId] = _NOTHING,
    ) -> tuple[Offering, ...]:
        """Return what `edge.acd.match.match` does on the snapshot, for the calls of `edge`.

        `now` must not be before that of the last time.
        """
        self._keep_to_the_clock(now)
        if self._offered:
            self._take_back(asked)
        self._look_again(now, unreachable)
        if asked or self._asked:
            self._settle(dict(asked))
        self._agents.clear()
        self._calls.clear()
        if self._crew.fresh or self._ready:
            return tuple(self._serve(now))
        return ()

    @property
    def offered(self) -> Mapping[CallId, AgentId]:
        """What the last `offers` gave to whom, other edges' calls included."""
        return self._offered

    def _keep_to_the_clock(self, now: Now) -> None:
        """Begin anew when the clocks have drifted apart, or too much is remembered."""
        ahead_s = now.wall_ms / 1000.0 - now.mono_s
        has_drifted = not -_MOST_DRIFT_S <= ahead_s - self._ahead_s <= _MOST_DRIFT_S
        if has_drifted or self._is_new or self._callers.is_crowded:
            self._begin(ahead_s)
            self._agents = dict.fromkeys(self._snapshot.agents)
            self._calls = dict.fromkeys(self._snapshot.tickets)
            self._is_new = False

    def _take_back(self, asked: Mapping[CallId, AgentId]) -> None:
        for call, agent in self._offered.items():
            if asked.get(call) == agent:
                continue
            # Who has changed is looked at anew anyway.
            member = None if agent in self._agents else self._crew.member(agent)
            if member is not None:
                self._crew.give(member, is_given=False)
            caller = None if call in self._calls else self._callers.get(call)
            if caller is not None:
                self._callers.line_up(caller, is_in_line=True)
        self._offered.clear()

    def _look_again(self, now: Now, unreachable: frozenset[SiteId]) -> None:
        if unreachable != self._unreachable:
            self._unreachable = unreachable
            self._agents.update(dict.fromkeys(self._snapshot.agents))
        agents, calls = self._agents, self._calls
        crew, callers = self._crew, self._callers
        now_s, snapshot = now.mono_s, self._snapshot
        if crew.rests.soonest_s <= now_s:
            agents.update(dict.fromkeys(crew.rests.pop(now_s)))
        if callers.steps.soonest_s <= now_s:
            calls.update(dict.fromkeys(callers.steps.pop(now_s)))
        if callers.turns.soonest_s <= now_s:
            calls.update(dict.fromkeys(callers.turns.pop(now_s)))
        if agents:
            live = self._live_sites()
            for agent in agents:
                crew.look(snapshot, agent, now, live, unreachable)
        for call in calls:
            callers.look(snapshot, call, now)

    def _live_sites(self) -> frozenset[SiteId]:
        snapshot = self._snapshot
        if snapshot.edges is not self._lives_of[0] or snapshot.sites is not self._lives_of[1]:
            self._lives_of = (snapshot.edges, snapshot.sites)
            self._live = live_sites(snapshot)
        return self._live

    def _settle(self, asked: Mapping[CallId, AgentId]) -> None:
        """Let what has been asked for count as given, as far as the agents are free.

        What was asked for before stands, but for calls and agents that were looked at anew.
        """
        before, self._asked = self._asked, asked
        over = [call for call, agent in before.items() if asked.get(call) != agent]
        wanted = frozenset(asked.values()) if over else frozenset[AgentId]()
        for call in over:
            member, caller = self._crew.member(before[call]), self._callers.get(call)
            if member is not None and before[call] not in wanted:
                self._crew.give(member, is_given=False)
            if caller is not None and call not in asked:
                self._callers.line_up(caller, is_in_line=True)
        agents, calls = self._agents, self._calls
        for call, agent in asked.items():
            if before.get(call) == agent and call not in calls and agent not in agents:
                continue
            member, caller = self._crew.member(agent), self._callers.get(call)
            if member is not None:
                self._crew.give(member, is_given=True)
            if caller is not None:
                self._callers.line_up(caller, is_in_line=member is None)

    def _serve(self, now: Now) -> list[Offering]:
        """Give to the first of all ready calls, then to the next, until nobody finds anyone."""
        crew = self._crew
        crew.shelve()
        fresh = list(crew.fresh)
        if len(fresh) == 1 and not self._ready:
            # By far the most frequent: somebody has become free, and callers wait.
            offers = self._serve_by(fresh[0], now)
        else:
            offers = self._serve_by_all(fresh, now)
        crew.put_away()
        return offers

    def _serve_by(self, member: Member, now: Now) -> list[Offering]:
        """Give the only one who has become free to the first of all calls that they suit."""
        first: Key | None = None
        for demand in member.suits:
            key = demand.first
            if key is not None and (first is None or key < first):
                first = key
        offers: list[Offering] = []
        if first is not None:
            self._give(self._callers.of(first[2]), [member], now, offers)
        return offers

    def _serve_by_all(self, fresh: list[Member], now: Now) -> list[Offering]:
        """Give those on the shelves and the fresh ones to the ready calls, the first call first.

        Keys end in the call's id, so no two are equal.
        """
        ready = self._ready
        for member in fresh:
            for demand in member.suits:
                if demand.first is not None:
                    ready.add(demand)
        line: list[tuple[Key, Demand]] = [
            (demand.first, demand)
            for demand in ready
            if demand.first is not None and (fresh or demand.live)
        ]
        ready.clear()
        heapify(line)
        offers: list[Offering] = []
        while line:
            key, demand = heappop(line)
            suiting = [each for each in fresh if demand.because(each.agent) == SUITS]
            if not suiting and demand.fit == demand.given:
                continue
            winner = self._give(self._callers.of(key[2]), suiting, now, offers)
            if demand.first is not None:
                heappush(line, (demand.first, demand))
            if winner in suiting:
                fresh.remove(winner)
                if not fresh:
                    line = [each for each in line if each[1].fit != each[1].given]
                    heapify(line)
        return offers

    def _give(
        self, caller: Caller, fresh: list[Member], now: Now, offers: list[Offering]
    ) -> Member:
        """Give a call the best of the shelf and of those who are `fresh` and suit; return whom.

        Of a call of ours the offer is put to `offers`.
        """
        ticket = caller.waiting.entry.value
        demand = caller.demand
        is_ours = self._edge is None or ticket.holder == self._edge
        count = len(ticket.tried) + 1 + (RUNNERS_UP if is_ours else 0)
        order = self._order(demand, fresh, count, now)
        is_first_try = False
        if ticket.tried:
            untried = [each for each in order if each[1].agent.id not in ticket.tried]
            is_first_try = bool(untried)
            order = untried or order
        winner = self._crew.member(order[0][1].agent.id)
        if winner is None:
            raise LookupError(f"{order[0][1].agent.id} is on a shelf and not free")
        if is_ours:
            passed_over = self._passed_over(caller) if is_first_try else 0
            decision = self._decision(caller, winner, order, passed_over, now)
            offers.append(Offering.of(caller.waiting.entry, order[0][1], decision))
        self._crew.give(winner, is_given=True)
        self._callers.line_up(caller, is_in_line=False)
        self._offered[ticket.call] = winner.agent.id
        return winner

    @staticmethod
    def _order(demand: Demand, fresh: list[Member], count: int, now: Now) -> list[Ranked]:
        """Return the `count` best of the shelf and of those who are `fresh`."""
        order = demand.shelf.best(now, count, demand.live) if demand.live else []
        if not fresh:
            return order
        if not order and len(fresh) == 1:
            return [(_ALONE, fresh[0].facts)]
        order += [demand.shelf.ranked(each.facts, now) for each in fresh]
        order.sort()
        return order[:count]

    def _passed_over(self, caller: Caller) -> int:
        """Return how many the call has tried who could take it now."""
        tried = (self._crew.member(agent) for agent in caller.waiting.entry.value.tried)
        free = (member for member in tried if member is not None and not member.is_given)
        return sum(caller.demand in member.suits for member in free)

    def _decision(
        self, caller: Caller, winner: Member, order: list[Ranked], passed_over: int, now: Now
    ) -> Decision:
        demand = caller.demand
        scored = demand.shelf.score(winner, now)
        counts = self._crew.unfit(demand)
        counts[_TRIED_BEFORE] = passed_over
        return Decision(
            revision=self._snapshot.revision,
            wall_ms=now.wall_ms,
            winner=winner.agent.id,
            score=scored.total,
            parts=scored.parts(),
            runners_up=_runners_up(order),
            excluded=dict(compress(zip(_NAMES, counts, strict=True), counts)),
            step=caller.waiting.effective.step,
        )


def _runners_up(order: list[Ranked]) -> tuple[tuple[AgentId, float], ...]:
    if len(order) == 1:
        return ()
    return tuple([(facts.agent.id, -key[0]) for key, facts in order[1 : 1 + RUNNERS_UP]])


def _agents_of(bad: Iterable[str]) -> Iterable[AgentId]:
    for key in bad:
        try:
            parsed = parse(key)
        except BadKeyError:
            continue
        if parsed.kind in _OF_AGENTS:
            yield AgentId(parsed.id)
