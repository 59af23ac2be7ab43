"""The places of callers whose calls went through a merge. PURE.

A survivor's guess takes a ticket away, and the merge creates it anew: with the place that it had.
The call itself goes on with the ticket as it left it, without that place, or with one that counts
only on the copy of a site that was alone. What it writes from then on is given the store's.

And the places that were had without a quorum: with a caller who was given an agent at the place of
a call that was left behind (`edge.acd.heirs`), or has talked again after they were cut off in one
(`edge.acd.cut_off`), goes the word that they have had it. Should somebody else have had it
meanwhile, that word stands: it keeps everybody from the place as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.ending import place_name
from state import keys
from state.codec import decode, encode
from state.errors import CodecError
from state.model import CallId, CallRecord, Place, Ticket
from state.overlay import ALONE_FROM, Overlay
from state.raw import KeyValue
from state.store import Absent, Compare, Delete, Operation, Put


class Rank(Struct, frozen=True):
    """Where a caller stands in the store's line."""

    place: int | None
    """As in the ticket."""
    created: int
    """When the ticket was created: the place of who has no other."""


Ranks = Mapping[CallId, Rank]


def place_of(mine: KeyValue, ticket: KeyValue | None, kept: KeyValue | None) -> int | None:
    """Return the place of a caller whose ticket, `mine`, names none.

    `ticket` and `kept`: what the store has of the call, and of the place that a survivor kept.
    """
    if ticket is not None:
        # An earlier try may have given it back.
        return decode(Ticket, ticket.value, ticket.key).place
    if mine.create_revision < ALONE_FROM:
        return mine.create_revision  # it had a place in the store, which a survivor took away
    # Or it did not know that it had: its copy was from before the caller came.
    try:
        return None if kept is None else decode(Place, kept.value, kept.key).place
    except CodecError:
        return None  # of a later version: one who had a place comes behind all, and is served


def place_key(overlay: Overlay, call: CallId) -> str:
    """Return at which key the place of a call's caller is kept, by this edge or by survivors."""
    ticket, record = overlay.snapshot.tickets.get(call), overlay.ended.get(keys.ended(call))
    if ticket is not None:
        return keys.place(place_name(ticket.value))
    try:
        ended = None if record is None else decode(CallRecord, record.value, record.key)
    except CodecError:
        ended = None
    return keys.place(call if ended is None else ended.callback_of or call)


def place_left(
    mine: KeyValue | None, there: KeyValue | None, revision: int, *, was_closed: bool
) -> KeyValue | None:
    """Return the place that a call has left which ended alone, as the store is to have it.

    `there`: what it has. `was_closed`: by a survivor, who has kept a place for the caller; if that
    is gone, they have come again, or have been called back. `revision`: behind all who wait there.
    """
    if mine is None or (was_closed and there is None):
        return None
    place = decode(Place, mine.value, mine.key)
    number = revision if place.place >= ALONE_FROM else place.place
    return replace(mine, value=encode(replace(place, place=number)))


def places_had(overlay: Overlay) -> Mapping[CallId, tuple[KeyValue, ...]]:
    """Return what was written without a quorum of places that were had, by who has them."""
    snapshot = overlay.snapshot
    found: dict[CallId, tuple[KeyValue, ...]] = {}
    for left, entry in snapshot.heirs.items():
        if (key := keys.heir(left)) in overlay.written:
            heir = entry.value.heir
            found[heir] = (*found.get(heir, ()), snapshot.raw[key])
    return found


def had_told(
    had: Iterable[KeyValue], found: Mapping[str, KeyValue | None]
) -> tuple[list[Compare], list[Put | Delete]]:
    """Return what makes the store say that places were had: nothing, of what it says already."""
    new = [each for each in had if found[each.key] is None]
    return [Absent(key=each.key) for each in new], [Put(key=e.key, value=e.value) for e in new]


def rank_of(ticket: KeyValue) -> Rank:
    """Return it of a ticket as the store has it."""
    value = decode(Ticket, ticket.value, ticket.key)
    return Rank(value.place, ticket.create_revision)


def ranked(operation: Operation, ranks: Ranks) -> Operation:
    """Return what a call writes, with its caller's place as the store knows it."""
    if not isinstance(operation, Put):
        return operation
    if operation.key.startswith(keys.TICKET):
        rank = ranks.get(CallId(operation.key.removeprefix(keys.TICKET)))
        return operation if rank is None else _ticket(operation, rank)
    if operation.key.startswith(keys.PLACE):
        rank = ranks.get(CallId(operation.key.removeprefix(keys.PLACE)))
        return operation if rank is None else _place(operation, rank)
    return operation


def _ticket(put: Put, rank: Rank) -> Put:
    ticket = decode(Ticket, put.value, put.key)
    if ticket.place == rank.place or (ticket.place is not None and ticket.place < ALONE_FROM):
        return put
    return replace(put, value=encode(replace(ticket, place=rank.place)))


def _place(put: Put, rank: Rank) -> Put:
    place = decode(Place, put.value, put.key)
    if place.place < ALONE_FROM:
        return put
    number = rank.created if rank.place is None else rank.place
    return replace(put, value=encode(replace(place, place=number)))
