"""Which agents other edges are taken to be reserving for their callers at this moment. PURE.

Every edge computes the same match, but not at the same instant, and an answer of the store is some
milliseconds on its way. An agent who becomes free meanwhile, or whose records change, shifts the
whole match along: each later caller's best agent is now another, while the reservations that were
sent before go on. An edge that took the newest match for what the others do would reach for the
very agents that they are getting.

The laws:

- What the match gave to another edge's call is held to until the snapshot tells of that call or
  that agent, and `MOST_S` at most: its holder has acted on it, or is about to.
- It enters the match as `asked` does. So it only ever removes candidates of this edge's own calls,
  the match stays the same function, and the log keeps it with the decision.
- Nobody waits longer for it than `MOST_S`: who is presumed to be given away had been given to the
  same earlier call by the match itself. Where that goes on, the holder may be silent
  (`edge.acd.silence`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from state.model import AgentId, CallId, EdgeId, Now, TicketState
from state.snapshot import Snapshot

MOST_S: Final = 1.0
"""Longer than a reservation takes until everybody has seen it, or it has gone wrong."""


class _Presumed(Struct, frozen=True):
    agent: AgentId
    ticket_revision: int
    until_s: float


class Presumed:
    """What the others are taken to be reserving. `edge`: whose own calls are left out."""

    def __init__(self, edge: EdgeId) -> None:
        self._edge = edge
        self._given: dict[CallId, _Presumed] = {}

    def agents(
        self, snapshot: Snapshot, now: Now, silent: frozenset[EdgeId] = frozenset()
    ) -> dict[CallId, AgentId]:
        """Return who is presumed to be on the way to which call, as things stand.

        To nobody's of the `silent` edges: they do not act.
        """
        given = self._given
        for call in [c for c, each in given.items() if _is_over(c, each, snapshot, now, silent)]:
            del given[call]
        return {call: each.agent for call, each in given.items()}

    def note(self, snapshot: Snapshot, offered: Mapping[CallId, AgentId], now: Now) -> None:
        """Take in what a match on the snapshot gave to all calls."""
        for call, agent in offered.items():
            entry = snapshot.tickets.get(call)
            if entry is None or entry.value.holder == self._edge or call in self._given:
                continue
            until_s = now.mono_s + MOST_S
            self._given[call] = _Presumed(agent, entry.mod_revision, until_s)

    def __iter__(self) -> Iterator[CallId]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def next_due_s(self) -> float | None:
        """Return when the first of them is held to no longer; None: there is none."""
        return min((each.until_s for each in self._given.values()), default=None)


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
