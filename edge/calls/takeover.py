"""Goes on with the calls of this edge's former life, from its journal and the shared state.

The dialogs are taken up at once, so that nobody who hangs up meanwhile is left without an answer;
the calls go on as soon as the shared state has been read, or a little later without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog
from msgspec.structs import replace

from edge.acd.call import State
from edge.acd.call_events import TicketLost
from edge.acd.ending import WITHDRAWN
from edge.acd.plan import GivenAgent, Held, Plan
from edge.acd.reservation import given_agent, offer_failed
from edge.acd.transferring import consulted_freed
from edge.acd.unwritten import Told, as_told, caught_up, held_as_told, held_by_copy
from edge.calls.call import CallShell
from edge.calls.journal import CallNote
from edge.calls.records import CallRecords
from edge.calls.switchboard import Switchboard
from edge.media.errors import MediaError
from edge.media.relay import Relay
from state.clock import Clock
from state.model import AgentId, CallId, EdgeId, Entry, Now, Ticket, TicketState
from state.snapshot import Snapshot

log = structlog.get_logger()

PATIENCE_S = 2.0
"""How long the calls wait for the shared state before they go on without it."""
RELAY_PATIENCE_S = PATIENCE_S
"""Of a site that was dead as a whole, the relay may come up after us."""
_LOOK_S = 0.02
_ASK_AGAIN_S = 0.1


class Takeover:
    """Brings the calls of `notes` back to life."""

    def __init__(  # noqa: PLR0913  what was left, and where the state is seen
        self,
        *,
        edge: EdgeId,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        is_current: Callable[[], bool],
        is_alone: Callable[[], bool],
        switchboard: Switchboard,
        relay: Relay,
        notes: Mapping[CallId, CallNote],
    ) -> None:
        self._edge = edge
        self._clock = clock
        self._snapshot = snapshot
        self._is_current = is_current
        self._is_alone = is_alone
        self._is_old = False
        """Whether the calls went on by a copy of the state from before the former life's end."""
        self._relay = relay
        self._without_media: frozenset[CallId] = frozenset()
        self._notes = notes
        self._given_of_old: dict[CallId, GivenAgent] = {}
        """Whom an old copy shows given to calls that, by the journal, wait."""
        self._shells: dict[CallId, CallShell] = {}
        for call, note in notes.items():
            shell = switchboard.adopt(note)
            if shell is not None:
                self._shells[call] = shell

    @property
    def calls(self) -> frozenset[CallId]:
        """The calls that have been taken up."""
        return frozenset(self._shells)

    async def run(self) -> None:
        """Let the calls go on; return when all of them know what they hold."""
        if not self._shells:
            return
        _, is_current = await asyncio.gather(self._look_at_media(), self._await_state())
        if not is_current:
            log.warning("takeover_without_state", calls=len(self._shells))
            self._resume_all()
            await self._until_current()
        snapshot = self._snapshot()
        self._is_old = self._is_alone()
        restoring = asyncio.gather(
            *(self._restore(snapshot, call, shell) for call, shell in self._shells.items())
        )
        # The store may be away again: nobody waits for it to be served.
        self._resume_all()
        await restoring
        for call, shell in self._shells.items():
            await self._settle(call, shell)
        log.warning("calls_taken_over", edge=self._edge, calls=len(self._shells))

    async def look_again(self) -> None:
        """See to what an old copy could not tell, once the store is there again."""
        if not self._is_old:
            return
        while self._is_alone():  # noqa: ASYNC110 - once in a life
            await asyncio.sleep(_LOOK_S)
        await asyncio.gather(*(self._look_at(shell) for shell in self._shells.values()))

    async def _look_at(self, shell: CallShell) -> None:
        await shell.records.look_again(self._edge, lambda: shell.is_waiting)

    async def _look_at_media(self) -> None:
        """Find the calls that the relay has lost: it died with us, as everything at this site did.

        Before anything else is heard: by then their people have hung up, as nobody heard anybody.
        """
        lost = set()
        try:
            async with asyncio.timeout(RELAY_PATIENCE_S):
                for call in self._shells:
                    if not await self._has_media(call):
                        lost.add(call)
        except TimeoutError:
            # The media watch asks again, every second.
            log.warning("relay_not_asked", error="it gave no answer")
        self._without_media = frozenset(lost)

    async def _has_media(self, call: CallId) -> bool:
        """Ask until there is an answer."""
        while True:
            try:
                return await self._relay.has(call)
            except MediaError:
                await asyncio.sleep(_ASK_AGAIN_S)

    async def _await_state(self) -> bool:
        """Wait for the shared state for as long as calls can; tell whether it is current."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._until_current()
        except TimeoutError:
            return False
        return True

    async def _until_current(self) -> None:
        while not self._is_current():  # noqa: ASYNC110 - once in a life
            await asyncio.sleep(_LOOK_S)

    async def _restore(self, snapshot: Snapshot, call: CallId, shell: CallShell) -> None:
        note, records = self._notes[call], shell.records
        ticket, held = snapshot.tickets.get(call), None
        if ticket is None and note.state in _WITHOUT_AGENT:
            at = self._clock.now()
            place = note.ticket
            if note.state is State.QUEUED:
                place = replace(place, state=TicketState.QUEUED, queued_ms=at.wall_ms)
            held = await records.recreate(place, at)
        elif ticket is not None and ticket.value.holder == self._edge:
            held = await self._held(snapshot, ticket, note, records)
        records.restore(held, is_old=self._is_old)

    async def _held(
        self, snapshot: Snapshot, ticket: Entry[Ticket], note: CallNote, records: CallRecords
    ) -> Held | None:
        """Return what the call holds, once what the former life could not write is written."""
        given, told = self._given(snapshot, ticket.value.call), _told(note)
        if self._is_old:
            held = held_by_copy(ticket, given, told)
            if held.given is not None and note.state in _WITHOUT_AGENT:
                self._given_of_old[note.ticket.call] = held.given
            return held
        held = held_as_told(ticket, given, told)
        out = [each for agent, each in given.items() if agent not in told.agents]
        plan = caught_up(held, out, told, self._clock.now())
        return held if plan is None else await records.catch_up(held, plan)

    def _given(self, snapshot: Snapshot, call: CallId) -> Mapping[AgentId, GivenAgent]:
        """Return whom the store has given to a call."""
        return {
            agent: given_agent(snapshot, offer)
            for agent, offer in snapshot.offers.items()
            if (offer.value.call, offer.value.edge) == (call, self._edge)
        }

    def _resume_all(self) -> None:
        for call, shell in self._shells.items():
            shell.resume(self._notes[call], has_media=call not in self._without_media)

    async def _settle(self, call: CallId, shell: CallShell) -> None:
        """See to what the journal did not know: a ticket that is gone, an agent just reserved.

        By now the call may have been given one in this life, whom it keeps.
        """
        held = shell.records.held
        is_consulting = self._notes[call].consultation is not None
        if is_consulting and held is not None and held.consulted is not None:
            await shell.records.write(_consulted_freed)
        if held is None:
            shell.deliver(TicketLost())
        elif (given := self._given_of_old.get(call)) is not None:
            told = self._notes[call].ticket

            def give_back(now_held: Held | None, at: Now) -> Plan | None:
                if now_held is None or now_held.given != given:
                    return None
                return offer_failed(_as_told(now_held, told), given, WITHDRAWN, at, tried=False)

            await shell.records.write(give_back)


def _told(note: CallNote) -> Told:
    passing, consultation, hold = note.passing, note.consultation, note.hold.since
    transferor = None if passing is None else passing.transferor
    return Told(
        ticket=note.ticket,
        transferor=None if transferor is None else transferor.decision.winner,
        consulted=None if consultation is None else consultation.agent,
        hold_since_ms=None if hold is None else hold.wall_ms,
        wrap_up_s=note.rules.wrap_up_s,
    )


def _consulted_freed(held: Held | None, at: Now) -> Plan | None:
    if held is None or held.consulted is None:
        return None
    return consulted_freed(held, held.consulted, WITHDRAWN, at)


def _as_told(held: Held, told: Ticket) -> Held:
    return replace(held, ticket=replace(held.ticket, value=as_told(held.ticket.value, told)))


_WITHOUT_AGENT = frozenset({State.GREETING, State.QUEUED})
