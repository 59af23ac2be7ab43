"""Calls people back: takes what is due into the line, dials once an agent is reserved, hands over.

The shell of `edge.acd.callback`. Until the caller answers there is a ticket, a reserved agent and
one INVITE of ours (`edge.calls.dialled`); from then on it is a call like any other, and the
switchboard's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping

import structlog

from edge.acd.call import Rules
from edge.acd.callback import (
    NOT_REACHED,
    call_of,
    cancelled,
    clearance_of,
    is_due,
    picked_up,
    way_to,
)
from edge.acd.ending import WITHDRAWN, Ending
from edge.acd.heirs import left_places
from edge.acd.in_doubt import Doubts
from edge.acd.places import taking
from edge.acd.plan import Held, Plan
from edge.acd.reservation import ended
from edge.acd.still_held import is_closed
from edge.calls.callback import Callback, Stage, is_of, is_on_the_line
from edge.calls.dialled import DialledLegs
from edge.calls.places import places_of
from edge.calls.records import CallRecords, Landed
from edge.calls.switchboard import Switchboard
from edge.calls.telephony import Telephony
from edge.errors import CommandError
from edge.media.errors import MediaError
from edge.media.relay import Relay
from edge.settings import Settings
from edge.sip.events import LegId
from edge.steering import chosen, taking_calls
from edge.waiting import Line
from state import keys
from state.clock import Clock
from state.codec import encode
from state.discreet import fault
from state.errors import StoreError
from state.keys import Kind
from state.model import (
    CallId,
    Entry,
    Now,
    Outcome,
    Place,
    Ticket,
)
from state.snapshot import Delta, Snapshot
from state.store import ModIs, Put, Store
from state.wake import Wake

log = structlog.get_logger()

LOOK_S = 0.5
CALLED_AGAIN = "called_again"
STOPPED = "edge_stopped"


class Callbacks:
    """The callbacks of this edge."""

    def __init__(  # noqa: PLR0913  both sides of what it joins
        self,
        *,
        settings: Settings,
        clock: Clock,
        store: Store,
        sip: Telephony,
        media: Relay,
        snapshot: Callable[[], Snapshot],
        switchboard: Switchboard,
        is_alone: Callable[[], bool],
        line: Line,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._store = store
        self._sip = sip
        self._media = media
        self._snapshot = snapshot
        self._switchboard = switchboard
        self._is_alone = is_alone
        self._line = line
        self._held: dict[CallId, Callback] = {}
        self._dialled = DialledLegs(
            settings=settings,
            sip=sip,
            media=media,
            snapshot=snapshot,
            on_answer=self._answer,
            on_over=self._over,
        )
        self.take = self._dialled.take
        """Every event of every call passes here, so nothing stands between."""
        self._wake = Wake()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what others ask

    def call(self, call: CallId) -> Callback | None:
        """Return a callback that is held here."""
        return self._held.get(call)

    def holds(self, call: CallId) -> bool:
        """Tell whether a callback is held here."""
        return call in self._held

    def held(self) -> list[Callback]:
        """Return the callbacks that are held here."""
        return list(self._held.values())

    def waiting(self) -> list[CallId]:
        """Return those of whom nobody has been dialled: another edge can do that as well.

        Without a quorum it will, a moment after the lease has run out: nobody is to be called back
        by both.
        """
        return [each.id for each in self._held.values() if each.stage is Stage.WAITING]

    def stages(self) -> Mapping[str, int]:
        """Count them by how far they are."""
        counts: dict[str, int] = {}
        for each in self._held.values():
            counts[each.stage] = counts.get(each.stage, 0) + 1
        return counts

    @property
    def is_busy(self) -> bool:
        """Whether a callback is held here, or somebody may answer yet whom nobody waits for."""
        return bool(self._held or self._dialled)

    async def cancel(self, call: CallId) -> None:
        """Call nobody back for this lost call. Raises CommandError if nobody is to be."""
        place = self._snapshot().places.get(call)
        if place is None or place.value.due_s is None:
            underway = any(each.ticket.callback_of == call for each in self._held.values())
            why = "they are being called now" if underway else "nobody is to be called back for it"
            raise CommandError(f"no callback {call} to cancel: {why}")
        key = keys.place(call)
        same = ModIs(key=key, mod_revision=place.mod_revision)
        try:
            put = Put(key=key, value=encode(cancelled(place)))
            written = await self._store.txn((same,), (put,))
        except StoreError as error:
            raise CommandError(f"the callback {call} was not cancelled: {error}") from error
        if not written.succeeded:
            raise CommandError(f"the callback {call} has just changed: ask again")
        log.info("callback_cancelled", call=call)

    # -- what is due

    def wake(self) -> None:
        """Look again soon."""
        self._wake.set()

    async def run(self) -> None:
        """Take what is due into the line, until cancelled."""
        while True:
            await self._wake.wait(LOOK_S)
            if self._is_alone() or self._switchboard.is_draining:
                continue
            await self._look()

    async def _look(self) -> None:
        snapshot, now = self._snapshot(), self._clock.now()
        edges, doubts = taking_calls(snapshot), Doubts(snapshot)
        for place in left_places(snapshot):
            is_mine = chosen(edges, place.value.call) == self._settings.edge
            if not is_mine or not is_due(snapshot, place, now, doubts):
                continue
            # They may have called while the one before was written.
            as_it_stands = self._snapshot()
            if not is_on_the_line(as_it_stands, place):
                await self._pick_up(as_it_stands, place, now)

    async def _pick_up(self, snapshot: Snapshot, place: Entry[Place], now: Now) -> None:
        queue = snapshot.queues.get(place.value.queue) if place.value.queue is not None else None
        rules = place.value.call_back
        way = None if queue is None else way_to(snapshot, queue.value, place.value.caller)
        call = call_of(place)
        if queue is None or way is None or rules is None or call in self._held:
            return
        others = places_of(left_places(snapshot), place.value.caller, place.value.did)
        plan = picked_up(
            place,
            queue.value,
            others=[each for each in others if each is not place],
            clearance=clearance_of(snapshot, place),
            edge=self._settings.edge,
            site=self._settings.site,
            sip_call_id=f"{call}@everline",
            at=now,
        )
        if plan.after is None:
            return
        records = CallRecords(store=self._store, clock=self._clock, call=call)
        back = Callback(
            ticket=plan.after.ticket.value,
            way=way,
            rules=rules,
            queue=queue.value,
            records=records,
            dial=self._begin_to_dial,
        )
        # Held before it is written: the mirror may show the ticket before the store's answer.
        self._held[call] = back
        written = await records.write(lambda _, __: plan, wait=False)
        if isinstance(written, Landed):
            log.info("callback_waits", call=call, of=place.value.call, tries=back.ticket.tries)
            self._line.waits(call)
        else:
            del self._held[call]

    # -- dialling

    def _begin_to_dial(self, back: Callback) -> None:
        """Call the caller of whom an agent has been reserved."""
        self._spawn(self._dial(back), back)

    async def _dial(self, back: Callback) -> None:
        if not await self._dialled.dial(back):
            await self._give_up(back, NOT_REACHED)

    def _over(self, back: Callback, cause: str) -> None:
        self._spawn(self._give_up(back, cause), back)

    def _answer(self, back: Callback, leg: LegId, sdp: bytes) -> None:
        self._spawn(self._answered(back, leg, sdp), back)

    async def _answered(self, back: Callback, leg: LegId, sdp: bytes) -> None:
        """Hand the caller who is there to the switchboard, which rings the agent."""
        try:
            await self._media.caller_answered(back.id, sdp)
        except MediaError as error:
            log.warning("callback_without_media", call=back.id, error=str(error))
            self._sip.let_go(leg, reason="")
            await self._give_up(back, NOT_REACHED)
            return
        decision, token = back.decision, back.token
        # Their goodbye may have come in this very turn, and its task not have had its own.
        has_left = back.stage is not Stage.ANSWERED or back.leg is None
        if has_left or decision is None or token is None:
            return
        self._dialled.hand_over(leg)
        self._forget(back)
        self._switchboard.take_called_back(
            ticket=back.ticket,
            leg=leg,
            records=back.records,
            queue=back.queue,
            rules=Rules.of(back.queue, greeting=False),
            decision=decision,
            token=token,
            said=sdp,
            told=back.offered,
        )
        await self._forget_others(back)

    async def _forget_others(self, back: Callback) -> None:
        """Delete what the caller has left of other calls: they have been called back now."""
        ticket = back.ticket
        places = left_places(self._snapshot())
        compares, deletes = taking(places_of(places, ticket.caller, ticket.did))
        if not deletes:
            return
        try:
            await self._store.txn(compares, deletes)
        except StoreError as error:
            # Then they are called once more.
            log.warning("places_not_forgotten", call=back.id, error=str(error))

    async def _give_up(self, back: Callback, cause: str) -> None:
        """Let the agent go, and leave the caller for another time, if there is one."""
        if back.stage is Stage.OVER:
            return
        back.stage = Stage.OVER
        log.info("callback_in_vain", call=back.id, cause=cause, tries=back.ticket.tries)
        ending = Ending(outcome=Outcome.CALLBACK, cause=cause, decision=back.decision)

        def make(held: Held | None, at: Now) -> Plan | None:
            return None if held is None else ended(held, ending, WITHDRAWN, at)

        await self._release(back)
        await back.records.end(make, self._settings.edge)
        self._forget(back)

    async def _release(self, back: Callback) -> None:
        """Let the relay forget it."""
        try:
            await self._media.release(back.id)
        except MediaError as error:
            log.warning("media_not_released", call=back.id, error=str(error))

    def _forget(self, back: Callback) -> None:
        back.stage = Stage.OVER
        if back.timer is not None:
            back.timer.cancel()
        self._held.pop(back.id, None)
        self._line.gone(back.id)

    def stop(self) -> None:
        """Let go of every callback: whoever answered would hear nobody. Others take them up."""
        for back in list(self._held.values()):
            if back.leg is not None:
                self._sip.let_go(back.leg, reason=f'Q.850;cause=16;text="{STOPPED}"')
            self._spawn(self._give_up(back, STOPPED), back)

    # -- what the mirror shows

    def take_delta(self, delta: Delta) -> None:
        """See whether a ticket of ours has been closed by somebody else."""
        if delta.kind in {Kind.PLACE, Kind.CLEARANCE}:
            self._wake.set()
        if delta.kind is not Kind.TICKET:
            return
        if delta.before is None and delta.after is not None:
            self._see_whether_they_call(delta.after.value)
        back = self._held.get(CallId(delta.id))
        if back is None or back.records.held is None or delta.after is not None:
            return
        if delta.before is not None and back.stage is not Stage.OVER:
            held, shown = back.records.held.ticket, delta.before
            if is_closed(held.mod_revision, shown.mod_revision, self._snapshot().revision):
                log.warning("callback_lost", call=back.id)
                self._forget(back)
                if back.leg is not None:
                    self._sip.let_go(back.leg, reason="")
                self._spawn(self._release(back), back)

    def _see_whether_they_call(self, ticket: object) -> None:
        """Let whoever calls by themselves have their place, if they have not been dialled yet."""
        if not isinstance(ticket, Ticket):
            return
        for back in list(self._held.values()):
            is_theirs = is_of(ticket, back.ticket.caller, back.ticket.did)
            if is_theirs and back.stage is Stage.WAITING:
                self._spawn(self._give_up(back, CALLED_AGAIN), back)

    # -- tasks

    def _spawn(self, doing: Coroutine[None, None, None], back: Callback) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)

        def done(ended_: asyncio.Task[None]) -> None:
            self._tasks.discard(ended_)
            if not ended_.cancelled() and (error := ended_.exception()) is not None:
                log.error("callback_fault", call=back.id, **fault(error))
                self._faulted(back)

        task.add_done_callback(done)

    def _faulted(self, back: Callback) -> None:
        """Let everybody go: the caller keeps their place for another time, the agent is free."""
        if back.stage is Stage.OVER:
            self._forget(back)
            return
        if back.leg is not None:
            self._sip.let_go(back.leg, reason="")
        self._spawn(self._give_up(back, NOT_REACHED), back)
