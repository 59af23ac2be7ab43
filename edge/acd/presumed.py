"""Which agents other edges are taken to be reserving for their callers at this moment. PURE.

Every edge computes the same match, but not at the same instant, and an answer of the store is some
milliseconds on its way. An agent who becomes free meanwhile, or whose records change, shifts the
whole match along: each later caller's best agent is now another, while the reservations that were
sent before go on. An edge that took the newest match for what the others do would reach for the
very agents that they are getting.

The laws:

- What the match gave to another edge's call is held to until the snapshot tells of that call or
  that agent, and `MOST_S` at most: its holder has acted on it, or is about to.
- And only as long as the rules in force let the agent have that call. After a step of its queue
  has fallen due (an overflow) it may need somebody else. Then the match is to keep that one for it,
  lest who came later get them, and to keep this one for it no longer.
- Nothing is presumed for a while of a holder who is of *another mind*: who has given a caller
  somebody else than this edge took them to be getting. Where the store or the news are slow, edges
  know of different reservations, and an agent would be kept for one caller after the other whose
  edges have asked for others. The while is `DOUBT` times as long as this edge was wrong: next to
  nothing where the news are quick.
- It enters the match as `asked` does. So it only ever removes candidates of this edge's own calls,
  the match stays the same function, and the log keeps it with the decision.
- Nobody waits longer for it than `MOST_S`: who is presumed to be given away had been given to the
  same earlier call by the match itself. Where that goes on, the holder may be silent
  (`edge.acd.silence`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from operator import is_not
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.eligibility import out_of_reach, unsuited_because
from edge.acd.heirs import standing_as
from edge.acd.relaxation import effective_now, waited_s
from state.model import AgentId, CallId, EdgeId, Now, TicketState
from state.snapshot import Snapshot

MOST_S: Final = 1.0
"""Longer than a reservation takes until everybody has seen it, or it has gone wrong."""
DOUBT: Final = 2.0
"""Nothing is presumed of an edge for so many times as long as it was wrongly taken to do something.
With 1.0 somebody is forgotten now and then; with a second in any case, twice as many reservations
are refused where the store is quick."""


_AT_THEIR_OWN: Final[Mapping[CallId, CallId]] = MappingProxyType({})


class _Presumed(Struct, frozen=True):
    agent: AgentId
    ticket_revision: int
    until_s: float
    due_s: float
    """When to look at it again though nothing has changed: then a rule of the call's may have."""


class Presumed:
    """What the others are taken to be reserving. `edge`: whose own calls are left out."""

    def __init__(self, edge: EdgeId) -> None:
        self._edge = edge
        self._given: dict[CallId, _Presumed] = {}
        self._doubted_until_s: dict[EdgeId, float] = {}
        """Until when nothing is presumed of an edge."""
        self._rules: tuple[object, ...] = ()
        """What says who suits whom, beside the tickets and the time, as it was last looked at."""

    def agents(
        self,
        snapshot: Snapshot,
        now: Now,
        silent: frozenset[EdgeId] = frozenset(),
        places: Mapping[CallId, CallId] = _AT_THEIR_OWN,
    ) -> dict[CallId, AgentId]:
        """Return who is presumed to be on the way to which call, as things stand.

        To nobody's of the `silent` edges: they do not act. `places`: whose place each heir has.
        """
        given = self._given
        for call in [c for c, each in given.items() if _is_over(c, each, snapshot, now, silent)]:
            entry, over = snapshot.tickets.get(call), given.pop(call, None)
            if over is None or entry is None:
                continue
            if entry.value.agent not in {None, over.agent}:
                wrong_s = now.mono_s - (over.until_s - MOST_S)
                self._doubted_until_s[entry.value.holder] = now.mono_s + DOUBT * wrong_s
                self._forget(entry.value.holder, snapshot)
        are_other = self._are_other_rules(snapshot, places)
        for call, each in list(given.items()):
            if are_other or now.mono_s >= each.due_s:
                suits_until_s = _suits_until_s(snapshot, call, each.agent, now, places)
                if suits_until_s is None:
                    del given[call]
                else:
                    given[call] = replace(each, due_s=min(each.until_s, suits_until_s))
        return {call: each.agent for call, each in given.items()}

    def note(
        self,
        snapshot: Snapshot,
        offered: Mapping[CallId, AgentId],
        now: Now,
        places: Mapping[CallId, CallId] = _AT_THEIR_OWN,
    ) -> list[CallId]:
        """Take in what a match on the snapshot gave to all calls.

        Return those of edges of which nothing is presumed now.
        """
        doubted = []
        for call, agent in offered.items():
            entry = snapshot.tickets.get(call)
            if entry is None or entry.value.holder == self._edge or call in self._given:
                continue
            if now.mono_s < self._doubted_until_s.get(entry.value.holder, 0.0):
                doubted.append(call)
                continue
            suits_until_s = _suits_until_s(snapshot, call, agent, now, places)
            if suits_until_s is not None:
                until_s = now.mono_s + MOST_S
                due_s = min(until_s, suits_until_s)
                self._given[call] = _Presumed(agent, entry.mod_revision, until_s, due_s)
        return doubted

    def __iter__(self) -> Iterator[CallId]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def next_due_s(self) -> float | None:
        """Return when to look again at the first of them; None: there is none."""
        return min((each.due_s for each in self._given.values()), default=None)

    def _forget(self, edge: EdgeId, snapshot: Snapshot) -> None:
        """Presume nothing of an edge's calls any more."""
        for call in list(self._given):
            entry = snapshot.tickets.get(call)
            if entry is not None and entry.value.holder == edge:
                del self._given[call]

    def _are_other_rules(self, snapshot: Snapshot, places: Mapping[CallId, CallId]) -> bool:
        """Tell whether anything has changed that says who suits whom."""
        before = self._rules
        # The maps of a snapshot are the same objects until one of their records changes.
        self._rules = rules = (snapshot.queues, snapshot.agents, snapshot.probes, places)
        return not before or any(map(is_not, before, rules))


def _is_over(
    call: CallId, given: _Presumed, snapshot: Snapshot, now: Now, silent: frozenset[EdgeId]
) -> bool:
    entry = snapshot.tickets.get(call)
    return (
        entry is None
        or entry.value.holder in silent
        or entry.mod_revision != given.ticket_revision
        or entry.value.state is not TicketState.QUEUED
        or given.agent in snapshot.offers
        or now.mono_s >= given.until_s
    )


def _suits_until_s(
    snapshot: Snapshot, call: CallId, agent: AgentId, now: Now, places: Mapping[CallId, CallId]
) -> float | None:
    """Return until when a call's rules stay, by which the agent suits it; None: they do not."""
    known, stands = snapshot.agents.get(agent), standing_as(snapshot, call, places)
    effective = effective_now(snapshot.queues, stands, now)
    if (
        known is None
        or known.value.site in out_of_reach(snapshot, stands.value)
        or unsuited_because(known.value, effective.needs) is not None
    ):
        return None
    due_s = effective.next_due_s
    return inf if due_s is None else now.mono_s + max(0.0, due_s - waited_s(stands, now))
