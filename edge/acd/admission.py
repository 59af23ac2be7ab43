"""Whether a queue takes one more caller, and who has waited for too long.

Owns the limits of queues. Knows nothing of SIP, nor of how a caller is told.

A limit is checked against the snapshot of the edge that the caller reached. Edges that take callers
in the same moment do not see each other's, so that a queue may exceed its length by the number of
callers who come within the time that a ticket takes to get round.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from edge.acd.forecast import forecast_for_newcomer
from edge.acd.hours import is_closed
from state.model import (
    Did,
    DidNumber,
    Limit,
    Now,
    Outcome,
    Queue,
    QueueId,
    TicketState,
    TurnAway,
)
from state.snapshot import Snapshot

QUEUE_FULL: Final = "queue_full"
WAIT_TOO_LONG: Final = "wait_too_long"
"""The estimated wait, at the door."""
CLOSED: Final = "closed"
"""Outside the number's opening hours."""
WAITED_TOO_LONG: Final = "waited_too_long"

OUTCOMES: Final = {TurnAway.REFUSE: Outcome.REFUSED, TurnAway.CALLBACK: Outcome.CALLBACK}


class Admitted(Struct, frozen=True, kw_only=True):
    """The caller may wait in this queue."""

    did: Did
    queue: Queue
    """The DID's, or the one that it has overflowed to."""
    estimate_s: float | None = None
    """The wait that was estimated, if the queue asks for that."""


class TurnedAway(Struct, frozen=True, kw_only=True):
    """The caller may not."""

    did: Did
    queue: Queue
    """The first one asked: the DID's."""
    outcome: Outcome
    cause: str


Admission = Admitted | TurnedAway


def admit(
    snapshot: Snapshot, number: DidNumber, now: Now, *, has_place: bool = False
) -> Admission | None:
    """Return where a caller of this number may wait; None: the number leads to no queue.

    A queue beyond a limit sends callers to the one that the limit names. If that is beyond its own,
    or is not there, they go on from there, but to no queue twice; whom none takes is turned away as
    the limit of the first one says. `has_place`: the caller has one from an earlier call that was
    cut off, and limits are for those who have none. Outside its hours a number leads to the queue
    that it names for that, or nowhere: a place or not, since nobody is there.
    """
    did = snapshot.dids.get(number)
    closed = did is not None and is_closed(snapshot, did.value, now)
    first = None if did is None else snapshot.queues.get(_target(did.value, closed=closed))
    if did is None or first is None:
        return None
    if closed and did.value.closed_queue is None:
        outcome = OUTCOMES[did.value.closed]
        return TurnedAway(did=did.value, queue=first.value, outcome=outcome, cause=CLOSED)
    queue: Queue | None = first.value
    asked: set[QueueId] = set()
    refusal: tuple[Limit, str] | None = None
    while queue is not None and queue.id not in asked:
        asked.add(queue.id)
        estimate_s = _estimate_s(snapshot, queue, now)
        beyond = None if has_place else _beyond(snapshot, queue, estimate_s)
        if beyond is None:
            return Admitted(did=did.value, queue=queue, estimate_s=estimate_s)
        refusal = refusal or beyond
        target = beyond[0].overflow
        entry = None if target is None else snapshot.queues.get(target)
        queue = None if entry is None else entry.value
    limit, cause = refusal or (Limit(most=0), QUEUE_FULL)
    return TurnedAway(
        did=did.value, queue=first.value, outcome=OUTCOMES[limit.turn_away], cause=cause
    )


def _target(did: Did, *, closed: bool) -> QueueId:
    return did.closed_queue if closed and did.closed_queue is not None else did.queue


def length(snapshot: Snapshot, queue: QueueId) -> int:
    """Return how many callers have come to a queue and talk to nobody yet.

    Who is being called back does not hear the queue's music, and takes no room in it.
    """
    return sum(
        entry.value.queue == queue
        and entry.value.state is not TicketState.CONNECTED
        and entry.value.callback_of is None
        for entry in snapshot.tickets.values()
    )


def _estimate_s(snapshot: Snapshot, queue: Queue, now: Now) -> float | None:
    # It looks at every agent, so only a queue that asks for it pays for each of its callers.
    if queue.longest_estimate_s is None:
        return None
    return forecast_for_newcomer(snapshot, queue, now).wait_s


def _beyond(snapshot: Snapshot, queue: Queue, estimate_s: float | None) -> tuple[Limit, str] | None:
    """Return the first limit that one more caller would be beyond, with its cause."""
    limit = queue.longest_queue
    if limit is not None and length(snapshot, queue.id) >= limit.most:
        return limit, QUEUE_FULL
    limit = queue.longest_estimate_s
    if limit is not None and estimate_s is not None and estimate_s > limit.most:
        return limit, WAIT_TOO_LONG
    return None
