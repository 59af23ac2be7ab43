"""The calls of an edge that wait, as its reserver knows them: which may be decided, and which not.

Owns no decision and no effect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from edge.acd.call_events import TurnedAway
from edge.acd.granting import NOT_YET, about_to_be_written, with_tickets
from edge.acd.heirs import Earlier
from edge.acd.token import Token
from edge.calls.records import CallRecords, Written
from state.keys import Kind
from state.model import (
    AgentId,
    CallId,
    Decision,
    DidNumber,
    EdgeId,
    Entry,
    Now,
    QueueId,
    SiteId,
    Ticket,
    TicketState,
)
from state.snapshot import Delta, Snapshot

AWAY_S = 0.25
"""How long a call waits before it is tried again when the store was away, or would not have it."""
_NEWER_S = 1.0
"""How long a newer snapshot is waited for: the store counts writes too that no mirror sees, and a
watch may lose some. Deciding on an old one again does no harm, waiting for ever does."""
_SEEN_S = 1.0
"""A ticket that is not seen for so long after it was to be written keeps no agent from others."""


class HeldBack(Struct, frozen=True):
    """A call that is not to be decided on what is known of it now."""

    revision: int | None
    """A snapshot as new as this will do; None: only time helps."""
    until_s: float
    """From then on it is decided on whatever there is."""

    @classmethod
    def of(cls, revision: int | None, now: Now) -> HeldBack:
        """Return one for a call that was decided, or refused, `now`."""
        wait_s = AWAY_S if revision is None else _NEWER_S
        return cls(revision, now.mono_s + wait_s)

    def is_over(self, snapshot: Snapshot, now: Now) -> bool:
        """Tell whether the call may be decided again."""
        is_newer = self.revision is not None and snapshot.revision >= self.revision
        return is_newer or now.mono_s >= self.until_s


class WaitingCall(Protocol):
    """What the reserver needs of a call that this edge holds."""

    records: CallRecords

    @property
    def is_waiting(self) -> bool:
        """Whether it wants an agent."""
        ...

    def expect_agent(self) -> None:
        """Hear that an agent is being reserved for it: what rings any of them can be got ready."""
        ...

    def on_reserved(self, decision: Decision, token: Token) -> None:
        """Take the agent: the offer stands, and `token` rings them."""
        ...

    def deliver(self, event: TurnedAway) -> None:
        """Take the news that the queue serves the caller no longer."""
        ...


class Line(Protocol):
    """Where a call gets its agent."""

    def waits(self, call: CallId) -> None:
        """Hear that a call has begun to wait: the shared state may not change with it."""
        ...

    def gone(self, call: CallId) -> None:
        """Hear that a call is over, or no longer held here."""
        ...

    def earlier(self, caller: str, did: DidNumber) -> Earlier:
        """Return what there is at other edges of whoever calls this DID from this number."""
        ...

    async def enter(self, call: WaitingCall, ticket: Ticket, at: Now) -> Written:
        """Create the ticket of a call that wants an agent as soon as it has come (`at`)."""
        ...


class Note(Protocol):
    """Keeps what was decided, and what this edge knew beside the snapshot; quick."""

    def __call__(  # noqa: PLR0913  what a decision rests on
        self,
        *,
        revision: int,
        now: Now,
        call: CallId,
        agent: AgentId,
        unreachable: frozenset[SiteId],
        asked: Mapping[CallId, AgentId],
    ) -> None:
        """Note it."""
        ...


class AloneTokens(Protocol):
    """What is needed to reserve without a quorum."""

    @property
    def is_alone(self) -> bool:
        """Whether this site serves without a quorum now."""
        ...

    async def token(self, agent: AgentId, snapshot: Snapshot) -> Token | None:
        """Return the token that would ring the agent; None: they are taken, or nobody knows."""
        ...


class Waiters:
    """Who waits: by the snapshot, and of `edge` though it does not show that yet."""

    def __init__(self, edge: EdgeId) -> None:
        self._edge = edge
        self.ours: set[CallId] = set()
        """This edge's calls that wait, by the snapshot."""
        self.others: set[CallId] = set()
        """The other edges' calls that do."""
        self._place_of: dict[CallId, tuple[QueueId, EdgeId]] = {}
        self._lines: Counter[QueueId] = Counter()
        self._held: Counter[tuple[QueueId, EdgeId]] = Counter()
        """How many of each edge wait in each queue."""
        self._coming: dict[CallId, Entry[Ticket]] = {}
        """Tickets of this edge that are being created."""
        self._unseen: set[CallId] = set()
        """This edge's calls that wait again, or now that their greeting is over."""
        self._place = NOT_YET

    # -- what happens

    def take(self, deltas: Sequence[Delta]) -> int:
        """Take in what has changed of tickets; return how many are other edges' new ones."""
        rivals = 0
        for delta in deltas:
            if delta.kind is not Kind.TICKET:
                continue
            call = CallId(delta.id)
            self._forget(call)
            ticket = None if delta.after is None else delta.after.value
            is_waiting = isinstance(ticket, Ticket) and ticket.state is TicketState.QUEUED
            if isinstance(ticket, Ticket) and is_waiting:
                (self.ours if ticket.holder == self._edge else self.others).add(call)
                place = self._place_of[call] = (ticket.queue, ticket.holder)
                self._lines[ticket.queue] += 1
                self._held[place] += 1
            if isinstance(ticket, Ticket) and ticket.holder == self._edge:
                self._coming.pop(call, None)
            if is_waiting or ticket is None:
                self._unseen.discard(call)
            if isinstance(ticket, Ticket) and delta.before is None:
                rivals += ticket.holder != self._edge
        return rivals

    def _forget(self, call: CallId) -> None:
        self.ours.discard(call)
        self.others.discard(call)
        place = self._place_of.pop(call, None)
        if place is not None:
            self._lines[place[0]] -= 1
            self._held[place] -= 1

    def comes(self, ticket: Ticket, now: Now) -> None:
        """Note that a ticket of ours is being created: it waits, after all who are seen to."""
        self._place += 1
        self._coming[ticket.call] = about_to_be_written(ticket, now, self._place)

    def waits(self, call: CallId) -> None:
        """Note that a call of ours waits, whatever the snapshot shows."""
        if call not in self.ours and call not in self._coming:
            self._unseen.add(call)

    def is_over(self, call: CallId) -> None:
        """Note that a call of ours does not wait, or not any more."""
        self._unseen.discard(call)
        self._coming.pop(call, None)

    # -- what follows

    def is_coming(self, call: CallId) -> bool:
        """Tell whether the ticket of a call is not seen yet."""
        return call in self._coming

    def ahead(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with the tickets that are being created.

        Not where one stands: a sister to whom the proxy gave the call too has written it, and its
        caller's place is told by that, whoever has answered them.
        """
        if not self._coming:
            return snapshot
        seen = snapshot.tickets
        coming = {call: entry for call, entry in self._coming.items() if call not in seen}
        return with_tickets(snapshot, coming) if coming else snapshot

    def overdue(self, is_held: Callable[[CallId], bool], now: Now) -> list[CallId]:
        """Return, and forget, those whose tickets should have been seen by now, or never will."""
        if not self._coming and not self._unseen:
            return []
        over = [
            call
            for call, entry in self._coming.items()
            if now.mono_s >= entry.seen_s + _SEEN_S or not is_held(call)
        ]
        for call in over:
            del self._coming[call]
        self._unseen = {call for call in self._unseen if is_held(call)}
        return over

    def next_due_s(self) -> float | None:
        """Return when the first of those will be overdue; None: there is none."""
        return min((each.seen_s + _SEEN_S for each in self._coming.values()), default=None)

    @property
    def are_unseen(self) -> bool:
        """Whether some wait at places that only the store knows."""
        return bool(self._unseen)

    def in_line(self, queue: QueueId, silent: frozenset[EdgeId] = frozenset()) -> int:
        """Return how many are seen to wait in a queue, but for those whom a silent edge holds."""
        return self._lines[queue] - sum(self._held[queue, edge] for edge in silent)
