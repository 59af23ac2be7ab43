"""Which waiting calls have waited for too long. PURE.

A call is looked at when its record or a queue changes, and then only when the next step of its
queue falls due: an edge may have hundreds that wait, and matches hundreds of times a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from edge.acd.index.dues import Dues
from edge.acd.relaxation import effective_now, last_turn_away, next_step_s
from state.model import CallId, Now, Ticket, TurnAway
from state.snapshot import Snapshot

_AT_ONCE_S: Final = float("-inf")
"""An instant that has always come."""


class Over(Struct, frozen=True):
    """A call that has waited for too long."""

    call: CallId
    turn_away: TurnAway
    step: int = 0
    """Which of the queue's steps says so."""
    is_asked: bool = False
    """Whether the caller is asked if they want to be called back."""


class Patience:
    """Some calls that wait, and when to see to each."""

    def __init__(self) -> None:
        self._calls: set[CallId] = set()
        self._steps: Dues[CallId] = Dues()
        self._overdue: set[CallId] = set()
        """Those that are to be seen to as soon as no agent is on the way to them."""

    def note(self, call: CallId) -> None:
        """Take in that a call waits, or that its record has changed."""
        self._calls.add(call)
        self._steps.set(call, _AT_ONCE_S)

    def forget(self, call: CallId) -> None:
        """Take in that a call waits no longer."""
        self._calls.discard(call)
        self._steps.set(call, None)
        self._overdue.discard(call)

    def note_queues(self) -> None:
        """Take in that a queue has changed, theirs or one to overflow to."""
        for call in self._calls:
            self._steps.set(call, _AT_ONCE_S)

    def next_due_s(self) -> float | None:
        """Return the monotonic instant at which to see to one of them; None: never."""
        return self._steps.next_s()

    def over(self, snapshot: Snapshot, now: Now, may: Callable[[CallId], bool]) -> Iterator[Over]:
        """Yield those that have waited for too long, again and again until they are forgotten.

        Those for which `may` is False are left for the next time. Who is asked whether they want
        to be called back waits meanwhile, and is yielded when something has changed.
        """
        self._overdue.update(self._steps.pop(now.mono_s))
        for call in list(filter(may, self._overdue)):
            entry = snapshot.tickets.get(call)
            if entry is None:
                continue
            effective = effective_now(snapshot.queues, entry, now)
            turn_away, rules = effective.turn_away, entry.value.call_back
            if turn_away is None or entry.value.talks or entry.value.callback_of is not None:
                # Who has talked to an agent has been let in, and is passed on, not sent away. Whom
                # we call back has been sent away before.
                self._overdue.discard(call)
                self._steps.set(call, next_step_s(snapshot.queues, entry, now))
            elif turn_away is TurnAway.CALLBACK and asks(snapshot, entry.value):
                self._overdue.discard(call)
                self._steps.set(call, next_step_s(snapshot.queues, entry, now))
                if rules is not None:  # whom nobody can call is not asked
                    step = last_turn_away(snapshot.queues.get(entry.value.queue), effective.step)
                    yield Over(call, turn_away, step=step, is_asked=True)
            else:
                yield Over(call, turn_away)


def asks(snapshot: Snapshot, ticket: Ticket) -> bool:
    """Tell whether who is to be called back is asked first: by the rules under which they came.

    Of who cannot be called back the queue's tell.
    """
    rules = ticket.call_back
    if rules is None:
        queue = snapshot.queues.get(ticket.queue)
        rules = None if queue is None else queue.value.call_back
    return rules is not None and rules.offer is not None
