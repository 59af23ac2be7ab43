"""On what copy of the state a site begins to serve alone. PURE.

It is the mirror's, which may be behind, or have lost what its watch should have told. What stands
in the store of its own calls an edge knows better, by the store's answers; and whatever such a call
writes next compares that. Whatever else the store has answered is part of the copy, too; and of a
call that an edge does not hold any more, nothing is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from edge.acd.merged_places import Ranks, ranked
from edge.acd.plan import Held, put_offer, put_ticket
from state import keys
from state.codec import decode
from state.keys import call_of_ended
from state.model import CallId, Entry, Offer, Ticket
from state.overlay import ALONE_FROM, Revisions
from state.raw import Change, KeyValue
from state.snapshot import Delta, Snapshot, mended, step
from state.store import Delete, Exists, Operation, Put

Landed = tuple[int, Sequence[Operation]]
"""What this edge has written, and at which revision."""


class Read(Struct, frozen=True, kw_only=True):
    """What the store has said of a key."""

    key: str
    record: KeyValue | None
    """None: nothing stood there."""
    revision: int
    """The store's as it said so."""


def unless_given_anew(success: Iterable[Operation]) -> Iterator[Exists]:
    """Yield conditions by which nobody is given to a call on the copy by a token of the store.

    A reservation, or a transfer, whose outcome was unknown is asked for again when the site is
    alone already. Its token's number would be the copy's, which no gate reads as one.
    """
    for each in success:
        if isinstance(each, Put) and each.key.startswith(keys.OFFER):
            offer = decode(Offer, each.value, each.key)
            if offer.granted is None:
                yield Exists(key=each.key)


def unseen_of(snapshot: Snapshot, landed: Landed) -> Landed | None:
    """Return of own writes those in whose place a snapshot still shows what stood there before.

    None: it shows all of them, or what came later. Asked of one that has come to their revision:
    what it does not show then a watch has lost.
    """
    revision, operations = landed
    unseen = [each for each in operations if _is_unseen(snapshot, each, revision)]
    return (revision, unseen) if any(_is_shown_before(snapshot, each) for each in unseen) else None


def _is_unseen(snapshot: Snapshot, operation: Operation, revision: int) -> bool:
    if not isinstance(operation, Put | Delete) or not operation.key.startswith(keys.STATE):
        return False
    shown = snapshot.raw.get(operation.key)
    if shown is not None:
        return shown.mod_revision < revision
    # What is not there may have been deleted since; what agents have done never is.
    return isinstance(operation, Put) and operation.key.startswith(keys.WORK)


def _is_shown_before(snapshot: Snapshot, operation: Operation) -> bool:
    return isinstance(operation, Put | Delete) and operation.key in snapshot.raw


def with_unseen(
    snapshot: Snapshot, unseen: Iterable[Landed], now_s: float
) -> tuple[Snapshot, list[Delta]]:
    """Return a snapshot with own writes that a watch has lost, and what they change."""
    deltas: list[Delta] = []
    for revision, operations in sorted(unseen, key=lambda each: each[0]):
        due = [each for each in operations if _is_unseen(snapshot, each, revision)]
        records = [
            KeyValue(
                key=each.key,
                value=each.value,
                create_revision=_created(snapshot, each.key, revision),
                mod_revision=revision,
            )
            for each in due
            if isinstance(each, Put)
        ]
        gone = [each.key for each in due if isinstance(each, Delete)]
        snapshot, new = mended(snapshot, records, gone, now_s)
        deltas += new
    return snapshot, deltas


def with_landed(
    snapshot: Snapshot, landed: Iterable[Landed], now_s: float
) -> tuple[Snapshot, list[Delta]]:
    """Return a snapshot with own writes that it does not show yet, and what they change."""
    deltas: list[Delta] = []
    for revision, operations in landed:
        changes = [
            Change(
                key=each.key,
                value=each.value if isinstance(each, Put) else None,
                create_revision=_created(snapshot, each.key, revision),
                mod_revision=revision,
            )
            for each in operations
            if isinstance(each, Put | Delete) and each.key.startswith(keys.STATE)
        ]
        snapshot, new = step(snapshot, changes, snapshot.revision, now_s)
        deltas += new
    return snapshot, deltas


def reads_of(key: str, record: KeyValue | None, revision: int) -> Iterator[Read]:
    """Yield what an answer of the store says of the state. `revision`: the store's, as it gave it.

    Where a call has its record, it has no ticket: who writes the one deletes the other.
    """
    if key.startswith(keys.STATE):
        yield Read(key=key, record=record, revision=revision)
    elif key.startswith(keys.ENDED) and record is not None:
        yield Read(key=keys.ticket(call_of_ended(key)), record=None, revision=revision)


def is_told_by(snapshot: Snapshot, read: Read) -> bool:
    """Tell whether a snapshot shows what was read, or what came after it."""
    return snapshot.revision >= read.revision and not _is_news(snapshot, read)


def _is_news(snapshot: Snapshot, read: Read) -> bool:
    shown = snapshot.raw.get(read.key)
    if read.record is None:
        return shown is not None and shown.mod_revision <= read.revision
    if shown is None:
        return snapshot.revision < read.revision  # else it has been deleted since
    return shown.mod_revision < read.record.mod_revision


def news_in(snapshot: Snapshot, reads: Iterable[Read]) -> Sequence[Change]:
    """Return what was read and a snapshot does not show, as changes.

    A call whose ticket was gone had nobody any more but whom it has been given since.
    """
    reads = tuple(reads)
    news = [_change(each) for each in reads if _is_news(snapshot, each)]
    over = {each.key: each.revision for each in reads if each.record is None}
    for agent, offer in snapshot.offers.items() if over else ():
        at = over.get(keys.ticket(offer.value.call))
        if at is not None and offer.mod_revision <= at:
            news.append(
                Change(key=keys.offer(agent), value=None, create_revision=0, mod_revision=at)
            )
    return news


def _change(read: Read) -> Change:
    found = read.record
    return Change(
        key=read.key,
        value=None if found is None else found.value,
        create_revision=0 if found is None else found.create_revision,
        mod_revision=read.revision if found is None else found.mod_revision,
    )


def with_read(
    snapshot: Snapshot, reads: Iterable[Read], now_s: float
) -> tuple[Snapshot, list[Delta]]:
    """Return a snapshot with what was read and it does not show, and what that changes."""
    news = news_in(snapshot, reads)
    records = [
        KeyValue(
            key=each.key,
            value=each.value,
            create_revision=each.create_revision,
            mod_revision=each.mod_revision,
        )
        for each in news
        if each.value is not None
    ]
    gone = [each.key for each in news if each.value is None]
    if not news:
        return snapshot, []
    snapshot, deltas = mended(snapshot, records, gone, now_s)
    return snapshot, list(deltas)


def with_held(
    snapshot: Snapshot,
    held: Iterable[Held],
    now_s: float,
    *,
    revisions: Revisions,
    ranks: Ranks,
) -> tuple[Snapshot, list[Delta]]:
    """Return a snapshot with what calls hold that it does not show, and what that changes.

    `revisions` and `ranks` are what earlier merges have made of what the calls hold. Of a call
    whose ticket has been written since, whoever did that knows more: it is left as it is shown.
    """
    deltas: list[Delta] = []
    offers = _offers_by_call(snapshot)
    for each in held:
        ticket, *given = _records_of(each, snapshot, revisions, ranks)
        if not _is_own_to_tell(snapshot, ticket):
            continue
        unseen = [record for record in (ticket, *given) if _is_behind(snapshot, record)]
        # Who was given to the call before its ticket was written last, and is not now, is free.
        held_now = {record.key for record in given}
        gone = [
            key
            for key in offers.get(each.ticket.value.call, ())
            if key not in held_now and snapshot.raw[key].mod_revision < ticket.mod_revision
        ]
        if unseen or gone:
            snapshot, new = mended(snapshot, unseen, gone, now_s)
            deltas += new
    return snapshot, deltas


def _offers_by_call(snapshot: Snapshot) -> Mapping[CallId, Sequence[str]]:
    found: defaultdict[CallId, list[str]] = defaultdict(list)
    for agent, offer in snapshot.offers.items():
        found[offer.value.call].append(keys.offer(agent))
    return found


def _records_of(
    held: Held, snapshot: Snapshot, revisions: Revisions, ranks: Ranks
) -> list[KeyValue]:
    """Return the ticket, and then the offers, as the store has them."""
    rank = ranks.get(held.ticket.value.call)
    created = None if rank is None else rank.created
    ticket = ranked(put_ticket(held.ticket.value), ranks)
    return [
        _record(ticket, held.ticket, snapshot, revisions, created),
        *(
            _record(put_offer(each.offer.value), each.offer, snapshot, revisions)
            for each in held.agents
        ),
    ]


def _record(
    put: Operation,
    entry: Entry[Ticket] | Entry[Offer],
    snapshot: Snapshot,
    revisions: Revisions,
    created: int | None = None,
) -> KeyValue:
    """Return what was put. `created`: when, if a merge did that; None: as far as is shown."""
    if not isinstance(put, Put):
        raise TypeError(f"{put} writes nothing")
    stands = revisions.get((put.key, entry.mod_revision), entry.mod_revision)
    if entry.create_revision < ALONE_FROM:
        created = entry.create_revision
    elif created is None:
        created = _created(snapshot, put.key, stands)
    return KeyValue(key=put.key, value=put.value, create_revision=created, mod_revision=stands)


def _is_own_to_tell(snapshot: Snapshot, ticket: KeyValue) -> bool:
    """Tell whether nobody has written the ticket since, and the store has it at all."""
    shown = snapshot.raw.get(ticket.key)
    return ticket.mod_revision < ALONE_FROM and (
        shown is None or shown.mod_revision <= ticket.mod_revision
    )


def _is_behind(snapshot: Snapshot, record: KeyValue) -> bool:
    shown = snapshot.raw.get(record.key)
    is_behind = shown is None or shown.mod_revision < record.mod_revision
    return is_behind and record.mod_revision < ALONE_FROM


def _created(snapshot: Snapshot, key: str, revision: int) -> int:
    """Return when a record was created that is written at `revision`."""
    before = snapshot.raw.get(key)
    return revision if before is None else before.create_revision
