"""The decisions of a run that are to be judged, and what whoever made them knew by then. PURE.

Decisions are read from the calls' records. An edge that loses events does not know the snapshot
that it names: what it decides until it is healed is left open.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from msgspec import Struct

from drills.prove.history import Event, FaultKind, Placed, Stored
from drills.prove.times import Span, spans
from drills.prove.world import SEEN_S, Lone, World, revisions
from edge.acd.match import PASSED_OVER
from state.model import CallRecord, Decision, EdgeId, Offer, Ticket
from state.overlay import ALONE_FROM

HEALED_S = 30.0
"""A mirror that has lost events has made them good by then."""
LONGEST_CALL_S = 40.0


class Due(Struct, frozen=True):
    """A decision that is to be judged."""

    change: Stored
    """The record that tells of it."""
    decision: Decision
    given_s: float
    """When the agent was seen to be given: it was decided before."""
    by: EdgeId
    """Who decided."""


def decided_on(events: Sequence[Event]) -> Iterator[tuple[World, Due]]:
    """Yield the decisions that are to be judged, each with the world on which it was made."""
    due = sorted(decisions(events), key=lambda each: each.decision.revision)
    world, place = World(), 0
    for changes in revisions(events):
        while place < len(due) and due[place].decision.revision < changes[0].revision:
            yield world, due[place]
            place += 1
        world.apply(changes)
    for each in due[place:]:
        yield world, each


def said_silent(world: World, decision: Decision) -> frozenset[EdgeId]:
    """Return the edges that a decision says to be silent: it names a caller of each."""
    named = (call for call, who in decision.asked.items() if who == PASSED_OVER)
    return frozenset(world.tickets[call][0].holder for call in named if call in world.tickets)


class _Given(Struct, frozen=True):
    """An offer as it was written."""

    revision: int
    at_s: float
    by: EdgeId


def decisions(events: Sequence[Event]) -> Iterator[Due]:
    """Yield the decisions of edges that knew the snapshot which they name."""
    blind = [span for span in spans(events) if span.kind is FaultKind.LOSE_EVENTS]
    given: dict[tuple[str, str], list[_Given]] = {}
    for event in events:
        if not isinstance(event, Stored):
            continue
        if isinstance(event.value, Offer):
            offer = event.value
            written = _Given(event.revision, event.at_s, offer.edge)
            given.setdefault((offer.call, offer.agent), []).append(written)
        if isinstance(event.value, CallRecord):
            record, decision = event.value, event.value.decision
            # Decided without a quorum: on no snapshot that the store ever had. And by whom the
            # caller was passed on chose, and not the line.
            if (
                decision is None
                or decision.passed_on_by is not None
                or decision.revision >= ALONE_FROM
                or _was_blind(blind, record, event.at_s)
            ):
                continue
            offers = given.get((record.call, decision.winner), [])
            # They may have been given to this caller before.
            of_this = (each for each in offers if each.revision > decision.revision)
            offer_put = next(of_this, _Given(event.revision, event.at_s, record.edge))
            yield Due(event, decision, offer_put.at_s, offer_put.by)


def _was_blind(blind: Sequence[Span], record: CallRecord, at_s: float) -> bool:
    return any(
        span.target == record.edge
        and span.touches(at_s - LONGEST_CALL_S, at_s, aftermath_s=HEALED_S)
        for span in blind
    )


class Sights:
    """By when an edge has surely seen what: nobody decides on a snapshot before they have it."""

    def __init__(self, events: Sequence[Event]) -> None:
        decided: dict[EdgeId, list[tuple[int, float]]] = {}
        for due in decisions(events):
            decided.setdefault(due.by, []).append((due.decision.revision, due.given_s))
        self._decided = {edge: sorted(each) for edge, each in decided.items()}
        self._kills: dict[str, list[float]] = {}
        for span in spans(events):
            if span.kind is FaultKind.KILL_EDGE:
                self._kills.setdefault(span.target, []).append(span.began_s)
        self._lone = Lone(events)
        came = _arrivals(events)
        self._came = [revision for revision, _ in came]
        self._came_s = list(accumulate((at_s for _, at_s in came), max))

    def since_s(self, revision: int) -> float:
        """Return an instant at which a revision cannot have been written yet.

        A ticket is written after its caller has called.
        """
        count = bisect_right(self._came, revision)
        return self._came_s[count - 1] if count else float("-inf")

    def seen_s(self, edge: EdgeId, revision: int, by_s: float) -> float | None:
        """Return an instant at which an edge surely had a revision; None: nobody can tell.

        The life that had it is the one that went on, with a quorum, until `by_s`.
        """
        known = self._decided.get(edge, [])
        for _, at_s in known[bisect_left(known, (revision, float("-inf"))) :]:
            if at_s <= by_s and not self._is_broken_off(edge, at_s, by_s):
                return at_s
        return None

    def _is_broken_off(self, edge: EdgeId, begin_s: float, end_s: float) -> bool:
        # What was seen of the store may have come late, never early.
        kills = self._kills.get(edge, [])
        return any(begin_s - SEEN_S <= at_s <= end_s for at_s in kills) or self._lone.was_between(
            edge, begin_s - SEEN_S, end_s
        )


def _arrivals(events: Sequence[Event]) -> list[tuple[int, float]]:
    """Return with which revision each caller got their place, and when they had called."""
    placed: dict[str, float] = {}
    came: dict[str, tuple[int, float]] = {}
    for event in events:
        if isinstance(event, Placed):
            placed.setdefault(event.call, event.at_s)
        elif isinstance(event, Stored) and isinstance(event.value, Ticket) and event.id in placed:
            came.setdefault(event.id, (event.revision, placed[event.id]))
    return sorted(came.values())
