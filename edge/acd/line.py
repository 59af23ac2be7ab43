"""Who is served before whom.

Owns the order of the calls that wait. Knows nothing of agents.

The laws:

- A call's level is its priority, with what steps have added, and with one for each `aging_s` of its
  queue that it has waited, up to `aging_ceiling` (waiting never takes a level away). The higher
  level is served first; within one, the lower place, a create_revision: who came first, at
  whatever edge of whatever site.
- Within one queue and one priority nobody overtakes: a call is lifted to the level of any that came
  after it. So neither a longer greeting nor a clock that reads a little less ever turns two round.

How long a call may be passed by others (`test_line.py` holds it against random lines). Let it have
priority p, in a queue with aging A and ceiling C, let a rival come after it, and no step raise it:

- A rival of priority q in a queue with the same A and C, q at most C, that came at least
  (q - p) * A seconds after it is never served before it.
- Once it has waited (C - p) * A seconds, no rival that came after it is served before it, unless
  the rival's own priority is above C: all others stop at C.

So with p, q <= C only those can pass it that come in the first (C - p) * A seconds: a bound on
time, and with the calls a second on their number. Without aging (the default) priorities are
strict, and a queue of a high one may starve the others: that is what it asks for.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.relaxation import Effective, in_force, waited_s
from state.model import CallId, Entry, Now, Queue, QueueId, Ticket, TicketState
from state.snapshot import Snapshot


class Waiting(Struct, frozen=True):
    """A call that is to be served: by which rules, and at which level."""

    entry: Entry[Ticket]
    effective: Effective
    level: int

    @classmethod
    def of(cls, snapshot: Snapshot, entry: Entry[Ticket], now: Now) -> Waiting:
        """Return the call as it would stand alone."""
        queue = snapshot.queues.get(entry.value.queue)
        rules = None if queue is None else queue.value
        waits_s = waited_s(entry, now)
        effective = in_force(rules, entry.value, waits_s, queues=snapshot.queues)
        return cls(entry, effective, level_of(effective.priority, waits_s, rules))

    @property
    def order_key(self) -> tuple[int, int, CallId]:
        """The key by which calls are served: the lower first."""
        return (-self.level, *standing_of(self.entry))


def place_of(ticket: Entry[Ticket]) -> int:
    """Return the revision by which a caller's place in the queue is told."""
    place = ticket.value.place
    return ticket.create_revision if place is None else place


def standing_of(ticket: Entry[Ticket]) -> tuple[int, CallId]:
    """Return by what calls of one level are served: tickets that share a place, by their ids."""
    return (place_of(ticket), ticket.value.call)


def level_of(priority: int, waits_s: float, queue: Queue | None) -> int:
    """Return the level of a call that has waited so long."""
    if queue is None or queue.aging_s is None or queue.aging_s <= 0.0:
        return priority
    # Asked before it is counted: of a very short one there may be more than an integer can say.
    rises, most = waits_s // queue.aging_s, max(priority, queue.aging_ceiling)
    return priority + int(rises) if rises < most - priority else most


def waiting_calls(snapshot: Snapshot, now: Now) -> list[Waiting]:
    """Return the calls to be served, in the order in which they are.

    Those whose holder is dead are left out: nobody would ring for them, and a survivor closes them.
    """
    waiting = [
        Waiting.of(snapshot, entry, now)
        for entry in snapshot.tickets.values()
        if entry.value.state is TicketState.QUEUED and entry.value.holder in snapshot.edges
    ]
    if any(each.level != each.entry.value.priority for each in waiting):
        waiting = _lifted(waiting)
    return sorted(waiting, key=lambda each: each.order_key)


def _lifted(waiting: Iterable[Waiting]) -> list[Waiting]:
    """Lift each call to the level of those that came after it to the same queue and priority."""
    best: dict[tuple[QueueId, int], int] = {}
    lifted = []
    for each in sorted(waiting, key=lambda each: standing_of(each.entry), reverse=True):
        ticket = each.entry.value
        group = (ticket.queue, ticket.priority)
        level = best[group] = max(each.level, best.get(group, each.level))
        lifted.append(each if level == each.level else replace(each, level=level))
    return lifted
