"""On what copy of the state a site begins to serve alone. PURE.

It is the mirror's, which may be behind, or have lost what its watch should have told. What stands
in the store of its own calls an edge knows better, by the store's answers; and whatever such a call
writes next compares that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge.acd.merged_places import Ranks, ranked
from edge.acd.plan import Held, put_offer, put_ticket
from state import keys
from state.model import Entry, Offer, Ticket
from state.overlay import ALONE_FROM, Revisions
from state.raw import Change, KeyValue
from state.snapshot import Delta, Snapshot, mended, step
from state.store import Delete, Operation, Put

Landed = tuple[int, Sequence[Operation]]
"""What this edge has written, and at which revision."""


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
    for each in held:
        records = _records_of(each, revisions, ranks)
        ticket = records[0]
        shown = snapshot.raw.get(ticket.key)
        if shown is not None and shown.mod_revision > ticket.mod_revision:
            continue
        unseen = [
            record
            for record in records
            if record.mod_revision < ALONE_FROM and _is_behind(snapshot, record)
        ]
        snapshot, new = mended(snapshot, unseen, now_s)
        deltas += new
    return snapshot, deltas


def _records_of(held: Held, revisions: Revisions, ranks: Ranks) -> list[KeyValue]:
    """Return the ticket, and then the offers, as the store has them."""
    return [
        _record(put_ticket(held.ticket.value), held.ticket, revisions, ranks),
        *(
            _record(put_offer(each.offer.value), each.offer, revisions, ranks)
            for each in held.agents
        ),
    ]


def _record(
    put: Put, entry: Entry[Ticket] | Entry[Offer], revisions: Revisions, ranks: Ranks
) -> KeyValue:
    written = ranked(put, ranks)
    return KeyValue(
        key=put.key,
        value=written.value if isinstance(written, Put) else put.value,
        create_revision=entry.create_revision,
        mod_revision=revisions.get((put.key, entry.mod_revision), entry.mod_revision),
    )


def _is_behind(snapshot: Snapshot, record: KeyValue) -> bool:
    shown = snapshot.raw.get(record.key)
    return shown is None or shown.mod_revision < record.mod_revision


def _created(snapshot: Snapshot, key: str, revision: int) -> int:
    """Return when a record was created that is written at `revision`."""
    before = snapshot.raw.get(key)
    return revision if before is None else before.create_revision
