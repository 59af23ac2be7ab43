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
from edge.acd.unwritten import let_go
from edge.calls.call import CallShell
from edge.calls.journal import CallNote
from edge.calls.switchboard import Switchboard
from edge.media.errors import MediaError
from edge.media.relay import Relay
from state.clock import Clock
from state.model import AgentId, CallId, EdgeId, Now, Ticket, TicketState
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
        held, note = self._held(snapshot, call), self._notes[call]
        if held is None and call not in snapshot.tickets and note.state in _WITHOUT_AGENT:
            at = self._clock.now()
            ticket = note.ticket
            if note.state is State.QUEUED:
                ticket = replace(ticket, state=TicketState.QUEUED, queued_ms=at.wall_ms)
            held = await shell.records.recreate(ticket, at)
        elif held is not None and not self._is_old:
            plan = self._catching_up(snapshot, held, note)
            held = held if plan is None else await shell.records.catch_up(held, plan)
        shell.records.restore(held, is_old=self._is_old)

    def _resume_all(self) -> None:
        for call, shell in self._shells.items():
            shell.resume(self._notes[call], has_media=call not in self._without_media)

    async def _settle(self, call: CallId, shell: CallShell) -> None:
        """See to what the journal did not know: a ticket that is gone, an agent just reserved."""
        held = shell.records.held
        is_consulting = self._notes[call].consultation is not None
        if is_consulting and held is not None and held.consulted is not None:
            await shell.records.write(_consulted_freed)
        if held is None:
            shell.deliver(TicketLost())
        elif held.given is not None and self._notes[call].state in _WITHOUT_AGENT:
            given, told = held.given, self._notes[call].ticket

            def give_back(now_held: Held | None, at: Now) -> Plan | None:
                if now_held is None or now_held.given is None:
                    return None
                return offer_failed(_as_told(now_held, told), given, WITHDRAWN, at, tried=False)

            await shell.records.write(give_back)

    def _held(self, snapshot: Snapshot, call: CallId) -> Held | None:
        ticket = snapshot.tickets.get(call)
        if ticket is None or ticket.value.holder != self._edge:
            return None
        given = self._given(snapshot, call)
        ticket = replace(ticket, value=_as_joined(ticket.value, self._notes[call]))
        transferor = self._transferor(snapshot, call)
        known = [each for each in (given, transferor) if each is not None]
        consulted = self._consulted(snapshot, call)
        if consulted is not None and any(_agent(each) == _agent(consulted) for each in known):
            consulted = None  # they have been handed the caller
        return Held(ticket=ticket, given=given, transferor=transferor, consulted=consulted)

    def _catching_up(self, snapshot: Snapshot, held: Held, note: CallNote) -> Plan | None:
        """Return what frees those whom the former life had let go of; None: nobody."""
        told, passing = note.ticket, note.passing
        kept = {told.agent}
        if passing is not None and passing.transferor is not None:
            kept.add(passing.transferor.decision.winner)
        if note.consultation is not None:
            kept.add(note.consultation.agent)
        mine = {
            agent: given_agent(snapshot, offer)
            for agent, offer in snapshot.offers.items()
            if (offer.value.call, offer.value.edge) == (told.call, self._edge)
        }
        out = [given for agent, given in mine.items() if agent not in kept]
        if not out:
            return None
        given = None if told.agent is None else mine.get(told.agent)
        consulted = held.consulted
        if consulted is not None and _agent(consulted) in {told.agent, *map(_agent, out)}:
            consulted = None
        rest = replace(held, given=given, consulted=consulted)
        now, wrap_up_s = self._clock.now(), note.rules.wrap_up_s
        return let_go(rest, told, out, now, wrap_up_s=wrap_up_s)

    def _consulted(self, snapshot: Snapshot, call: CallId) -> GivenAgent | None:
        """Return who is consulted; or has the caller since, and is freed with the call.

        An old copy may show the offer of the latter, and that another still has the caller.
        """
        note = self._notes[call]
        agent = note.ticket.agent if note.consultation is None else note.consultation.agent
        offer = None if agent is None else snapshot.offers.get(agent)
        return given_agent(snapshot, offer) if offer and offer.value.call == call else None

    def _transferor(self, snapshot: Snapshot, call: CallId) -> GivenAgent | None:
        passing = self._notes[call].passing
        transferor = None if passing is None else passing.transferor
        if transferor is None or transferor.decision.winner == snapshot.tickets[call].value.agent:
            return None
        offer = snapshot.offers.get(transferor.decision.winner)
        return given_agent(snapshot, offer) if offer and offer.value.call == call else None

    def _given(self, snapshot: Snapshot, call: CallId) -> GivenAgent | None:
        agent = snapshot.tickets[call].value.agent
        offer = None if agent is None else snapshot.offers.get(agent)
        if offer is None or offer.value.call != call:
            return None
        return given_agent(snapshot, offer)


def _agent(given: GivenAgent) -> AgentId:
    return given.offer.value.agent


def _consulted_freed(held: Held | None, at: Now) -> Plan | None:
    if held is None or held.consulted is None:
        return None
    return consulted_freed(held, held.consulted, WITHDRAWN, at)


def _as_joined(ticket: Ticket, note: CallNote) -> Ticket:
    """Let the ticket say that the two were joined, should the former life have died before that."""
    told = note.ticket
    if note.state is not State.CONNECTED or ticket.agent != told.agent:
        return ticket
    return replace(
        ticket,
        state=TicketState.CONNECTED,
        connected_ms=told.connected_ms,
        talks=told.talks,
        talking_ms=told.talking_ms,
    )


def _as_told(held: Held, told: Ticket) -> Held:
    """Let the ticket say in which queue its caller was put, should nobody have written that."""
    if told.queue == held.ticket.value.queue:
        return held
    value = replace(
        held.ticket.value,
        queue=told.queue,
        needs=told.needs,
        any_of=told.any_of,
        attributes=told.attributes,
        priority=told.priority,
        tried=told.tried,
        talks=told.talks,
    )
    return replace(held, ticket=replace(held.ticket, value=value))


_WITHOUT_AGENT = frozenset({State.GREETING, State.QUEUED})
