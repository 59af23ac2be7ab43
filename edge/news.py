"""Who hears of what has changed in the shared state."""

from __future__ import annotations

from dataclasses import dataclass

from edge.calls.callbacks import Callbacks
from edge.calls.places import PlaceGiver
from edge.calls.recording_wishes import RecordingWishes
from edge.calls.switchboard import Switchboard
from edge.calls.transfer_wishes import TransferWishes
from edge.duties.presence import PresenceKeeper
from edge.duties.steward import Steward
from edge.reserve import Reserver
from state.keys import Kind
from state.snapshot import Delta, Snapshot

_DECIDING = frozenset(
    {
        Kind.TICKET,
        Kind.OFFER,
        Kind.WORK,
        Kind.PRESENCE,
        Kind.EDGE,
        Kind.AGENT,
        Kind.QUEUE,
        Kind.SITE,
        Kind.PROBE,
    }
)
_OF_PLACES = frozenset({Kind.PLACE, Kind.TICKET})


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """The parts of an edge that are told."""

    reserver: Reserver
    places: PlaceGiver
    keeper: PresenceKeeper
    steward: Steward
    switchboard: Switchboard
    callbacks: Callbacks
    recording_wishes: RecordingWishes
    transfer_wishes: TransferWishes

    def take(self, snapshot: Snapshot, deltas: tuple[Delta, ...]) -> None:
        """Tell each what concerns it."""
        kinds = {delta.kind for delta in deltas}
        self.reserver.take(snapshot, deltas)
        if kinds & _DECIDING:
            self.reserver.wake()
        if snapshot.places and kinds & _OF_PLACES:
            self.places.wake()
        self.keeper.take(deltas)
        self.recording_wishes.take(kinds)
        self.transfer_wishes.take(kinds)
        self.steward.take(kinds)
        for delta in deltas:
            self.switchboard.take_delta(delta)
            self.callbacks.take_delta(delta)
