"""Whose word counts when two edges have had the same call. PURE.

The proxy gives a call to a sister when an edge is silent for too long, a carrier to another site.
If that edge hears INVITE and CANCEL later, it has a caller who gave up before they were answered:
they did, or the sister has them. So this record says less than any other word of the call.

Or both answer. The caller has one of the two answers and acknowledges that; the other edge may have
the ticket all the same, as it came first. Who has the ACK has the caller: it *claims* the call, and
the other, whose caller it can reach by nothing, gives way by a record that makes room. Should the
claimant die in that moment, the record tells the truth: a caller was lost.

If the other dies before it gives way, its next life or a survivor closes the call as lost. That was
a guess: to who claims the call, and so has its caller, this record makes room too; to nobody else.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from msgspec import Struct

from state import keys
from state.codec import decode
from state.errors import CodecError
from state.keys import call_of_ended
from state.model import CallRecord, EdgeId, Outcome, Ticket
from state.overlay import Overlay
from state.raw import KeyValue

GUESSED = "edge_died"
"""The cause in a record that a survivor wrote of a call whose edge it could not see."""
CANCELLED = "caller_cancelled"
"""The cause in the record of a caller who gave up before we answered."""
ACKNOWLEDGED_ELSEWHERE = "acknowledged_elsewhere"
"""The cause in the record of a caller who has another edge's answer to the same INVITE."""
_MAKING_ROOM = {(Outcome.ABANDONED, CANCELLED), (Outcome.LOST, ACKNOWLEDGED_ELSEWHERE)}

REFUSAL_S: Final = 1.0
"""How long an edge that has refused a call may take to write that down."""
ACK_S: Final = 4.0
"""How long the ACK may take: our 200 is sent again after 0.5, 1.5 and 3.5 s."""
CLAIM_S: Final = 12.0
"""How long an edge may take to give way: it lets an agent whom it rings go first, for which it has
`Rules.release_s`, and it was slow before. If it has died: until its lease has run out (8 s) and a
survivor has closed its calls, up to 3 s later."""


def yields(record: KeyValue | None) -> bool:
    """Tell whether a record makes room for any other word of its call."""
    if record is None or not record.key.startswith(keys.ENDED):
        return False
    try:
        value = decode(CallRecord, record.value, record.key)
    except CodecError:
        return False
    return (value.outcome, value.cause) in _MAKING_ROOM


def is_guess(record: KeyValue, edge: EdgeId) -> bool:
    """Tell whether a survivor wrote a record, since it took this edge for dead."""
    try:
        value = decode(CallRecord, record.value, record.key)
    except CodecError:
        return False
    return (value.edge, value.outcome, value.cause) == (edge, Outcome.LOST, GUESSED)


def is_owed(overlay: Overlay, record: KeyValue, edge: EdgeId) -> bool:
    """Tell whether a record of this edge is to be merged: not one of a call that a sister has."""
    ticket = overlay.snapshot.tickets.get(call_of_ended(record.key))
    return not yields(record) or ticket is None or ticket.value.holder == edge


# ---- an edge that was slow -----------------------------------------------------------------------

LATE_S: Final = 0.1
"""An INVITE that has waited for so long is late: where edge and proxy keep up it is a millisecond,
and the proxy gives a call to a sister half a second after it was sent."""


def is_late(waited_s: float) -> bool:
    """Tell whether a sister may have a call whose INVITE has waited so long before it was read.

    Then nobody is rung before the caller has acknowledged our answer: that takes a caller's round
    trip, which is not spent on every call.
    """
    return waited_s >= LATE_S


# ---- an edge that was refused the ticket ---------------------------------------------------------


class Todo(Enum):
    """What is left to an edge that was refused the ticket of a call."""

    WAIT = auto()
    CLAIM = auto()
    """Say that the caller has acknowledged us, and wait."""
    GIVE_UP = auto()


class TakeOver(Struct, frozen=True):
    """Create the ticket over the record of the call, which makes room."""

    record_revision: int


def when_refused(  # noqa: PLR0913  what stands there, and what the edge knows
    edge: EdgeId,
    *,
    record: KeyValue | None,
    ticket: KeyValue | None,
    was_anothers: bool,
    is_acknowledged: bool,
    waited_s: float,
    claimed_s: float | None,
) -> TakeOver | Todo:
    """Return what an edge does that may not create the ticket of a call which it has answered.

    `record`, `ticket`: of that call, as they stand. `was_anothers`: another's ticket was seen since
    it was refused, `waited_s` ago; `claimed_s`: since it has claimed the call, None: it has not.
    Raises CodecError if what stands is unreadable.

    A record makes room if some edge has refused the call, or another has given it up; or has died
    with it while we waited, and the caller has our answer. Where a ticket stands, its edge may be
    refusing the call this moment; or the caller has two answers.
    """
    if record is not None:
        value = decode(CallRecord, record.value, record.key)
        has_died = value.edge != edge and (value.outcome, value.cause) == (Outcome.LOST, GUESSED)
        has_given_up = value.outcome is Outcome.REFUSED or (yields(record) and value.edge != edge)
        if has_given_up or (has_died and claimed_s is not None):
            return TakeOver(record.mod_revision)
        if has_died and was_anothers and is_acknowledged:
            return Todo.CLAIM
        may_be_ours = has_died and was_anothers and waited_s < ACK_S
        return Todo.WAIT if may_be_ours else Todo.GIVE_UP
    if claimed_s is not None:
        return Todo.WAIT if claimed_s < CLAIM_S else Todo.GIVE_UP
    is_held = is_anothers(edge, ticket)
    if is_held and is_acknowledged:
        return Todo.CLAIM
    return Todo.WAIT if waited_s < (ACK_S if is_held else REFUSAL_S) else Todo.GIVE_UP


def is_anothers(edge: EdgeId, ticket: KeyValue | None) -> bool:
    """Tell whether another edge holds a ticket. Raises CodecError if it is unreadable."""
    return ticket is not None and decode(Ticket, ticket.value, ticket.key).holder != edge
