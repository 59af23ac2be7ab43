"""First come, first served: judged on the snapshot on which each decision was made. PURE.

A call may get an agent on a snapshot only if all who came before it there, could have had that very
agent, and whose holders reach the same sites, can each have got another. What an edge knows beyond
the snapshot (its own requests under way, a site that it cannot reach, an agent's rest) only lowers
the number of agents; so nobody is accused wrongly. And by what the decision says had been asked for
already, all others before it can have had their turn: each takes somebody left who can do what they
ask for, and goes without only if nobody can. By which scores an edge chooses is left open: all ways
are tried.

Callers whose holder the decision says to be silent are passed over by right; whether it was silent
is judged by `laws_silence`. Who has come again since stands where they stood. All others stay where
they are.

An edge that loses events does not know the snapshot that it names: what it decides until it is
healed is left open. So is whether a step of the queue was in force for a call, between what its
ticket says that it had waited and all that it can have. Decisions are read from the calls' records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from drills.prove.again import place_of, places_of_heirs
from drills.prove.history import Event, FaultKind, Stored
from drills.prove.needs import Levels, Waits, asked_for, meets, skills_of
from drills.prove.times import Span, spans
from drills.prove.violations import Law, Violation
from drills.prove.world import World, revisions
from edge.acd.match import PASSED_OVER
from state.model import (
    CallId,
    CallRecord,
    Decision,
    EdgeId,
    Offer,
    PresenceState,
    SkillId,
    Ticket,
    TicketState,
)
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


def check_order(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield the decisions by which somebody was overtaken."""
    line = _Line(_first_tickets(events), Waits(events))
    for world, due in decided_on(events):
        yield from line.judge(world, due)


def decided_on(events: Sequence[Event]) -> Iterator[tuple[World, Due]]:
    """Yield the decisions that are to be judged, each with the world on which it was made."""
    blind = [span for span in spans(events) if span.kind is FaultKind.LOSE_EVENTS]
    due = sorted(_decisions(events, blind), key=lambda each: each.decision.revision)
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


def _decisions(events: Sequence[Event], blind: list[Span]) -> Iterator[Due]:
    """Yield the decisions of edges that knew the snapshot which they name."""
    given: dict[tuple[str, str], tuple[float, EdgeId]] = {}
    for event in events:
        if not isinstance(event, Stored):
            continue
        if isinstance(event.value, Offer):
            offer = event.value
            given.setdefault((offer.call, offer.agent), (event.at_s, offer.edge))
        if isinstance(event.value, CallRecord):
            record = event.value
            was_blind = any(
                span.target == record.edge
                and span.touches(event.at_s - LONGEST_CALL_S, event.at_s, aftermath_s=HEALED_S)
                for span in blind
            )
            # Decided without a quorum: on no snapshot that the store ever had.
            is_alone = record.decision is not None and record.decision.revision >= ALONE_FROM
            # By whom the caller was passed on chose, and not the line.
            is_lines = record.decision is not None and record.decision.passed_on_by is None
            if record.decision is not None and is_lines and not was_blind and not is_alone:
                winner = record.decision.winner
                given_s, by = given.get((record.call, winner), (event.at_s, record.edge))
                yield Due(event, record.decision, given_s, by)


_Placed = tuple[Ticket, int]
"""A ticket and its create revision."""


def _first_tickets(events: Sequence[Event]) -> dict[str, _Placed]:
    """Return with which ticket each call came."""
    firsts: dict[str, _Placed] = {}
    for event in events:
        if isinstance(event, Stored) and isinstance(event.value, Ticket):
            firsts.setdefault(event.id, (event.value, event.revision))
    return firsts


class _Line:
    """Who stood before whom, and might have had whom."""

    def __init__(self, firsts: Mapping[str, _Placed], waits: Waits) -> None:
        self._firsts = firsts
        self._waits = waits

    def judge(self, world: World, due: Due) -> Iterator[Violation]:
        """Yield a breach if somebody must have been overtaken by a decision on this world."""
        decision, change = due.decision, due.change
        own = world.tickets.get(change.id)
        if own is None:
            own = self._firsts.get(change.id)
            if own is None or own[1] <= decision.revision:
                return  # older than the history
            # Decided as it came: it got its place with the agent, after all who had one then.
        unheard = said_silent(world, decision)
        ahead = [each for each in _ahead(world, *own, unheard) if each.holder not in unheard]
        free = _free(world, own[0])
        asking = {ticket.call: self._asking(world, ticket, own[0], due.given_s) for ticket in ahead}
        call = _passed_over(world, asking, free, decision)
        if call is None and decision.winner in free:
            return
        held = " ".join(sorted(ticket.holder for ticket in ahead))
        text = (
            f"{change.id} ({own[0].holder}) got {decision.winner}, one of {len(free)} free, "
            f"with {len(ahead)} before it ({held})"
        )
        text += ", but not free" if call is None else f": {call} was passed over"
        yield Violation(law=Law.OVERTAKEN, at_s=change.at_s, revision=decision.revision, text=text)

    def _asking(self, world: World, ticket: Ticket, own: Ticket, at_s: float) -> Asking:
        most_s = self._waits.most_s(ticket, own.holder, at_s)
        return Asking(
            certainly=asked_for(world, ticket, ticket.waited_s),
            perhaps=asked_for(world, ticket, max(ticket.waited_s, most_s)),
        )


def _ahead(world: World, own: Ticket, created: int, silent: frozenset[EdgeId]) -> list[Ticket]:
    """Return who stood before a call, whose holders reach what its own reaches; the first first."""
    places = places_of_heirs(world, silent)
    key = _order(own, created, places)
    reach = world.out_of_reach(own.holder)
    ahead = [
        (_order(ticket, created, places), ticket)
        for ticket, created in world.tickets.values()
        if ticket.state is TicketState.QUEUED
        and ticket.holder in world.edges
        and world.out_of_reach(ticket.holder) == reach
        and _order(ticket, created, places) < key
    ]
    return [ticket for _, ticket in sorted(ahead, key=lambda each: (each[0], each[1].call))]


def _free(world: World, own: Ticket) -> list[str]:
    reach = world.out_of_reach(own.holder)
    return [
        agent
        for agent, (presence, _) in world.presences.items()
        if presence.state is PresenceState.READY
        and agent not in world.offers
        and presence.site not in reach
    ]


def _order(ticket: Ticket, created: int, places: Mapping[CallId, int]) -> tuple[int, int]:
    """Return who comes first: priority, then the place. No queue of the run ages its calls."""
    return (-ticket.priority, places.get(ticket.call, place_of(ticket, created)))


# -- who must have been overtaken

Kind = frozenset[tuple[SkillId, int]]
"""What some agents can do, who are alike for every call."""
_Left = tuple[int, ...]
"""How many of each kind are left."""


class Asking(Struct, frozen=True):
    """What somebody asks for who waits; None: nobody can tell."""

    certainly: Levels | None
    """At most: of whoever meets it the edge knew that they could have them."""
    perhaps: Levels | None
    """At least: nobody else could be theirs."""

    def must_take(self, kind: Kind) -> bool:
        """Tell whether they could not be left without, while one of these agents was."""
        return self.certainly is not None and meets(dict(kind), self.certainly)

    def may_take(self, kind: Kind) -> bool:
        """Tell whether one of these agents may have been given to them."""
        return self.perhaps is not None and meets(dict(kind), self.perhaps)


def _kind(world: World, agent: str) -> Kind:
    return frozenset(skills_of(world, agent).items())


def _passed_over(
    world: World, asking: Mapping[CallId, Asking], free: Sequence[str], decision: Decision
) -> CallId | None:
    """Return the first who must have been passed over by a decision; None: nobody."""
    winner = _kind(world, decision.winner)
    crew = [agent for agent in free if agent != decision.winner]
    could = [call for call, each in asking.items() if each.must_take(winner)]
    place = overtaken([asking[call] for call in could], _kinds(world, crew), winner)
    if place is not None:
        return could[place]
    # One who was asked for and is not free any more is refused: the call they are for waits.
    asked = {call: agent for call, agent in decision.asked.items() if agent in free}
    others = [call for call in asking if call not in asked]
    left = [agent for agent in crew if agent not in asked.values()]
    place = overtaken([asking[call] for call in others], _kinds(world, left), winner)
    return None if place is None else others[place]


def _kinds(world: World, agents: Iterable[str]) -> Counter[Kind]:
    return Counter(_kind(world, agent) for agent in agents)


def overtaken(line: Sequence[Asking], crew: Mapping[Kind, int], winner: Kind) -> int | None:
    """Return the place in a line of the first who must have been passed over; None: nobody.

    `crew`: how many were free of each kind, without one of the `winner`'s who was given to somebody
    behind the line.
    """
    kinds = tuple(crew)
    ways: set[_Left] = {tuple(crew.values())}
    for place, asking in enumerate(line):
        must = [asking.must_take(kind) for kind in kinds]
        may = [asking.may_take(kind) for kind in kinds]
        may_go_without = not asking.must_take(winner)
        following: set[_Left] = set()
        for left in ways:
            following.update(_each_taken(left, may))
            if may_go_without and not any(n and m for n, m in zip(left, must, strict=True)):
                following.add(left)
        if not following:
            return place
        ways = following
    return None


def _each_taken(left: _Left, may: Sequence[bool]) -> Iterator[_Left]:
    for n, (count, is_theirs) in enumerate(zip(left, may, strict=True)):
        if count and is_theirs:
            yield (*left[:n], count - 1, *left[n + 1 :])
