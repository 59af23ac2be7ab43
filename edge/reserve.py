"""The shell of `edge.acd.index`: snapshot -> offers -> one transaction -> the call is told.

Every edge computes the same matching whenever something has changed while anybody waits; each
reserves only for the callers that it holds. What it has asked for and the snapshot does not show
yet counts as given, and so does for a moment what the others are about to ask for
(`edge.acd.presumed`). A refused transaction means that the snapshot was old: the call is left alone
until a newer one is here, and decided again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog
from msgspec import Struct
from msgspec.structs import replace

from edge.acd.admission import OUTCOMES, WAITED_TOO_LONG
from edge.acd.call_events import TurnedAway
from edge.acd.eligibility import rings_from_s
from edge.acd.index.index import MatchIndex
from edge.acd.match import Offering
from edge.acd.patience import Patience
from edge.acd.plan import Held, Plan
from edge.acd.presumed import Presumed
from edge.acd.reservation import reserved
from edge.acd.token import Token, token_of
from edge.calls.records import CallRecords, Landed, NotAsked, Refused
from edge.log import fault
from state.clock import Clock
from state.keys import Kind
from state.model import AgentId, CallId, Decision, EdgeId, Now, SiteId, Ticket, TicketState
from state.snapshot import Delta, Snapshot
from state.wake import Wake

log = structlog.get_logger()

_AWAY_S = 0.25
"""How long a call waits before it is tried again when the store was away, or would not have it."""
_MOST_TOLD = 32
"""A decision tells of no more reservations that are under way: in the call's record each takes
some 45 bytes."""
_SOONEST_S = 0.001
"""What falls due by itself is looked at no sooner than this, lest a few keep the edge busy."""
_NEWER_S = 1.0
"""How long a newer snapshot is waited for: the store counts writes too that no mirror sees, and a
watch may lose some. Deciding on an old one again does no harm, waiting for ever does."""


class _HeldBack(Struct, frozen=True):
    """A call that is not to be decided on what is known of it now."""

    revision: int | None
    """A snapshot as new as this will do; None: only time helps."""
    until_s: float
    """From then on it is decided on whatever there is."""

    def is_over(self, snapshot: Snapshot, now: Now) -> bool:
        is_newer = self.revision is not None and snapshot.revision >= self.revision
        return is_newer or now.mono_s >= self.until_s


class WaitingCall(Protocol):
    """What the reserver needs of a call that this edge holds."""

    records: CallRecords

    @property
    def is_waiting(self) -> bool:
        """Whether it wants an agent."""
        ...

    def on_reserved(self, decision: Decision, token: Token) -> None:
        """Take the agent: the offer stands, and `token` rings them."""
        ...

    def deliver(self, event: TurnedAway) -> None:
        """Take the news that the queue serves the caller no longer."""
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


class Reserver:
    """Matches whenever something has changed, and reserves for this edge's calls."""

    def __init__(  # noqa: PLR0913 - what it decides on, and for whom
        self,
        *,
        edge: EdgeId,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        unreachable: Callable[[], frozenset[SiteId]],
        call: Callable[[CallId], WaitingCall | None],
        note: Note | None = None,
        alone: AloneTokens | None = None,
    ) -> None:
        self._edge = edge
        self._clock = clock
        self._snapshot = snapshot
        self._unreachable = unreachable
        self._call = call
        self._note = note
        self._alone = alone
        self._wake = Wake()
        self._not_before: dict[CallId, _HeldBack] = {}
        self._asked: dict[CallId, AgentId] = {}
        """Reservations that are under way, or that the snapshot does not show yet."""
        self._waiting: set[CallId] = set()
        """This edge's calls that wait, by the snapshot."""
        self._others: set[CallId] = set()
        """The other edges' calls that do."""
        self._patience = Patience()
        self._presumed = Presumed(edge)
        self._index = MatchIndex(edge)
        self._tasks: set[asyncio.Task[None]] = set()
        self.landed = 0
        self.refused = 0

    def wake(self) -> None:
        """Match again soon."""
        self._wake.set()

    def take(self, snapshot: Snapshot, deltas: Sequence[Delta]) -> None:
        """Note what has changed in the snapshot, and which calls of this edge wait now."""
        self._index.fold(snapshot, deltas)
        for delta in deltas:
            if delta.kind is Kind.TICKET:
                call = CallId(delta.id)
                self._waiting.discard(call)
                self._others.discard(call)
                self._patience.forget(call)
                ticket = None if delta.after is None else delta.after.value
                if isinstance(ticket, Ticket) and ticket.state is TicketState.QUEUED:
                    is_ours = ticket.holder == self._edge
                    (self._waiting if is_ours else self._others).add(call)
                    if is_ours:
                        self._patience.note(call)
            elif delta.kind is Kind.QUEUE:
                self._patience.note_queues()

    async def run(self) -> None:
        """Match and reserve until cancelled."""
        while True:
            await self._wait()
            self._match(self._snapshot(), self._clock.now())

    async def _wait(self) -> None:
        due_s = self._due_s()
        left_s = None if due_s is None else max(0.0, due_s - self._clock.now().mono_s)
        await self._wake.wait(left_s)

    def _due_s(self) -> float | None:
        """Return when to match again though nothing has been heard of."""
        due = [held_back.until_s for held_back in self._not_before.values()]
        # Only for a call that nobody could take does it matter when an agent is rested, or when
        # it asks for less.
        if any(self._may_reserve(call) for call in self._waiting):
            # The index looks at some a little early, and at those again and again.
            soonest_s = self._clock.now().mono_s + _SOONEST_S
            for part in (self._index, self._patience, self._presumed):
                next_s = part.next_due_s()
                due += [] if next_s is None else [max(next_s, soonest_s)]
        return min(due, default=None)

    def _match(self, snapshot: Snapshot, now: Now) -> None:
        for waited, held_back in list(self._not_before.items()):
            if held_back.is_over(snapshot, now):
                del self._not_before[waited]
                self._asked.pop(waited, None)
        self._turn_away(snapshot, now)
        if not self._others and not any(self._may_reserve(call) for call in self._waiting):
            return
        unreachable = self._unreachable()
        asked = self._presumed.agents(snapshot, now) | self._asked
        offers = self._index.offers(now, unreachable=unreachable, asked=asked)
        self._presumed.note(snapshot, self._index.offered, now)
        for offering in offers:
            call = self._call(offering.call)
            if call is None or not self._may_reserve(offering.call):
                continue
            self._asked[offering.call] = offering.agent
            if self._note is not None and not self._is_alone():
                self._note(
                    revision=snapshot.revision,
                    now=now,
                    call=offering.call,
                    agent=offering.agent,
                    unreachable=unreachable,
                    asked=asked,
                )
            told = _telling(offering, unreachable, asked)
            task = asyncio.create_task(self._reserve(call, told, snapshot))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _turn_away(self, snapshot: Snapshot, now: Now) -> None:
        """Let those go who have waited for too long, before an agent is looked for."""
        for call_id, turn_away in self._patience.over(snapshot, now, self._may_reserve):
            call = self._call(call_id)
            if call is not None:
                outcome = OUTCOMES[turn_away]
                call.deliver(TurnedAway(outcome=outcome, cause=WAITED_TOO_LONG))

    def _may_reserve(self, call: CallId) -> bool:
        if call in self._asked or call in self._not_before:
            return False
        held = self._call(call)
        return held is not None and held.is_waiting

    async def _reserve(self, call: WaitingCall, offering: Offering, snapshot: Snapshot) -> None:
        is_alone, alone = self._is_alone(), None

        def make(held: Held | None, at: Now) -> Plan | None:
            may = held is not None and held.given is None and call.is_waiting
            if held is None or not may or self._is_alone() is not is_alone:
                return None
            return reserved(offering, held, snapshot, edge=self._edge, at=at, alone=alone)

        try:
            if self._alone is not None and self._alone.is_alone:
                alone = await self._alone.token(offering.agent, snapshot)
                if alone is None:
                    # Held by a call that this edge does not know of, or the gate is away.
                    self._hold_back(offering.call, None)
                    return
            written = await call.records.write(make, wait=False)
            match written:
                case Landed(revision=revision):
                    await self._rested(offering.agent, snapshot)
                    self._landed(call, offering, revision)
                case Refused(revision=revision):
                    self.refused += 1
                    del self._asked[offering.call]
                    self._hold_back(offering.call, revision or None)
                    log.info("reservation_refused", call=offering.call, agent=offering.agent)
                case NotAsked():
                    await asyncio.sleep(_AWAY_S)
        except Exception as error:  # noqa: BLE001 - the top of a task; the call is tried again
            log.error("reservation_fault", call=offering.call, **fault(error))  # noqa: TRY400 - one line
            self._asked.pop(offering.call, None)
            self._hold_back(offering.call, None)
        finally:
            if offering.call not in self._not_before:
                self._asked.pop(offering.call, None)
            # A newer snapshot may have come while this was under way.
            self._wake.set()

    async def _rested(self, agent: AgentId, snapshot: Snapshot) -> None:
        """Wait until the rest is over: the agent was given a little before, the ring is not."""
        now = self._clock.now()
        work, presence = snapshot.works.get(agent), snapshot.presences.get(agent)
        left_s = rings_from_s(work, presence, now) - now.mono_s
        if left_s > 0.0:
            await asyncio.sleep(left_s)

    def _landed(self, call: WaitingCall, offering: Offering, revision: int) -> None:
        self.landed += 1
        self._hold_back(offering.call, revision)
        held = call.records.held
        if held is not None and held.given is not None:
            call.on_reserved(offering.decision, token_of(held.given.offer))

    def _is_alone(self) -> bool:
        return self._alone is not None and self._alone.is_alone

    def _hold_back(self, call: CallId, revision: int | None) -> None:
        wait_s = _AWAY_S if revision is None else _NEWER_S
        until_s = self._clock.now().mono_s + wait_s
        self._not_before[call] = _HeldBack(revision=revision, until_s=until_s)


def _telling(
    offering: Offering, unreachable: frozenset[SiteId], asked: Mapping[CallId, AgentId]
) -> Offering:
    """Let the decision tell what this edge knew beside the snapshot: others' logs do not."""
    known = asked if len(asked) <= _MOST_TOLD else {}
    if not known and not unreachable:
        return offering
    told = replace(offering.decision, asked=known, unreachable=tuple(sorted(unreachable)))
    return replace(offering, decision=told)
