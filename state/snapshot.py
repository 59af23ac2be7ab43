"""The whole of `/everline/state/` at one revision, as a frozen value. PURE.

A snapshot shares its parts with the one before it, so keeping an old one costs little. It holds
each key twice: as it came (`raw`, for saving, comparing and healing) and decoded. A record that
cannot be decoded stands in `bad` with the reason and in no other map; it harms nobody but itself.

An agent who was moved (`moves`) stands in `agents` at the site where they are, and whoever asks for
an agent's home need not know of it. Only `raw` has where they are configured to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from immutables import Map
from msgspec import Struct, field, structs

from state.codec import Record, decode_at
from state.discreet import Discreet
from state.errors import BadKeyError, CodecError
from state.keys import Kind, build, parse
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
from state.raw import Change, KeyValue


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


class Delta(Struct, frozen=True, kw_only=True):
    """What a change did to one record, decoded. Keys that are none of ours make no delta."""

    kind: Kind
    id: str
    before: Entry[Record] | None
    """None: it was absent, or could not be read."""
    after: Entry[Record] | None
    """None: it is gone, or cannot be read."""


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
stands beside it (`Kind.CODED`), is in none."""


def apply(snapshot: Snapshot, changes: Iterable[Change], revision: int, seen_s: float) -> Snapshot:
    """Return the snapshot after `changes`, complete up to `revision`. See `step`."""
    return step(snapshot, changes, revision, seen_s)[0]


def step(
    snapshot: Snapshot, changes: Iterable[Change], revision: int, seen_s: float
) -> tuple[Snapshot, tuple[Delta, ...]]:
    """Return the snapshot after `changes`, and what they did, in their order.

    `seen_s` is this process's monotonic time. A change that is not newer than what the snapshot
    holds of its key is skipped, so playing the same changes twice does nothing.
    """
    builder = _Builder(snapshot, seen_s)
    for change in changes:
        builder.take(change)
    return builder.finish(max(revision, snapshot.revision))


def mended(
    snapshot: Snapshot, records: Iterable[KeyValue], gone: Iterable[str], seen_s: float
) -> tuple[Snapshot, tuple[Delta, ...]]:
    """Return the snapshot with `records`, and without the keys `gone`, of which a watch lost it.

    And what that changes.
    """
    builder = _Builder(snapshot, seen_s)
    for record in records:
        builder.put(record)
    for key in gone:
        builder.drop(key)
    return builder.finish(snapshot.revision)


class Replacing:
    """A snapshot that is being made of a listing, piece by piece: of a large one nobody waits.

    The snapshot before must stay the current one until it is whole.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._old = snapshot
        self._builder = _Builder(snapshot, 0.0)
        self.listed: dict[str, int] = {}
        """The mod_revision of each key so far."""

    def take(self, records: Iterable[KeyValue], seen_s: float) -> None:
        """Take in a piece of the listing, seen at this process's monotonic time.

        Records that are the same keep their entries, `seen_s` included; the others are `is_found`.
        A store that was restored gives the revisions that it had given once more, to other values.
        """
        held_at, put, listed = self._old.raw.get, self._builder.put, self.listed
        for record in records:
            listed[record.key] = record.mod_revision
            held = held_at(record.key)
            if (
                held is None
                or held.mod_revision != record.mod_revision
                or held.value != record.value
            ):
                put(record, is_found=True, seen_s=seen_s)

    def finish(self, revision: int) -> tuple[Snapshot, tuple[Delta, ...]]:
        """Return the snapshot that holds just what was taken, and what changed against the old."""
        for key in self._old.raw:
            if key not in self.listed:
                self._builder.drop(key)
        return self._builder.finish(revision)


def replace(
    snapshot: Snapshot, listing: Iterable[KeyValue], revision: int, seen_s: float
) -> tuple[Snapshot, tuple[Delta, ...]]:
    """Return the snapshot that holds exactly `listing`, and what changed against the old one.

    As `Replacing` makes it, at one go.
    """
    made = Replacing(snapshot)
    made.take(listing, seen_s)
    return made.finish(revision)


class Restored(Struct, frozen=True, kw_only=True):
    """A record with what an earlier reader knew of it."""

    record: KeyValue
    seen_s: float
    is_found: bool


def restore(rows: Iterable[Restored], revision: int) -> Snapshot:
    """Return the snapshot that an earlier reader had, with what only that one could know."""
    builder = _Builder(Snapshot(), 0.0)
    for row in rows:
        builder.put(row.record, is_found=row.is_found, seen_s=row.seen_s)
    return builder.finish(revision)[0]


def version_of(snapshot: Snapshot) -> int | None:
    """Return the version of the configuration that a snapshot holds, 0 for a file's.

    None: it holds part of one, since the rest is still being written.
    """
    release = snapshot.releases.get("current")
    if release is None:
        return 0
    return release.value.version if release.value.is_whole else None


def configured_site(snapshot: Snapshot, agent: AgentId) -> SiteId:
    """Return where an agent who stands in `agents` is at home when nothing is broken."""
    return _configured(snapshot.raw[build(Kind.AGENT, agent)]).site


def _configured(record: KeyValue) -> Agent:
    """Read an agent's configuration, which has been read before."""
    found = decode_at(record.key, record.value)
    if not isinstance(found, Agent):
        raise TypeError(f"{record.key} holds a {type(found).__name__}")
    return found


def _at_home(entry: Entry[Any], move: Entry[Move] | None) -> Entry[Any]:
    """Return a configured agent at the site that is their home for now."""
    agent = entry.value
    if move is None or move.value.home != agent.site or move.value.site == agent.site:
        return entry
    return structs.replace(entry, value=structs.replace(agent, site=move.value.site))


class _Builder:
    """Makes the next snapshot; opens only the maps that change."""

    def __init__(self, snapshot: Snapshot, seen_s: float) -> None:
        self._old = snapshot
        self._seen_s = seen_s
        # MapMutation is invariant in types that differ from map to map: Any, inside this class
        # alone.
        self._open: dict[str, Any] = {}
        self._deltas: list[Delta] = []

    def take(self, change: Change) -> None:
        """Take one change from a watch, unless it is old news."""
        if change.mod_revision <= self._old.revision:
            return
        held = self._map("raw").get(change.key)
        if held is not None and held.mod_revision >= change.mod_revision:
            return
        if change.value is None:
            self.drop(change.key)
        else:
            self.put(
                KeyValue(
                    key=change.key,
                    value=change.value,
                    create_revision=change.create_revision,
                    mod_revision=change.mod_revision,
                )
            )

    def put(self, record: KeyValue, *, is_found: bool = False, seen_s: float | None = None) -> None:
        """Let `record` stand at its key. `is_found`: it may have stood there for long."""
        self._map("raw")[record.key] = record
        try:
            value = decode_at(record.key, record.value)
        except (BadKeyError, CodecError) as error:
            self._map("bad")[record.key] = str(error)
            self._place(record.key, None)
            return
        self._be_readable(record.key)
        entry = Entry(
            value=value,
            create_revision=record.create_revision,
            mod_revision=record.mod_revision,
            seen_s=self._seen_s if seen_s is None else seen_s,
            is_found=is_found,
        )
        self._place(record.key, entry)

    def drop(self, key: str) -> None:
        """Let nothing stand at `key`."""
        self._map("raw").pop(key, None)
        self._be_readable(key)
        self._place(key, None)

    def finish(self, revision: int) -> tuple[Snapshot, tuple[Delta, ...]]:
        """Close the maps and return the snapshot with what was done."""
        maps = {name: mutation.finish() for name, mutation in self._open.items()}
        after = structs.replace(self._old, revision=revision, **maps)
        return after, tuple(self._deltas)

    def _be_readable(self, key: str) -> None:
        # Nearly always there is nothing that cannot be read: then the map is not opened.
        if self._old.bad or "bad" in self._open:
            self._map("bad").pop(key, None)

    def _place(self, key: str, entry: Entry[Record] | None) -> None:
        """Put the decoded record in its kind's map, and note the delta."""
        try:
            parsed = parse(key)
        except BadKeyError:
            return
        if parsed.kind not in FIELDS:
            return
        if parsed.kind is Kind.AGENT and entry is not None:
            entry = _at_home(entry, self._map("moves").get(parsed.id))
        self._stand(parsed.kind, parsed.id, entry)
        if parsed.kind is Kind.MOVE:
            self._go_home(AgentId(parsed.id))

    def _go_home(self, agent: AgentId) -> None:
        """Let an agent stand at the site that is their home after their move has changed."""
        held = self._map("agents").get(agent)
        if held is None:
            return
        configured = _configured(self._map("raw")[build(Kind.AGENT, agent)])
        entry = structs.replace(held, value=configured)
        entry = _at_home(entry, self._map("moves").get(agent))
        if entry.value.site != held.value.site:
            self._stand(Kind.AGENT, agent, entry)

    def _stand(self, kind: Kind, identifier: str, entry: Entry[Record] | None) -> None:
        records = self._map(FIELDS[kind])
        if entry is None:
            before = records.pop(identifier, None)
            if before is None:
                return
        else:
            before = records.get(identifier)
            records[identifier] = entry
        if kind is Kind.TICKET:
            self._note_calling(CallId(identifier), before, entry)
        self._deltas.append(Delta(kind=kind, id=identifier, before=before, after=entry))

    def _note_calling(
        self, call: CallId, before: Entry[Any] | None, after: Entry[Any] | None
    ) -> None:
        """Note who calls from their own telephone now, and who does not any more."""
        was = None if before is None else before.value.by
        by = None if after is None else after.value.by
        if was == by:
            return
        calling = self._map("calling")
        if was is not None and (left := calling.pop(was) - {call}):
            calling[was] = left
        if by is not None:
            calling[by] = calling.get(by, frozenset()) | {call}

    def _map(self, name: str) -> Any:  # noqa: ANN401 - see __init__
        mutation = self._open.get(name)
        if mutation is None:
            mutation = self._open[name] = getattr(self._old, name).mutate()
        return mutation


Listener = Callable[[Snapshot, tuple[Delta, ...]], None]
"""Is told of a new snapshot and of what made it new."""
