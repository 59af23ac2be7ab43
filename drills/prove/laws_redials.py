"""Callers who dial again have their old place, once, and nobody else has it. PURE.

Three ways, and one of no return, all in the store's own history:

- Whoever dials again while their old call waits at another edge is known again: their first ticket
  names that call (`again_of`). Where it then puts them in the line is `laws_order`'s (`again`).
- An edge gives an agent at the place of a call whose edge cannot act, and says so (`Heir`), in one
  transaction: the heir's ticket has that place, and what was waited there until then; the call is
  of the same number to the same DID, stands at another edge, came before, and talks with nobody.
  What an edge has given without a quorum it says when it merges: once, whatever stands there then.
- Who was closed leaves a place (`Place`), which goes to a ticket of the same number and DID in the
  transaction that deletes it, within ten minutes; who waits beside such a place gets it.
- Who was cut off in talk and came again before that call was closed (`cut_off_of`) needs no place
  of it once they have talked: the end of their call says so (`Heir`), and from then on nobody has
  it.

Each place of a call is had once, by the one way or the other. A place that appears in a ticket in
no such way is one that nobody left; who has been passed on, and what is merged of the time without
a quorum, has one for other reasons. That both calls of a caller are given agents is no breach: an
edge that wakes up may serve whom it has, as `edge.acd.heirs` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from drills.prove.again import place_of
from drills.prove.decisions import HEALED_S
from drills.prove.history import Event, FaultKind, Placed, Stored
from drills.prove.times import AFTERMATH_S, on_path, spans
from drills.prove.violations import Law, Violation
from drills.prove.world import Lone, World, revisions
from state.keys import Kind
from state.model import CallRecord, EdgeId, Heir, Offer, Place, Ticket, TicketState

KEPT_S, SWEPT_S = 600.0, 60.0
"""So long a place is kept, and so much later it has certainly gone."""
SEEN_S, GIVEN_S = 2.0, 3.0
"""By then all edges see a ticket; by then a place is given to who waits beside it."""
LATE_S = 3.0
"""So much less than was seen a wait may be told: what was written is seen a little later."""
_COMING = frozenset({TicketState.GREETING, TicketState.QUEUED})
_WAITING = _COMING | {TicketState.OFFERED}
_EXCUSES_NOTHING = frozenset({FaultKind.WRONG_CLOCK, FaultKind.RESTART_PROXY})
_OF_EVENTS = frozenset({FaultKind.LOSE_EVENTS, FaultKind.LATE_EVENTS})
_Standing: TypeAlias = tuple[Ticket, int]
"""A ticket and its create revision."""
_Left: TypeAlias = tuple[Place, int]


def check_redials(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield old places that were not had, or had by the wrong, or twice."""
    book = _Book(events)
    for changes in revisions(events):
        yield from book.take(changes)


class _Book:
    """Which places were left, and who has had them, as revision follows revision."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._faults = [each for each in spans(events) if each.kind not in _EXCUSES_NOTHING]
        self._lone = Lone(events)
        self._dialled = {
            event.call: event
            for event in events
            if isinstance(event, Placed) and event.again is not None
        }
        self._world = World()
        self._places: dict[str, _Left] = {}
        self._had: set[str] = set()
        """The calls whose place somebody has had."""
        self._since_s: dict[tuple[Kind, str], float] = {}
        """When each ticket and place was written last."""

    def take(self, changes: Sequence[Stored]) -> Iterator[Violation]:
        """Take in a revision; yield what is wrong with it."""
        before = {each.id: self._world.tickets.get(each.id) for each in changes}
        heirs = {each.value.call: each for each in changes if isinstance(each.value, Heir)}
        talked = {call: before[call] for call in _talked(changes)}
        left = {call: self._world.tickets.get(call) for call in heirs}
        tickets = [each for each in changes if each.kind is Kind.TICKET]
        for change in tickets:
            yield from self._ends_waiting(change, before[change.id])
        was_said = {call for call in heirs if call in self._world.heirs}
        was_had = was_said | {call for call in heirs if call in self._had}
        self._world.apply(changes)
        given: set[str] = set()
        # Who comes back to a place of their own has nobody else's: what one transaction created has
        # one number.
        coming = [
            each.value
            for each in changes
            if isinstance(each.value, Ticket)
            and _new_place(each.value, before[each.id])
            and not self._is_own_place(each.value)
        ]
        for call, change in heirs.items():
            if isinstance(change.value, Heir) and not self._has_come_again(
                change.value, talked, changes
            ):
                given.add(change.value.heir)
                merges = self._is_merged(change.value, changes)
                is_had = call in (was_said if merges else was_had)
                self._had.add(call)
                if is_had or not merges:
                    yield from self._inherits(change, change.value, left[call], is_had=is_had)
        yield from self._have_come_again(talked, changes[0])
        for change in changes:
            if change.kind is Kind.PLACE:
                yield from self._place(change, changes, coming, given)
        for change in tickets:
            yield from self._ticket(change, before[change.id], given)
        for change in changes:
            if change.kind in {Kind.TICKET, Kind.PLACE}:
                self._since_s[change.kind, change.id] = change.at_s

    def _is_own_place(self, ticket: Ticket) -> bool:
        left = self._places.get(ticket.call)
        return left is not None and ticket.place == _number(left)

    # -- the ways to a place

    def _is_merged(self, heir: Heir, changes: Sequence[Stored]) -> bool:
        """Tell whether an heir was given an agent without a quorum, and that is written now."""
        ticket, record = self._world.tickets.get(heir.heir), self._world.records.get(heir.heir)
        offers = (each.value for each in changes if isinstance(each.value, Offer))
        if any(each.call == heir.heir and each.granted is None for each in offers):
            return False
        if ticket is not None:
            edge = ticket[0].holder
        elif record is not None:
            edge = record[0].edge
        else:
            return False
        return self._lone.was(edge, changes[0].at_s)

    def _has_come_again(
        self, heir: Heir, talked: Mapping[str, _Standing | None], changes: Sequence[Stored]
    ) -> bool:
        """Tell whether it says of who talked again, and is gone, that they need no place."""
        if heir.heir not in talked:
            return False
        stood = talked[heir.heir]
        if stood is None:
            return not self._is_merged(heir, changes)  # the store had never heard of their call
        return stood[0].cut_off_of == heir.call

    def _have_come_again(
        self, talked: Mapping[str, _Standing | None], change: Stored
    ) -> Iterator[Violation]:
        """Judge that whoever talked again, and is gone, leaves nothing of what they lost."""
        for stood in talked.values():
            lost = None if stood is None else stood[0].cut_off_of
            if stood is None or lost is None:
                continue
            self._had.add(lost)
            if lost not in self._world.heirs:
                text = f"{stood[0].call} has talked after {lost}, whose place may be had still"
                yield _say(Law.PLACE_TWICE, change, text)

    def _inherits(
        self, change: Stored, heir: Heir, left: _Standing | None, *, is_had: bool
    ) -> Iterator[Violation]:
        """Judge that somebody is given an agent at the place of a call that was left behind."""
        if is_had:
            yield _say(Law.PLACE_TWICE, change, f"{heir.heir} has the place of {heir.call}, again")
            return
        own = self._world.tickets.get(heir.heir)
        if own is None or left is None:
            gone = heir.heir if own is None else heir.call
            yield _say(Law.FALSE_PLACE, change, f"{heir.heir} inherits, but {gone} has no place")
            return
        if why := _no_heir(own, left):
            yield _say(Law.FALSE_PLACE, change, f"{heir.heir} inherits of {heir.call}: {why}")
        elif own[0].place != place_of(*left):
            text = f"{heir.heir} inherits of {heir.call}, whose place was {place_of(*left)}, "
            yield _say(Law.PLACE_LOST, change, f"{text}and stands at {own[0].place}")
        elif left[0].state is not TicketState.GREETING:
            yield from self._has_waited(change, own[0], left[0])

    def _has_waited(self, change: Stored, own: Ticket, left: Ticket) -> Iterator[Violation]:
        """Judge that the old call's wait is the heir's, and went on."""
        since_s = self._since_s[Kind.TICKET, left.call]
        least_s = left.waited_s + change.at_s - since_s - LATE_S
        if own.waited_s < least_s and not self._is_disturbed(own.holder, since_s, change.at_s):
            text = f"{own.call} inherits of {left.call} a wait of {own.waited_s:.1f} s"
            yield _say(Law.PLACE_LOST, change, f"{text} instead of {least_s:.1f} s at least")

    def _place(
        self,
        change: Stored,
        changes: Sequence[Stored],
        coming: Sequence[Ticket],
        given: set[str],
    ) -> Iterator[Violation]:
        """Judge who gets a place that is taken away, if anybody does."""
        stood = self._places.pop(change.id, None)
        if isinstance(change.value, Place):
            self._places[change.id] = (change.value, stood[1] if stood else change.revision)
            return
        if stood is None:
            return
        kept, number = stood[0], _number(stood)
        if any(each.id == change.id and isinstance(each.value, Ticket) for each in changes):
            return  # their own call goes on; who came by the same transaction has that number, too
        taker = next(
            (each for each in coming if each.place == number and each.call != change.id), None
        )
        if taker is None:
            return  # nobody may have it any more
        given.add(taker.call)
        since_s = self._since_s[Kind.PLACE, change.id]
        if (taker.caller, taker.did) != (kept.caller, kept.did):
            yield _say(Law.FALSE_PLACE, change, f"{taker.call} has the place of another's caller")
        elif change.at_s - since_s > KEPT_S + SWEPT_S:
            age_s = change.at_s - since_s
            yield _say(Law.FALSE_PLACE, change, f"{taker.call} has a place after {age_s:.0f} s")
        elif change.id in self._had and not kept.was_sent_away:
            text = f"{taker.call} is given the place of {change.id}, which somebody has had"
            yield _say(Law.PLACE_TWICE, change, text)
        self._had.add(change.id)

    def _ticket(
        self, change: Stored, before: _Standing | None, given: set[str]
    ) -> Iterator[Violation]:
        """Judge a ticket that has come, or has another place now."""
        ticket = change.value
        if not isinstance(ticket, Ticket):
            return
        if before is None:
            self._had.discard(change.id)  # a merge has brought it back
            yield from self._is_known(change, ticket)
        if (
            _new_place(ticket, before)
            and ticket.call not in given
            and not ticket.talks
            and ticket.callback_of is None
            and not self._lone.was(ticket.holder, change.at_s)
        ):
            yield _say(Law.FALSE_PLACE, change, f"{ticket.call} stands at {ticket.place}, unasked")

    # -- whoever should have had one

    def _is_known(self, change: Stored, ticket: Ticket) -> Iterator[Violation]:
        """Judge whether who dials again is known again, by an edge that could not but know them."""
        placed = self._dialled.get(ticket.call)
        old = None if placed is None else placed.again
        stood = None if old is None else self._world.tickets.get(old)
        if placed is None or stood is None or old in ticket.again_of:
            return
        since_s = placed.at_s - SEEN_S
        if (
            stood[0].state in _WAITING
            and stood[0].holder != ticket.holder
            and self._since_s.get((Kind.TICKET, stood[0].call), placed.at_s) <= since_s
            and not self._is_disturbed(ticket.holder, since_s, change.at_s)
        ):
            text = f"{ticket.call} ({ticket.holder}) has {old} waiting at {stood[0].holder}"
            yield _say(Law.PLACE_LOST, change, f"{text}, and is not known again")

    def _ends_waiting(self, change: Stored, before: _Standing | None) -> Iterator[Violation]:
        """Judge whoever has waited beside a place of theirs, and waits no more."""
        if before is None or before[0].state not in _COMING or before[0].place is not None:
            return
        own, at_s = before[0], change.at_s
        waits_s = self._since_s[Kind.TICKET, own.call]
        for call, (place, _) in self._places.items():
            since_s = max(waits_s, self._since_s[Kind.PLACE, call])
            if (
                (place.caller, place.did) == (own.caller, own.did)
                and call not in self._world.heirs
                and call not in {own.call, own.callback_of}
                and not _is_it(change, place)
                and at_s - since_s > GIVEN_S
                and not self._is_disturbed(own.holder, since_s, at_s)
            ):
                text = f"{own.call} ({own.holder}) waited {at_s - since_s:.1f} s beside the place"
                yield _say(Law.PLACE_LOST, change, f"{text} of {call}")

    def _is_disturbed(self, edge: EdgeId, begin_s: float, end_s: float) -> bool:
        return self._lone.was_between(edge, begin_s, end_s) or any(
            span.touches(
                begin_s, end_s, aftermath_s=HEALED_S if span.kind in _OF_EVENTS else AFTERMATH_S
            )
            for span in on_path(self._faults, edge, edge)
        )


def _talked(changes: Sequence[Stored]) -> Iterator[str]:
    """Yield the calls that end, and had talked."""
    for each in changes:
        if isinstance(each.value, CallRecord) and each.value.connected_ms is not None:
            yield each.id


def _no_heir(own: _Standing, left: _Standing) -> str:
    """Return why somebody may not have the place of a call; empty: they may."""
    mine, theirs = own[0], left[0]
    if (mine.caller, mine.did) != (theirs.caller, theirs.did):
        return "another's caller"
    if mine.holder == theirs.holder:
        return "both are of one edge"
    if theirs.state not in _WAITING:
        return f"that one is {theirs.state}"
    return "" if left[1] < own[1] else "that one came later"


def _number(left: _Left) -> int:
    """Return where the place stands that somebody left."""
    return left[0].place or left[1]


def _new_place(ticket: Ticket, before: _Standing | None) -> bool:
    had = None if before is None else before[0].place
    return ticket.place is not None and had is None


def _is_it(change: Stored, place: Place) -> bool:
    """Tell whether a ticket is being given that very place."""
    ticket = change.value
    return isinstance(ticket, Ticket) and ticket.place is not None and ticket.place == place.place


def _say(law: Law, change: Stored, text: str) -> Violation:
    return Violation(law=law, at_s=change.at_s, revision=change.revision, text=text)
