"""The whole of `/everline/state/` at one revision. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from immutables import Map
from msgspec import field

from state.discreet import Discreet
from state.keys import Kind
from state.model import (
    Agent,
    AgentId,
    Barred,
    Calendar,
    CalendarId,
    CallId,
    Claim,
    Clearance,
    Contingency,
    Did,
    DidNumber,
    EdgeId,
    EdgeLife,
    Entry,
    Heir,
    Move,
    Offer,
    PauseCode,
    Place,
    Presence,
    Probe,
    Queue,
    QueueId,
    RecordingStatus,
    RecordingWish,
    Release,
    Rest,
    Site,
    SiteId,
    Ticket,
    TransferStatus,
    TransferWish,
    Trunk,
    TrunkId,
    Unreplicated,
    Wish,
    Work,
    WrapUpCode,
)
from state.raw import KeyValue


class Snapshot(Discreet, frozen=True, kw_only=True):
    """Everything that every edge knows, at one revision."""

    UNTOLD: ClassVar = frozenset({"raw"})

    revision: int = 0
    """No change up to and including this one is missing, unless the store lost it."""
    sites: Map[SiteId, Entry[Site]] = field(default_factory=Map)
    trunks: Map[TrunkId, Entry[Trunk]] = field(default_factory=Map)
    dids: Map[DidNumber, Entry[Did]] = field(default_factory=Map)
    queues: Map[QueueId, Entry[Queue]] = field(default_factory=Map)
    agents: Map[AgentId, Entry[Agent]] = field(default_factory=Map)
    calendars: Map[CalendarId, Entry[Calendar]] = field(default_factory=Map)
    pause_codes: Map[str, Entry[PauseCode]] = field(default_factory=Map)
    wrap_up_codes: Map[str, Entry[WrapUpCode]] = field(default_factory=Map)
    contingencies: Map[str, Entry[Contingency]] = field(default_factory=Map)
    releases: Map[str, Entry[Release]] = field(default_factory=Map)
    wishes: Map[AgentId, Entry[Wish]] = field(default_factory=Map)
    rests: Map[AgentId, Entry[Rest]] = field(default_factory=Map)
    presences: Map[AgentId, Entry[Presence]] = field(default_factory=Map)
    moves: Map[AgentId, Entry[Move]] = field(default_factory=Map)
    edges: Map[EdgeId, Entry[EdgeLife]] = field(default_factory=Map)
    probes: Map[EdgeId, Entry[Probe]] = field(default_factory=Map)
    barred: Map[AgentId, Entry[Barred]] = field(default_factory=Map)
    unreplicated: Map[SiteId, Entry[Unreplicated]] = field(default_factory=Map)
    tickets: Map[CallId, Entry[Ticket]] = field(default_factory=Map)
    places: Map[CallId, Entry[Place]] = field(default_factory=Map)
    clearances: Map[CallId, Entry[Clearance]] = field(default_factory=Map)
    heirs: Map[CallId, Entry[Heir]] = field(default_factory=Map)
    claims: Map[CallId, Entry[Claim]] = field(default_factory=Map)
    recording_wishes: Map[CallId, Entry[RecordingWish]] = field(default_factory=Map)
    recordings: Map[CallId, Entry[RecordingStatus]] = field(default_factory=Map)
    transfer_wishes: Map[CallId, Entry[TransferWish]] = field(default_factory=Map)
    transfers: Map[CallId, Entry[TransferStatus]] = field(default_factory=Map)
    offers: Map[AgentId, Entry[Offer]] = field(default_factory=Map)
    works: Map[AgentId, Entry[Work]] = field(default_factory=Map)
    calling: Map[AgentId, frozenset[CallId]] = field(default_factory=Map)
    """Agents who call from their own telephones, by what the tickets say: no record of its own."""
    bad: Map[str, str] = field(default_factory=Map)
    """Key -> why it cannot be read and what to do."""
    raw: Map[str, KeyValue] = field(default_factory=Map)


FIELDS: Final[Mapping[Kind, str]] = {
    Kind.SITE: "sites",
    Kind.TRUNK: "trunks",
    Kind.DID: "dids",
    Kind.QUEUE: "queues",
    Kind.AGENT: "agents",
    Kind.CALENDAR: "calendars",
    Kind.PAUSE_CODE: "pause_codes",
    Kind.WRAP_UP_CODE: "wrap_up_codes",
    Kind.CONTINGENCY: "contingencies",
    Kind.RELEASE: "releases",
    Kind.WISH: "wishes",
    Kind.REST: "rests",
    Kind.PRESENCE: "presences",
    Kind.MOVE: "moves",
    Kind.EDGE: "edges",
    Kind.PROBE: "probes",
    Kind.BARRED: "barred",
    Kind.UNREPLICATED: "unreplicated",
    Kind.TICKET: "tickets",
    Kind.PLACE: "places",
    Kind.CLEARANCE: "clearances",
    Kind.HEIR: "heirs",
    Kind.CLAIM: "claims",
    Kind.RECORDING_WISH: "recording_wishes",
    Kind.RECORDING: "recordings",
    Kind.TRANSFER_WISH: "transfer_wishes",
    Kind.TRANSFER: "transfers",
    Kind.OFFER: "offers",
    Kind.WORK: "works",
}
"""Which map of a snapshot holds the records of a kind. The ledger (`Kind.ENDED`), and what
stands beside it (`Kind.CODED`, `Kind.RESTED`), is in none."""


def version_of(snapshot: Snapshot) -> int | None:
    """Return the version of the configuration that a snapshot holds, 0 for a file's.

    None: it holds part of one, since the rest is still being written.
    """
    release = snapshot.releases.get("current")
    if release is None:
        return 0
    return release.value.version if release.value.is_whole else None
