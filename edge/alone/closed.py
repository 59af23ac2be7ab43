"""Which calls came and went while a site was alone, so long ago that nobody asks after them. PURE.

A site may be alone for a day. Of such a call nothing is left but its record, so its copy of the
state need not hold it, and the merge, for which calls wait, need not write it (`edge.alone.past`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.merged_places import places_had
from state.keys import Kind, build, call_of_ended
from state.model import CallId
from state.overlay import Overlay
from state.raw import KeyValue
from state.snapshot import Snapshot

SETTLED_S: Final = 60.0
"""So long after its end no edge asks after a call, tells of it, or hears it come again."""
_OF_A_CALL: Final = (
    Kind.ENDED,
    Kind.TICKET,
    Kind.PLACE,
    Kind.CLEARANCE,
    Kind.HEIR,
    Kind.CLAIM,
    Kind.RECORDING_WISH,
    Kind.RECORDING,
    Kind.TRANSFER_WISH,
    Kind.TRANSFER,
)


class Closed(Struct, frozen=True, kw_only=True):
    """Some calls that are over for good."""

    calls: tuple[CallId, ...]
    """This edge's, and its sisters'."""
    records: tuple[KeyValue, ...]
    """This edge's: the store is to have them."""


def closed(overlay: Overlay, shown: Snapshot, revision: int) -> Closed:
    """Return what was closed by `revision` of the copy, and has left nothing but its record.

    `shown` is the mirror's: what the store has of a call, or of its agents, the merge sees to, and
    so to a caller who has kept a place, or has had another's.
    """
    calls, records = [], []
    busy = _busy(overlay, shown)
    for record in overlay.ended.values():
        call = call_of_ended(record.key)
        if record.mod_revision > revision or call in busy:
            continue
        calls.append(call)
        if overlay.written.get(record.key):
            records.append(record)
    return Closed(calls=tuple(calls), records=tuple(records))


def _busy(overlay: Overlay, shown: Snapshot) -> Collection[CallId]:
    here = overlay.snapshot
    given = (each.value.call for some in (here, shown) for each in some.offers.values())
    return {*here.tickets, *shown.tickets, *here.places, *places_had(overlay), *given}


def without(overlay: Overlay, calls: Iterable[CallId]) -> Overlay:
    """Return the overlay without the records of calls, and what it knew of who wrote of them."""
    ended, written = overlay.ended.mutate(), overlay.written.mutate()
    for call in calls:
        ended.pop(build(Kind.ENDED, call), None)
        for key in gone_of(overlay, call):
            written.pop(key, None)
    return replace(overlay, ended=ended.finish(), written=written.finish())


def gone_of(overlay: Overlay, call: CallId) -> Iterator[str]:
    """Yield the keys of a call at which nothing stands but, perhaps, its record."""
    for kind in _OF_A_CALL:
        key = build(kind, call)
        if key not in overlay.snapshot.raw:
            yield key


def only_over(records: Iterable[KeyValue]) -> Overlay:
    """Return what an edge did that had nothing but calls which came and went."""
    over = {record.key: record for record in records}
    tickets = (build(Kind.TICKET, call_of_ended(key)) for key in over)
    written = dict.fromkeys((*over, *tickets), True)
    empty = Overlay(snapshot=Snapshot())
    return replace(empty, ended=empty.ended.update(over), written=empty.written.update(written))
