"""Whose word counts when two edges of one site have had the same call. PURE.

The proxy gives a call to a sister when an edge is silent for too long. If that edge hears INVITE
and CANCEL later, it has a caller who gave up before they were answered: they did, or the sister has
them. So this record says less than any other word of the call.
"""

from __future__ import annotations

from state import keys
from state.codec import decode
from state.errors import CodecError
from state.keys import call_of_ended
from state.model import CallRecord, EdgeId, Outcome
from state.overlay import Overlay
from state.raw import KeyValue

CANCELLED = "caller_cancelled"
"""The cause in the record of a caller who gave up before we answered."""


def yields(record: KeyValue | None) -> bool:
    """Tell whether a record makes room for any other word of its call."""
    if record is None or not record.key.startswith(keys.ENDED):
        return False
    try:
        value = decode(CallRecord, record.value, record.key)
    except CodecError:
        return False
    return (value.outcome, value.cause) == (Outcome.ABANDONED, CANCELLED)


def is_owed(overlay: Overlay, record: KeyValue, edge: EdgeId) -> bool:
    """Tell whether a record of this edge is to be merged: not one of a call that a sister has."""
    ticket = overlay.snapshot.tickets.get(call_of_ended(record.key))
    return not yields(record) or ticket is None or ticket.value.holder == edge
