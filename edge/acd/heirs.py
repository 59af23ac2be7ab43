"""Who stands in for whom: callers who have come again while their old edge cannot act. PURE.

A caller whose edge has died dials again, and another edge takes them. Their old ticket is closed
when the lease has run out, and leaves its place to them then (`edge.calls.places`). Until then the
callers of the dead edge are passed over (`edge.acd.silence`), and whoever came after them is given
agents: so whoever comes again is to stand where they stood, from the same moment on.

The laws:

- A ticket names the calls from its number to its DID that waited at other edges when it came
  (`again_of`, by `Numbers`). They are named by call, so that a log, which has no numbers, tells who
  stood where.
- A ticket is *left behind* while its caller waits for an agent and its holder is silent, by what is
  `asked` of the match, or is not alive by the snapshot. Its *heir* is a caller who names it, waits
  at an edge that is neither, and has no place but their own.
- Each ticket that is left behind has one heir, each heir one such ticket: who came again first has
  the best place. By the snapshot and the silent edges alone, so all who know them say the same.
- When the old ticket is closed, and leaves its `Place`, its heir stands there all the same, until
  the place is written into their ticket (`edge.calls.places`), or goes with the agent whom they are
  given first. In the moment in which a dead site's callers are closed its agents' talks are, too:
  whoever stood at their new place then would be passed by some.
- An heir stands in the line as if they had the place already, and had waited there since. Who is
  left behind stands in nobody's line but their own edge's. So no place counts twice.
- The first sign of life of the edge ends that: each of the two stands at their own place again.
- It is written down with the agent whom the heir is given (`edge.acd.granting`), over the old
  ticket as it was: the place is the heir's from then on, and `Heir` says so, for as long as anybody
  might have it once more. Should the edge wake up with its caller still there, that call is as
  valid as before, at its place; if it is cut off after all, it leaves none.

Numbers can be spoofed and shared: all that is to be had by that is a better place in a queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.cut_off import CutOff
from edge.acd.ending import UNKNOWN_CALLER
from edge.acd.line import place_of
from edge.acd.places import place_number
from state.keys import Kind
from state.model import CallId, DidNumber, EdgeId, EdgeLife, Entry, Place, Ticket, TicketState
from state.snapshot import Delta, Snapshot

_MOST_NAMED: Final = 8
"""A ticket names no more calls: so many of one number have had bad luck, or share it."""
_Number = tuple[str, DidNumber]
"""Who calls, and what they have dialled."""
_COMING: Final = frozenset({TicketState.GREETING, TicketState.QUEUED})
_WAITING: Final = _COMING | {TicketState.OFFERED}
_NOBODY: Final = frozenset({"", UNKNOWN_CALLER})


Left: TypeAlias = Entry[Ticket] | Entry[Place]
"""What is left behind: a ticket that stands, or the place of one that has been closed."""


class Earlier(Struct, frozen=True, kw_only=True):
    """What a caller who comes now has of calls that wait at other edges."""

    calls: tuple[CallId, ...] = ()
    """From the same number to the same DID, for `again_of`."""
    left: Entry[Ticket] | None = None
    """The one at whose place they would stand."""
    lost: CutOff | None = None
    """The one in which they were cut off in talk."""


class _Known(NamedTuple):
    """A call of some number: by what it is served, and whether it talks by now."""

    place: int
    call: CallId
    talks: bool


class Numbers:
    """The calls that wait, or talk, at other edges than `edge`, by number and DID."""

    def __init__(self, edge: EdgeId) -> None:
        self._edge = edge
        self._calls: dict[_Number, dict[CallId, _Known]] = {}
        self._number_of: dict[CallId, _Number] = {}

    def take(self, deltas: Iterable[Delta]) -> None:
        """Take in what has changed."""
        for delta in deltas:
            if delta.kind is not Kind.TICKET:
                continue
            call = CallId(delta.id)
            number = self._number_of.pop(call, None)
            if number is not None:
                calls = self._calls[number]
                del calls[call]
                if not calls:
                    del self._calls[number]
            entry = delta.after
            ticket = None if entry is None else entry.value
            if entry is not None and isinstance(ticket, Ticket) and self._may_come_again(ticket):
                number = self._number_of[call] = (ticket.caller, ticket.did)
                place = entry.create_revision if ticket.place is None else ticket.place
                known = _Known(place, call, ticket.state is TicketState.CONNECTED)
                self._calls.setdefault(number, {})[call] = known

    def waiting(self, caller: str, did: DidNumber) -> tuple[CallId, ...]:
        """Return those of a number that wait, who stands first first."""
        calls = self._calls.get((caller, did))
        if calls is None:
            return ()
        return tuple(each.call for each in sorted(calls.values()) if not each.talks)[:_MOST_NAMED]

    def talking(self, caller: str, did: DidNumber) -> tuple[CallId, ...]:
        """Return those of a number that talk."""
        calls = self._calls.get((caller, did))
        return () if calls is None else tuple(each.call for each in calls.values() if each.talks)

    def _may_come_again(self, ticket: Ticket) -> bool:
        # Whom we call back does not wait on the telephone; who talks is there, whoever called whom.
        is_there = ticket.callback_of is None or ticket.state is TicketState.CONNECTED
        return ticket.holder != self._edge and is_there and ticket.caller not in _NOBODY


def heirs(snapshot: Snapshot, silent: frozenset[EdgeId]) -> Mapping[CallId, CallId]:
    """Return whose place each heir has. `silent`: the edges that are said to be."""
    come = [call for call, entry in snapshot.tickets.items() if entry.value.again_of]
    if not come:
        return {}
    found = Heirs()
    found.look(snapshot, silent, come)
    return found.places


def at_their_places(snapshot: Snapshot, places: Mapping[CallId, CallId]) -> Snapshot:
    """Return the snapshot as the line is to see it: with heirs at the places that they have."""
    if not places:
        return snapshot
    changed = {heir: standing_as(snapshot, heir, places) for heir in places}
    return replace(snapshot, tickets=snapshot.tickets.update(changed))


def standing_as(snapshot: Snapshot, call: CallId, places: Mapping[CallId, CallId]) -> Entry[Ticket]:
    """Return a call's ticket as the line is to see it."""
    entry, named = snapshot.tickets[call], places.get(call)
    left = None if named is None else left_behind(snapshot, named)
    if left is None:
        return entry
    return replace(entry, value=inheriting(entry.value, left, entry.seen_s))


def left_behind(snapshot: Snapshot, call: CallId) -> Left | None:
    """Return what there is of a call at whose place somebody stands; None: nothing any more."""
    ticket = snapshot.tickets.get(call)
    return snapshot.places.get(call) if ticket is None else ticket


def inheriting(ticket: Ticket, left: Left, told_s: float) -> Ticket:
    """Return an heir's ticket with the place that was left behind, and what was waited there.

    That goes on from when the old ticket was written, which waits since without a word; the heir's
    own wait is part of it. A place says what was waited when its call was closed. `told_s`: the
    monotonic instant at which the heir's was told.
    """
    if isinstance(left.value, Place):
        waited_s = ticket.waited_s + left.value.waited_s
        return replace(ticket, place=_place_of(left), waited_s=waited_s)
    is_greeted = left.value.state is TicketState.GREETING
    since_s = 0.0 if is_greeted else told_s - left.seen_s
    waited_s = left.value.waited_s + max(ticket.waited_s, since_s)
    return replace(ticket, place=_place_of(left), waited_s=waited_s)


def left_places(snapshot: Snapshot) -> Iterable[Entry[Place]]:
    """Return the places of lost calls that nobody has had.

    Who was told that they will be called back is, whoever has come from their number before.
    """
    if not snapshot.heirs:
        return snapshot.places.values()
    return [each for each in snapshot.places.values() if not is_had(snapshot, each)]


def is_had(snapshot: Snapshot, place: Entry[Place]) -> bool:
    """Tell whether an heir has had the place of a lost call."""
    return place.value.call in snapshot.heirs and not place.value.was_sent_away


class Heirs:
    """Keeps up to date who has whose place, touching those only whom a change concerns."""

    def __init__(self) -> None:
        self.places: Mapping[CallId, CallId] = {}
        """Whose place each heir has."""
        self._silent: frozenset[EdgeId] = frozenset()
        self._edges: Mapping[EdgeId, Entry[EdgeLife]] | None = None
        self._come: dict[CallId, Sequence[CallId]] = {}
        """Who has come again, and the calls that each of them names."""
        self._named: Counter[CallId] = Counter()

    def look(
        self, snapshot: Snapshot, silent: frozenset[EdgeId], changed: Collection[str]
    ) -> Collection[CallId]:
        """Return the calls that stand elsewhere than before.

        `changed`: all whose tickets, places or `Heir`s, have since the last look.
        """
        is_other = silent != self._silent or snapshot.edges is not self._edges
        self._silent, self._edges = silent, snapshot.edges
        concerned = [call for call in changed if self._note(snapshot, CallId(call))]
        if not concerned and not is_other:
            return ()
        before, found = self.places, self._paired(snapshot)
        self.places = found
        moved = {call for call, left in before.items() if found.get(call) != left}
        return moved | {
            call for call, left in found.items() if before.get(call) != left or left in changed
        }

    def left_of(self, snapshot: Snapshot, calls: Iterable[CallId]) -> Entry[Ticket] | None:
        """Return the best of these that is left behind and has no heir, as of the last look.

        Of those whose tickets stand: a place that a closed one has left is looked for by number.
        """
        had = frozenset(self.places.values())
        left = self._left(snapshot, calls, had)
        tickets = (each for each in left if not isinstance(each.value, Place))
        return min(tickets, key=_standing_of, default=None)

    # ---- parts

    def _note(self, snapshot: Snapshot, call: CallId) -> bool:
        """Note what a call has become; tell whether that may change who has whose place."""
        concerns = call in self._named
        for name in self._come.pop(call, ()):
            concerns = True
            self._named[name] -= 1
            if not self._named[name]:
                del self._named[name]
        entry = snapshot.tickets.get(call)
        if entry is not None and _may_inherit(entry.value):
            concerns = True
            self._come[call] = entry.value.again_of
            self._named.update(entry.value.again_of)
        return concerns

    def _paired(self, snapshot: Snapshot) -> dict[CallId, CallId]:
        entries = (snapshot.tickets.get(call) for call in self._come)
        come = [each for each in entries if each is not None and not self._is_away(each)]
        found: dict[CallId, CallId] = {}
        had = set[CallId]()
        for heir in sorted(come, key=_came):
            older = [
                each
                for each in self._left(snapshot, heir.value.again_of, had)
                if _came_before(each, heir)
            ]
            left = min(older, key=_standing_of, default=None)
            if left is not None:
                found[heir.value.call] = left.value.call
                had.add(left.value.call)
        return found

    def _left(
        self, snapshot: Snapshot, calls: Iterable[CallId], had: Collection[CallId]
    ) -> Iterable[Left]:
        for call in calls:
            left = left_behind(snapshot, call)
            if left is None or call in had or call in snapshot.heirs:
                continue
            if _is_a_waiters(left) if isinstance(left.value, Place) else self._is_waiting(left):
                yield left

    def _is_waiting(self, ticket: Entry[Ticket]) -> bool:
        return self._is_away(ticket) and ticket.value.state in _WAITING

    def _is_away(self, entry: Entry[Ticket]) -> bool:
        holder = entry.value.holder
        return holder in self._silent or self._edges is None or holder not in self._edges


def _may_inherit(ticket: Ticket) -> bool:
    return bool(ticket.again_of) and ticket.state in _COMING and ticket.place is None


def _came(entry: Entry[Ticket]) -> tuple[int, CallId]:
    return (entry.create_revision, entry.value.call)


def _came_before(left: Left, heir: Entry[Ticket]) -> bool:
    # A place is written when its call is closed, which an heir has named as it waited.
    return isinstance(left.value, Place) or _came(left) < _came(heir)


def _is_a_waiters(place: Entry[Place]) -> bool:
    """Tell whether somebody has left a place who waited, and was neither sent away nor talked."""
    return not place.value.was_sent_away and place.value.prefers is None


def _place_of(left: Left) -> int:
    return place_number(left) if isinstance(left.value, Place) else place_of(left)


def _standing_of(left: Left) -> tuple[int, CallId]:
    return (_place_of(left), left.value.call)
