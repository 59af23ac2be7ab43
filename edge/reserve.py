"""The shell of `edge.acd.index`: snapshot -> offers -> one transaction -> the call is told.

Every edge computes the same matching whenever something has changed while anybody waits; each
reserves only for the callers that it holds. What it has asked for and the snapshot does not show
yet counts as given, and so does for a moment what the others are about to ask for
(`edge.acd.presumed`); the callers of an edge that is silent are passed over (`edge.acd.silence`),
and who of them has come again here has their place with the agent (`edge.acd.heirs`).
A refused transaction means that the snapshot was old: the call is left alone until a newer one is
here, and decided again.

A caller for whom an agent is free has both, ticket and agent, by one transaction (`enter`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from edge.acd.admission import OUTCOMES, WAITED_TOO_LONG
from edge.acd.call_events import TurnedAway
from edge.acd.cut_off import cut_off
from edge.acd.eligibility import rings_from_s
from edge.acd.granting import created_with_agent, reserved
from edge.acd.heirs import Earlier, Left, Numbers, left_places
from edge.acd.index.index import MatchIndex
from edge.acd.match import Offering
from edge.acd.patience import Patience
from edge.acd.plan import Held, Plan
from edge.acd.rivals import Rivals
from edge.acd.telling import telling
from edge.acd.token import token_of
from edge.calls.places import place_lost
from edge.calls.records import Landed, NotAsked, Refused, Written
from edge.others import Others
from edge.waiting import AWAY_S, AloneTokens, HeldBack, Note, Waiters, WaitingCall
from state.clock import Clock
from state.discreet import fault
from state.keys import Kind
from state.model import AgentId, CallId, DidNumber, EdgeId, Now, QueueId, SiteId, Ticket
from state.snapshot import Delta, Snapshot
from state.wake import Wake

log = structlog.get_logger()

_SOONEST_S = 0.001
"""What falls due by itself is looked at no sooner than this, lest a few keep the edge busy."""


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
        is_current: Callable[[], bool],
        proof_age_s: Callable[[], float],
        note: Note | None = None,
        alone: AloneTokens | None = None,
    ) -> None:
        self._edge = edge
        self._clock = clock
        self._snapshot = snapshot
        self._unreachable = unreachable
        self._call = call
        self._is_current = is_current
        self._proof_age_s = proof_age_s
        self._note = note
        self._alone = alone
        self._wake = Wake()
        self._not_before: dict[CallId, HeldBack] = {}
        self._asked: dict[CallId, AgentId] = {}
        """Reservations that are under way, or that the snapshot does not show yet."""
        self._waiters = Waiters(edge)
        self._patience = Patience()
        self._others = Others(edge)
        self._rivals = Rivals(clock.now().mono_s)
        self._numbers = Numbers(edge)
        self._index = MatchIndex(edge)
        self._tasks: set[asyncio.Task[None]] = set()
        self.landed = 0
        self.refused = 0

    @property
    def silent(self) -> frozenset[EdgeId]:
        """The edges whose callers it passes over now."""
        return self._others.silence.edges

    def wake(self) -> None:
        """Match again soon."""
        self._wake.set()

    def waits(self, call: CallId) -> None:
        """Match again soon: a call of this edge has begun to wait."""
        if call not in self._asked:
            self._waiters.waits(call)
        self._wake.set()

    def gone(self, call: CallId) -> None:
        """Forget a call that is over, or no longer held here."""
        was_coming = self._waiters.is_coming(call)
        self._waiters.is_over(call)
        if was_coming:
            self._look_at(call)

    def take(self, snapshot: Snapshot, deltas: Sequence[Delta]) -> None:
        """Note what has changed in the snapshot, and which calls of this edge wait now."""
        for _ in range(self._waiters.take(deltas)):
            self._rivals.came(self._clock.now().mono_s)
        self._others.silence.hears(deltas)
        self._numbers.take(deltas)
        self._index.fold(self._waiters.ahead(snapshot), deltas)
        for delta in deltas:
            if delta.kind is Kind.TICKET:
                call = CallId(delta.id)
                self._patience.forget(call)
                if call in self._waiters.ours:
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
        # Whoever waits here next is to know who is silent.
        look_s = self._others.silence.next_due_s()
        due += [] if look_s is None else [look_s]
        # Only for a call that nobody could take does it matter when an agent is rested, or when
        # it asks for less.
        if any(map(self._may_reserve, self._waiters.ours)):
            # The index looks at some a little early, and at those again and again.
            soonest_s = self._clock.now().mono_s + _SOONEST_S
            for part in (self._index, self._patience, self._others.presumed, self._waiters):
                next_s = part.next_due_s()
                due += [] if next_s is None else [max(next_s, soonest_s)]
        return min(due, default=None)

    def _match(
        self, snapshot: Snapshot, now: Now, newcomer: CallId | None = None
    ) -> Offering | None:
        """Reserve for everybody who gets an agent; what `newcomer` gets is returned instead."""
        self._look_after(snapshot, now)
        waiters, others, first = self._waiters, self._others, None
        if newcomer is None and not (waiters.others or any(map(self._may_reserve, waiters.ours))):
            others.silence.forget()
            return None
        unreachable = self._unreachable()
        proved_s = None if self._is_alone() else now.mono_s - self._proof_age_s()
        known = others.known(snapshot, now, proved_s, unreachable, self._index)
        asked = {**known, **self._asked}
        offers = self._index.offers(now, unreachable=unreachable, asked=asked)
        given, places = self._index.offered, self._index.places
        doubted = others.presumed.note(snapshot, given, now, places) if given else ()
        others.silence.note(snapshot, (*others.presumed, *doubted), now)
        for offering in offers:
            call, is_first = self._call(offering.call), offering.call == newcomer
            if waiters.is_coming(offering.call) and not is_first:
                # It will be decided when its ticket is seen, and who comes after it leaves it that.
                asked = {**asked, offering.call: offering.agent}
                continue
            if call is None or not (is_first or self._may_reserve(offering.call)):
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
            told = telling(offering, unreachable, asked)
            if is_first:
                first = told
                continue
            left = self._index.left_by(offering.call)
            task = asyncio.create_task(self._reserve(call, told, snapshot, left))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return first

    def _look_after(self, snapshot: Snapshot, now: Now) -> None:
        """See to those that were held back, or have waited for too long."""
        for waited, held_back in list(self._not_before.items()):
            if held_back.is_over(snapshot, now):
                del self._not_before[waited]
                self._asked.pop(waited, None)
        for call in self._waiters.overdue(lambda each: self._call(each) is not None, now):
            self._look_at(call)
        self._turn_away(snapshot, now)

    def _turn_away(self, snapshot: Snapshot, now: Now) -> None:
        """Let those go who have waited for too long, before an agent is looked for."""
        for over in self._patience.over(snapshot, now, self._may_reserve):
            call = self._call(over.call)
            if call is not None:
                call.deliver(
                    TurnedAway(
                        outcome=OUTCOMES[over.turn_away],
                        cause=WAITED_TOO_LONG,
                        is_asked=over.is_asked,
                        step=over.step,
                    )
                )

    def _may_reserve(self, call: CallId) -> bool:
        if call in self._asked or call in self._not_before:
            return False
        held = self._call(call)
        return held is not None and held.is_waiting

    async def _reserve(
        self,
        call: WaitingCall,
        offering: Offering,
        snapshot: Snapshot,
        left: Left | None,
    ) -> None:
        is_alone, alone = self._is_alone(), None
        # What a site that serves alone takes for left behind may go on elsewhere.
        left = None if is_alone else left

        def make(held: Held | None, at: Now) -> Plan | None:
            may = held is not None and held.given is None and call.is_waiting
            if held is None or not may or self._is_alone() is not is_alone:
                return None
            return reserved(
                offering, held, snapshot, edge=self._edge, at=at, alone=alone, left=left
            )

        try:
            if self._alone is not None and self._alone.is_alone:
                alone = await self._alone.token(offering.agent, snapshot)
                if alone is None:
                    # Held by a call that this edge does not know of, or the gate is away.
                    self._hold_back(offering.call, None)
                    return
            call.expect_agent()
            written = await call.records.write(make, wait=False)
            match written:
                case Landed(revision=revision):
                    await self._rested(offering.agent, snapshot)
                    self._landed(call, offering, revision, left)
                case Refused(revision=revision):
                    self.refused += 1
                    self._asked.pop(offering.call, None)
                    self._hold_back(offering.call, revision or None)
                    log.info("reservation_refused", call=offering.call, agent=offering.agent)
                case NotAsked():
                    await asyncio.sleep(AWAY_S)
        except Exception as error:  # noqa: BLE001 - the top of a task; the call is tried again
            log.error("reservation_fault", call=offering.call, **fault(error))  # noqa: TRY400 - one line
            self._asked.pop(offering.call, None)
            self._hold_back(offering.call, None)
        finally:
            if offering.call not in self._not_before:
                self._asked.pop(offering.call, None)
            # A newer snapshot may have come while this was under way.
            self._wake.set()

    # -- who has just come

    def earlier(self, caller: str, did: DidNumber) -> Earlier:
        """Return what there is at other edges of whoever calls this DID from this number."""
        calls = self._numbers.waiting(caller, did)
        left = self._index.left_of(calls) if calls else None
        # Where nobody has been matched since, the edge may have been heard.
        is_left = left is not None and (
            left.value.holder in self.silent or left.value.holder not in self._snapshot().edges
        )
        lost, talking = None, self._numbers.talking(caller, did)
        if talking:
            lost = cut_off(
                self._snapshot(),
                talking,
                self._clock.now(),
                unreachable=self._unreachable(),
                is_alone=self._is_alone(),
            )
        return Earlier(calls=calls, left=left if is_left else None, lost=lost)

    async def enter(self, call: WaitingCall, ticket: Ticket, at: Now) -> Written:
        """Create the ticket of a call that wants an agent as soon as it has come (`at`).

        Where one is free, by one transaction with their reservation (`edge.acd.granting`).
        """
        snapshot, now = self._snapshot(), self._clock.now()
        offering = self._foresee(snapshot, ticket, now)
        plan, left = None, None
        if offering is not None:
            left = self._index.left_by(ticket.call)
            call.expect_agent()
            plan = created_with_agent(offering, ticket, snapshot, edge=self._edge, at=at, left=left)
        try:
            written = await call.records.create(
                ticket, at, with_agent=plan, on_refused=lambda: self._is_anothers(ticket.call, now)
            )
            held = call.records.held
            if not isinstance(written, Landed):
                self._waiters.is_over(ticket.call)
                self._look_at(ticket.call)
                return written
            self._rivals.took(self._clock.now().mono_s - now.mono_s)
            if offering is not None and held is not None and held.given is not None:
                await self._rested(offering.agent, snapshot)
                self._landed(call, offering, written.revision, left)
            elif offering is not None:
                self.refused += 1
                log.info("reservation_refused", call=offering.call, agent=offering.agent)
            return written
        finally:
            if offering is not None:
                if ticket.call not in self._not_before:
                    self._asked.pop(ticket.call, None)
                self._wake.set()

    def _is_anothers(self, call: CallId, since: Now) -> None:
        """Keep nobody for a call that may wait for seconds for the word of the edge that has it.

        In its place it is for a moment yet (`_SEEN_S`), should that edge have refused it.
        """
        self._rivals.took(self._clock.now().mono_s - since.mono_s)
        self._asked.pop(call, None)
        self._wake.set()

    def _foresee(self, snapshot: Snapshot, ticket: Ticket, now: Now) -> Offering | None:
        """Return the agent whom a call gets that comes last; None: it is to wait and see."""
        if self._is_alone():
            return None
        self._waiters.comes(ticket, now)
        self._look_at(ticket.call)
        if (
            not self._is_current()
            or not self._rivals.are_few(now.mono_s)
            or self._waiters.are_unseen
            or self._in_line(ticket.queue) > len(self._asked) + len(self._others.presumed)
            or place_lost(left_places(snapshot), ticket.caller, ticket.did) is not None
        ):
            return None
        return self._match(snapshot, now, newcomer=ticket.call)

    def _in_line(self, queue: QueueId) -> int:
        """Return for how many somebody has to be found before a newcomer's turn."""
        return self._waiters.in_line(queue, self.silent)

    def _look_at(self, call: CallId) -> None:
        """Let the index see a call as it stands now."""
        ahead = self._waiters.ahead(self._snapshot())
        delta = Delta(kind=Kind.TICKET, id=call, before=None, after=ahead.tickets.get(call))
        self._index.fold(ahead, (delta,))

    # -- parts

    async def _rested(self, agent: AgentId, snapshot: Snapshot) -> None:
        """Wait until the rest is over: the agent was given a little before, the ring is not."""
        now = self._clock.now()
        work, presence = snapshot.works.get(agent), snapshot.presences.get(agent)
        left_s = rings_from_s(work, presence, now) - now.mono_s
        if left_s > 0.0:
            await asyncio.sleep(left_s)

    def _landed(
        self, call: WaitingCall, offering: Offering, revision: int, left: Left | None
    ) -> None:
        self.landed += 1
        if left is not None:
            log.info("place_inherited", call=offering.call, left=left.value.call)
        self._hold_back(offering.call, revision)
        # Until the watch shows it, a ticket that was coming stands on no list.
        self.gone(offering.call)
        held = call.records.held
        if held is not None and held.given is not None:
            call.on_reserved(offering.decision, token_of(held.given.offer))

    def _is_alone(self) -> bool:
        return self._alone is not None and self._alone.is_alone

    def _hold_back(self, call: CallId, revision: int | None) -> None:
        self._not_before[call] = HeldBack.of(revision, self._clock.now())
