"""Gives callers who were cut off while waiting, and come again, the place that they had.

By calling number and DID, each place once. Numbers can be spoofed and shared: all that is to be had
by that is a better place in a queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog

from edge.acd.cut_off import same_agent
from edge.acd.ending import UNKNOWN_CALLER
from edge.acd.heirs import left_places
from edge.acd.places import place_given_back, place_number, places_settled
from edge.acd.plan import Held, Plan
from edge.calls.records import CallRecords, Landed
from state.model import CallId, DidNumber, Entry, Now, Place, TicketState
from state.snapshot import Snapshot
from state.wake import Wake

log = structlog.get_logger()


class PlacedCall(Protocol):
    """What is needed of a call that waits here."""

    id: CallId
    records: CallRecords


def place_lost(places: Iterable[Entry[Place]], caller: str, did: DidNumber) -> Entry[Place] | None:
    """Return the best place that a caller to this DID has lost, or None."""
    return next(iter(places_of(places, caller, did)), None)


def places_of(
    places: Iterable[Entry[Place]], caller: str, did: DidNumber
) -> Sequence[Entry[Place]]:
    """Return the places that a caller to this DID has lost, the best first."""
    if caller in {"", UNKNOWN_CALLER}:
        return ()
    lost = [each for each in places if (each.value.caller, each.value.did) == (caller, did)]
    return sorted(lost, key=place_number)


class PlaceGiver:
    """Looks, whenever it is woken, for callers here who have a place to get back.

    Or had one, and talk by the time their old call leaves it, or their callback makes room.
    """

    def __init__(
        self, *, snapshot: Callable[[], Snapshot], calls: Callable[[], Sequence[PlacedCall]]
    ) -> None:
        self._snapshot = snapshot
        self._calls = calls
        self._wake = Wake()

    def wake(self) -> None:
        """Look again: a place has been lost, or somebody has come."""
        self._wake.set()

    async def run(self) -> None:
        """Give places back until cancelled."""
        while True:
            await self._wake.wait()
            numbers = {(p.value.caller, p.value.did) for p in left_places(self._snapshot())}
            for call in self._calls() if numbers else ():
                held = call.records.held
                if held is not None and _number_of(held) in numbers:
                    await self._give(call)

    async def _give(self, call: PlacedCall) -> None:
        held = call.records.held
        if held is None:
            return
        if _has_talked(held):
            await self._settle(call, held)
        if not _may_have_one(held):
            return
        ticket = held.ticket.value
        snapshot = self._snapshot()
        lost, *others = places_of(left_places(snapshot), ticket.caller, ticket.did) or (None,)
        if lost is None or lost.value.call == call.id:
            return
        # Who has come need not be called back; a place that only waits for them is another's, if
        # several call from one number.
        due = [each for each in others if each is not None and each.value.due_s is not None]

        def make(now_held: Held | None, at: Now) -> Plan | None:
            if now_held is None or not _may_have_one(now_held):
                return None
            prefers = same_agent(snapshot, lost.value.prefers, ticket.queue, at)
            return place_given_back(now_held, lost, at, prefers=prefers, others=due)

        # Not worth waiting for: while the store is away nobody is served by the order of the queue.
        written = await call.records.write(make, wait=False)
        if isinstance(written, Landed):
            log.info("place_given_back", call=call.id, lost=lost.value.call)

    async def _settle(self, call: PlacedCall, held: Held) -> None:
        """Take away what the call in which this caller was cut off has left since.

        And whatever they would be called back for: they have come and are being served.
        """
        ticket = held.ticket.value
        lost = [
            each
            for each in places_of(left_places(self._snapshot()), *_number_of(held))
            if each.value.call == ticket.cut_off_of
            or (each.value.due_s is not None and ticket.state is TicketState.CONNECTED)
        ]
        if not lost:
            return

        def make(now_held: Held | None, at: Now) -> Plan | None:
            if now_held is None or not _has_talked(now_held):
                return None
            return places_settled(now_held, lost, at)

        written = await call.records.write(make, wait=False)
        if isinstance(written, Landed):
            log.info("places_settled", call=call.id, lost=[each.value.call for each in lost])


def _number_of(held: Held) -> tuple[str, DidNumber]:
    ticket = held.ticket.value
    return ticket.caller, ticket.did


def _has_talked(held: Held) -> bool:
    """Tell whether somebody has talked with an agent."""
    return held.ticket.value.connected_ms is not None


def _may_have_one(held: Held) -> bool:
    ticket = held.ticket.value
    return held.given is None and ticket.place is None and ticket.state.is_waiting
