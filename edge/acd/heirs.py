"""Who stands in for whom: callers who have come again while their old edge cannot act. PURE.

A caller whose edge has died dials again, and another edge takes them. Their old ticket is closed
when the lease has run out, and leaves its place to them then (`edge.calls.places`). Until then the
callers of the dead edge are passed over (`edge.acd.silence`), and whoever came after them is given
agents: so whoever comes again is to stand where they stood, from the same moment on.

The laws:

- A ticket is *left behind* while its caller waits for an agent and its holder is silent, by what is
  `asked` of the match, or is not alive by the snapshot. Its *heir* is a caller from the same number
  to the same DID who came later to an edge that is neither, waits, and has no place but their own.
- Each ticket that is left behind has one heir, each heir one such ticket: who came again first has
  the best place. By the snapshot and the silent edges alone, so all who know them say the same.
- An heir stands in the line as if they had the place already, and had waited as long before. Who is
  left behind stands in nobody's line but their own edge's. So no place counts twice.
- The first sign of life of the edge ends that: each of the two stands at their own place again.
- It is written down with the agent whom the heir is given (`edge.acd.granting`), over the old
  ticket as it was: the place is the heir's from then on, and `Heir` says so, for as long as anybody
  might have it once more. Should the edge wake up with its caller still there, that call is as
  valid as before, at its place; if it is cut off after all, it leaves none.

Numbers can be spoofed and shared: all that is to be had by that is a better place in a queue.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from edge.acd.ending import UNKNOWN_CALLER
from edge.acd.line import place_of, standing_of
from state.model import CallId, DidNumber, EdgeId, EdgeLife, Entry, Place, Ticket, TicketState
from state.snapshot import Snapshot

_Number = tuple[str, DidNumber]
"""Who calls, and what they have dialled."""
_COMING: Final = frozenset({TicketState.GREETING, TicketState.QUEUED})
_WAITING: Final = _COMING | {TicketState.OFFERED}
_NOBODY: Final = frozenset({"", UNKNOWN_CALLER})


def heirs(snapshot: Snapshot, silent: frozenset[EdgeId]) -> Mapping[CallId, CallId]:
    """Return whose place each heir has. `silent`: the edges that are said to be."""
    found = Heirs()
    found.look(snapshot, silent, ())
    return found.places


def at_their_places(snapshot: Snapshot, places: Mapping[CallId, CallId]) -> Snapshot:
    """Return the snapshot as the line is to see it: with heirs at the places that they have."""
    if not places:
        return snapshot
    tickets = snapshot.tickets
    changed = {
        heir: replace(tickets[heir], value=inheriting(tickets[heir].value, tickets[left]))
        for heir, left in places.items()
    }
    return replace(snapshot, tickets=tickets.update(changed))


def inheriting(ticket: Ticket, left: Entry[Ticket]) -> Ticket:
    """Return an heir's ticket with the place that was left behind."""
    waited_s = ticket.waited_s + left.value.waited_s
    return replace(ticket, place=place_of(left), waited_s=waited_s)


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
        self._calls: dict[_Number, set[CallId]] = {}
        """All calls of each number of whose some are left behind."""
        self._number_of: dict[CallId, _Number] = {}
        """Of the calls in `_calls`."""

    def look(
        self, snapshot: Snapshot, silent: frozenset[EdgeId], changed: Collection[str]
    ) -> Collection[CallId]:
        """Return the calls that stand elsewhere than before.

        `changed`: all whose tickets, or `Heir`s, have since the last look.
        """
        if silent != self._silent or snapshot.edges is not self._edges:
            self._silent, self._edges = silent, snapshot.edges
            return self._look_at_all(snapshot, changed)
        numbers = self._touched(snapshot, changed)
        if numbers is None:
            return self._look_at_all(snapshot, changed)
        if not numbers:
            return ()
        found = {
            heir: left
            for heir, left in self.places.items()
            if (number := self._number_of.get(heir)) is not None and number not in numbers
        }
        for number in numbers:
            found.update(self._paired(snapshot, number))
            if not any(map(self._is_left, self._entries(snapshot, number))):
                for call in list(self._calls[number]):
                    self._forget(call)
                del self._calls[number]
        return self._take(found, changed)

    def left_for(self, snapshot: Snapshot, caller: str, did: DidNumber) -> Entry[Ticket] | None:
        """Return the best that is left behind of a number without an heir; as of the last look."""
        if (caller, did) not in self._calls:
            return None
        had = frozenset(self.places.values())
        left = filter(self._is_left, self._entries(snapshot, (caller, did)))
        free = [each for each in self._unclaimed(snapshot, left) if each.value.call not in had]
        return min(free, key=standing_of, default=None)

    # ---- parts

    def _touched(self, snapshot: Snapshot, changed: Iterable[str]) -> set[_Number] | None:
        """Note what has become of calls; return their numbers; None: more are left behind."""
        numbers: set[_Number] = set()
        for each in changed:
            call = CallId(each)
            before = self._forget(call)
            if before is not None:
                numbers.add(before)
            entry = snapshot.tickets.get(call)
            if entry is None:
                continue
            number = (entry.value.caller, entry.value.did)
            if number in self._calls:
                self._calls[number].add(call)
                self._number_of[call] = number
                numbers.add(number)
            elif self._is_left(entry):
                return None
        return numbers

    def _look_at_all(self, snapshot: Snapshot, changed: Collection[str]) -> Collection[CallId]:
        self._calls, self._number_of = {}, {}
        tickets = snapshot.tickets
        for each in tickets.values():
            if self._is_left(each):
                self._calls[each.value.caller, each.value.did] = set()
        found: dict[CallId, CallId] = {}
        if self._calls:
            for call, entry in tickets.items():
                number = (entry.value.caller, entry.value.did)
                if number in self._calls:
                    self._calls[number].add(call)
                    self._number_of[call] = number
            for number in self._calls:
                found.update(self._paired(snapshot, number))
        return self._take(found, changed)

    def _take(self, found: Mapping[CallId, CallId], changed: Collection[str]) -> Collection[CallId]:
        before, self.places = self.places, found
        moved = {call for call, left in before.items() if found.get(call) != left}
        return moved | {
            call for call, left in found.items() if before.get(call) != left or left in changed
        }

    def _forget(self, call: CallId) -> _Number | None:
        number = self._number_of.pop(call, None)
        if number is not None:
            self._calls[number].discard(call)
        return number

    def _paired(self, snapshot: Snapshot, number: _Number) -> Iterable[tuple[CallId, CallId]]:
        entries = self._entries(snapshot, number)
        left = sorted(self._unclaimed(snapshot, filter(self._is_left, entries)), key=standing_of)
        come = sorted(filter(self._may_inherit, entries), key=_came)
        for heir in come:
            best = next((each for each in left if _came(each) < _came(heir)), None)
            if best is not None:
                left.remove(best)
                yield heir.value.call, best.value.call

    def _entries(self, snapshot: Snapshot, number: _Number) -> list[Entry[Ticket]]:
        found = (snapshot.tickets.get(call) for call in self._calls[number])
        return [each for each in found if each is not None]

    @staticmethod
    def _unclaimed(snapshot: Snapshot, left: Iterable[Entry[Ticket]]) -> list[Entry[Ticket]]:
        return [each for each in left if each.value.call not in snapshot.heirs]

    def _is_left(self, entry: Entry[Ticket]) -> bool:
        ticket = entry.value
        return (
            self._is_away(ticket.holder)
            and ticket.state in _WAITING
            and ticket.callback_of is None
            and ticket.caller not in _NOBODY
        )

    def _may_inherit(self, entry: Entry[Ticket]) -> bool:
        ticket = entry.value
        return (
            not self._is_away(ticket.holder)
            and ticket.state in _COMING
            and ticket.place is None
            and ticket.callback_of is None
        )

    def _is_away(self, edge: EdgeId) -> bool:
        return edge in self._silent or self._edges is None or edge not in self._edges


def _came(entry: Entry[Ticket]) -> tuple[int, CallId]:
    return (entry.create_revision, entry.value.call)
