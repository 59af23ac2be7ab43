"""Which waiting call gets which free agent: the same answer on every edge with the same snapshot.

Owns the order of calls and the giving of agents to them. Knows nothing of reservations: an Offering
is a wish that the store's transaction grants or refuses.

The laws:

- Calls are served in the order of the line (`edge.acd.line`). Each takes the best agent who is
  left. So among calls with the same needs, whose holders reach the same sites, none overtakes
  another; a call that nobody free can take holds nobody up.
- An agent is given away once, a call gets one agent.
- Calls with the same needs, ranking and sites out of reach (a *class*) share one ordered list of
  the free agents, so that the work is classes x (free agents + calls), and not calls x agents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from edge.acd.eligibility import (
    AgentFacts,
    Reason,
    given_from_s,
    unavailable_because,
)
from edge.acd.heirs import at_their_places, heirs
from edge.acd.line import Waiting, waiting_calls
from edge.acd.rank import SortKey, score, sort_key, total_score
from edge.acd.relaxation import next_step_s
from edge.acd.roster import CallClass, Roster, Suits
from state.model import (
    AgentId,
    CallId,
    Decision,
    EdgeId,
    Entry,
    Now,
    SiteId,
    Ticket,
)
from state.snapshot import Snapshot

RUNNERS_UP = 10
NOTHING_ASKED: Mapping[CallId, AgentId] = MappingProxyType({})
PASSED_OVER: Final = AgentId("(passed over)")
"""In place of an agent of whom it is asked (nobody can have this id): the call's holder is silent
(`edge.acd.silence`), and none of the holder's calls is served."""


class Offering(Struct, frozen=True, kw_only=True):
    """A call and the agent it should get, with the revisions of the records on which that rests."""

    call: CallId
    agent: AgentId
    holder: EdgeId
    """Who holds the caller: the only edge that may act on this."""
    ticket_revision: int
    presence_revision: int
    work_revision: int
    """0: the agent has no work record yet."""
    decision: Decision

    @classmethod
    def of(cls, entry: Entry[Ticket], facts: AgentFacts, decision: Decision) -> Offering:
        """Return the wish to give a free agent to a call."""
        return cls(
            call=entry.value.call,
            agent=facts.agent.id,
            holder=entry.value.holder,
            ticket_revision=entry.mod_revision,
            # A free agent has a presence: without one they would be signed out.
            presence_revision=0 if facts.presence is None else facts.presence.mod_revision,
            work_revision=facts.work_revision,
            decision=decision,
        )


Candidate = tuple[SortKey, AgentFacts]
"""A free agent who suits a class of calls, and their place among the others. A plain tuple: there
is one for each free agent in each match."""


class Shelf:
    """The free agents who suit one class of calls, best first; those given away are skipped."""

    def __init__(self, free: Iterable[AgentFacts], suits: Suits, now: Now) -> None:
        self.kind = suits.kind
        self.unsuited: Counter[Reason] = Counter()
        order: list[Candidate] = []
        for facts in free:
            suit = suits.of(facts)
            if suit.because is None:
                total = total_score(suit.steady, facts, self.kind.ranking, now)
                order.append((sort_key(facts, total), facts))
            else:
                self.unsuited[suit.because] += 1
        # No two have the same key: it ends in the agent's id.
        order.sort()
        self._order = order
        self._ids = frozenset(facts.agent.id for _, facts in order)
        self._given: set[AgentId] = set()
        self._start = 0

    @property
    def given_count(self) -> int:
        """How many who would have suited are given away."""
        return len(self._given)

    def give(self, agents: Iterable[AgentId]) -> None:
        """Take these agents off the shelf, if they are on it."""
        self._given.update(self._ids.intersection(agents))

    def has_left(self, agent: AgentId) -> bool:
        """Tell whether the agent suits and is not given away."""
        return agent in self._ids and agent not in self._given

    def left(self) -> Iterator[Candidate]:
        """Yield those not given away, best first."""
        while self._start < len(self._order) and self._is_given(self._start):
            self._start += 1
        for place in range(self._start, len(self._order)):
            if not self._is_given(place):
                yield self._order[place]

    def _is_given(self, place: int) -> bool:
        return self._order[place][1].agent.id in self._given


def match(
    snapshot: Snapshot,
    now: Now,
    *,
    unreachable: frozenset[SiteId] = frozenset(),
    asked: Mapping[CallId, AgentId] = NOTHING_ASKED,
    roster: Roster | None = None,
) -> tuple[Offering, ...]:
    """Return the offers to make now, for all edges' calls, in the order of the calls.

    An agent who was tried for a call comes after all who were not. `asked` are reservations that
    the snapshot does not show yet: those calls no longer wait, and those agents are taken. One for
    an agent who is not free any more is bound to be refused: that call waits, lest those who came
    later go before it. Calls of a `silent` holder are passed over, and keep their places; who has
    come again since stands in for them (`edge.acd.heirs`). A `roster` is a memo from one snapshot
    to the next; it changes nothing but the time this takes.
    """
    unheard = silent(snapshot, asked)
    snapshot = at_their_places(snapshot, heirs(snapshot, unheard))
    line = waiting_calls(snapshot, now)
    if not line:
        return ()
    roster = roster or Roster()
    free, unavailable = free_agents(roster.facts(snapshot).values(), now, unreachable)
    shelves: dict[CallClass, Shelf] = {}
    taken = {facts.agent.id for facts in free}.intersection(asked.values())
    waiting = [
        each
        for each in line
        if asked.get(each.entry.value.call) not in taken and each.entry.value.holder not in unheard
    ]
    offerings = []
    for each in waiting:
        if len(taken) == len(free):
            break
        entry = each.entry
        kind = CallClass.of(snapshot, entry.value, each.effective)
        shelf = shelves.get(kind)
        if shelf is None:
            shelf = shelves[kind] = Shelf(free, roster.suits(kind), now)
            shelf.give(taken)
        best = best_left(shelf, entry.value)
        if best is None:
            continue
        decision = _decide(snapshot.revision, now, each, best, shelf, unavailable)
        offerings.append(Offering.of(entry, best[1], decision))
        winner = best[1].agent.id
        taken.add(winner)
        for other in shelves.values():
            other.give((winner,))
    return tuple(offerings)


def silent(snapshot: Snapshot, asked: Mapping[CallId, AgentId]) -> frozenset[EdgeId]:
    """Return the edges whose calls are passed over."""
    if PASSED_OVER not in asked.values():
        return frozenset()
    entries = (snapshot.tickets.get(call) for call, who in asked.items() if who == PASSED_OVER)
    return frozenset(entry.value.holder for entry in entries if entry is not None)


def best_left(shelf: Shelf, ticket: Ticket) -> Candidate | None:
    """Return the best agent left whom this call has not tried; failing that, the best it has."""
    last_resort = None
    for candidate in shelf.left():
        if candidate[1].agent.id not in ticket.tried:
            return candidate
        last_resort = last_resort or candidate
    return last_resort


def next_due_s(snapshot: Snapshot, now: Now, calls: Iterable[CallId] = ()) -> float | None:
    """Return the next monotonic instant at which a match may change by itself; None: none will.

    It does so when an agent is nearly rested, or when a step falls due for one of these `calls`.
    Nothing else in a match depends on time but the order of agents and of calls, and that alone
    gives nobody to a call that nobody could take before.
    """
    presences = snapshot.presences
    ends = (given_from_s(work, presences.get(agent)) for agent, work in snapshot.works.items())
    rested = min((end for end in ends if end > now.mono_s), default=None)
    entries = (snapshot.tickets.get(call) for call in calls)
    steps = (next_step_s(snapshot.queues, entry, now) for entry in entries if entry is not None)
    due = [instant for instant in (rested, *steps) if instant is not None]
    return min(due, default=None)


def free_agents(
    agents: Iterable[AgentFacts], now: Now, unreachable: frozenset[SiteId]
) -> tuple[list[AgentFacts], Counter[Reason]]:
    """Return the agents who can take a call, and how many cannot for each reason."""
    free = []
    unavailable: Counter[Reason] = Counter()
    for facts in agents:
        because = unavailable_because(facts, now, unreachable=unreachable)
        if because is None:
            free.append(facts)
        else:
            unavailable[because] += 1
    return free, unavailable


def _decide(  # noqa: PLR0913, PLR0917  all that the decision records
    revision: int,
    now: Now,
    waiting: Waiting,
    best: Candidate,
    shelf: Shelf,
    unavailable: Counter[Reason],
) -> Decision:
    ticket = waiting.entry.value
    winner = best[1].agent.id
    # The winner was tried only if everyone left was: then nobody is passed over for it.
    passed_over = frozenset[AgentId]()
    if winner not in ticket.tried:
        passed_over = frozenset(filter(shelf.has_left, ticket.tried))
    others = (
        (facts.agent.id, -key[0])
        for key, facts in shelf.left()
        if facts.agent.id != winner and facts.agent.id not in passed_over
    )
    scored = score(best[1], shelf.kind.needs, shelf.kind.ranking, now)
    excluded = {**unavailable}
    for reason, count in shelf.unsuited.items():
        excluded[reason] = excluded.get(reason, 0) + count
    excluded[Reason.TAKEN] = shelf.given_count
    excluded[Reason.TRIED_BEFORE] = len(passed_over)
    return Decision(
        revision=revision,
        wall_ms=now.wall_ms,
        winner=winner,
        score=scored.total,
        parts=scored.parts(),
        runners_up=tuple(islice(others, RUNNERS_UP)),
        excluded={reason.value: count for reason, count in excluded.items() if count},
        step=waiting.effective.step,
    )
