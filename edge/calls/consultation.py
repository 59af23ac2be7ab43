"""One consultation's shell: gives events to its state machine and carries the effects out.

Decides nothing (`edge.acd.consultation`). Its two legs, its media and its timers are its own; what
it writes goes in its turn among the writes of the caller's call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import assert_never

import structlog

from edge.acd import call_effects as fx
from edge.acd import consultation as cs
from edge.acd import transferring
from edge.acd.call import Call, State
from edge.acd.call_events import Attempt, Side
from edge.acd.ending import WITHDRAWN
from edge.acd.plan import Held, Plan
from edge.acd.token import NO_TOKEN
from edge.calls.beside import answer_beside, answer_early
from edge.calls.journal import ConsultationNote
from edge.calls.legs import Lent, reason_field
from edge.calls.pair_media import PairMedia
from edge.calls.records import CallRecords
from edge.calls.ringing import Rung
from edge.calls.tasks import CallTasks
from edge.calls.timers import CallTimers
from edge.calls.tools import Tools
from edge.calls.transfers import Target
from edge.media.errors import MediaError
from edge.sip import events as sip
from edge.sip.dialog import Dialog
from edge.sip.errors import LocalError
from edge.sip.events import LegId
from edge.sip.replaces import Replaces
from state.discreet import fault
from state.model import AgentId, Decision, Now, Ticket

log = structlog.get_logger()

_PENDING = 491
_RINGS = 180


class ConsultationShell:
    """One consultation of the agent `by`, whose leg in the caller's call is of `attempt`."""

    def __init__(  # noqa: PLR0913 - who calls whom about whom
        self,
        tools: Tools,
        *,
        records: CallRecords,
        media: PairMedia,
        ticket: Ticket,
        by: AgentId,
        attempt: Attempt,
        agent: AgentId,
        invite: sip.IncomingInvite,
        sdp: bytes,
        ring_s: float,
        changed: Callable[[], None],
    ) -> None:
        self._tools = tools
        self._records = records
        self._media = media
        self._ticket = ticket
        self._by = by
        self._attempt = attempt
        self._agent = agent
        self._invite = invite
        self._asker = invite.leg
        self._sdp = sdp
        self._ring_s = ring_s
        self._changed = changed
        self._now = cs.Consultation()
        self._colleague: Rung | None = None
        self._token = NO_TOKEN
        self._decision: Decision | None = None
        self._offers: dict[LegId, bytes | None] = {}
        """Whose offer is with the relay."""
        self._timers = CallTimers()
        self._tasks = CallTasks(self._fault)
        self._moved = asyncio.Event()

    # -- what others ask

    @property
    def agent(self) -> AgentId:
        """The colleague."""
        return self._agent

    @property
    def is_over(self) -> bool:
        """Whether nothing is left of it."""
        return self._now.stage is cs.Stage.ENDED

    @property
    def is_talking(self) -> bool:
        """Whether the two talk with each other."""
        return self._now.stage is cs.Stage.TALKING

    @property
    def is_ringing(self) -> bool:
        """Whether the colleague's telephone has been rung, and nobody has answered."""
        return self._now.stage is cs.Stage.RINGING

    def is_of(self, replaces: Replaces) -> bool:
        """Tell whether that is the asker's dialog of it."""
        return replaces.names(self._invite)

    @property
    def note(self) -> ConsultationNote | None:
        """What a next life has to know of it."""
        if self.is_over:
            return None
        colleague = None if self._colleague is None else self._dialog(self._colleague.leg)
        return ConsultationNote(
            agent=self._agent, asker=self._dialog(self._asker), colleague=colleague
        )

    # -- what happens to it

    def begin(self) -> None:
        """Reserve the colleague, and go on from there."""
        log.info("consultation", call=self._ticket.call, agent=self._by, of=self._agent)
        self._tools.listen(self._asker, self._of_asker)
        self._changed()
        self._tasks.spawn(self._reserve())

    def follow(self, call: Call) -> None:
        """See whether the caller's call goes on without it."""
        if self._now.is_over:
            return
        transferor = call.transferor
        if self._now.is_promised or self._now.stage in {cs.Stage.HANDING, cs.Stage.HANDED}:
            is_bound = transferor is not None and transferor.attempt == self._attempt
        else:
            is_bound = call.state is State.CONNECTED and call.attempt == self._attempt
        if not is_bound or call.state in {State.ENDING, State.ENDED}:
            is_done = self._now.stage is cs.Stage.HANDED and call.state is State.CONNECTED
            self.deliver(cs.Cut(why="transferred" if is_done else "call_went_on"))

    @property
    def decision(self) -> Decision | None:
        """Why the colleague was reserved."""
        return self._decision

    def promise(self) -> bool:
        """Let the colleague have the caller, once they have answered; False: it is too late."""
        self.deliver(cs.HandingOver())
        is_wanted = self._now.is_promised or self._now.stage is cs.Stage.HANDING
        return is_wanted and not self._now.is_over

    async def ended(self) -> None:
        """Wait until nothing is left of it, once it is ending."""
        while not self.is_over:
            self._moved.clear()
            await self._moved.wait()

    async def answered(self) -> int | None:
        """Wait until who is promised the caller has answered; or return why they have not."""
        while self._now.stage is not cs.Stage.HANDING:
            if self._now.is_over:
                return self._now.status
            self._moved.clear()
            await self._moved.wait()
        return None

    def hand_over(self) -> Lent | None:
        """Let the caller's call have the colleague; None: there is no colleague any more."""
        rung = self._colleague
        if self._now.stage is not cs.Stage.HANDING or rung is None:
            return None
        self._tools.listen(rung.leg, None)
        if rung.leg in self._offers:
            # The relay will answer for this talk, which is over, and they could not be asked in.
            answer_beside(self._tools.sip, rung.leg, self._offers.pop(rung.leg))
        self._colleague = None
        self.deliver(cs.HandedOver())
        return Lent(rung=rung, token=self._token)

    def deliver(self, event: cs.Event) -> None:
        """Take one event."""
        before = self._now
        self._now, effects = cs.step(before, event)
        if self._now.stage is not before.stage:
            log.info(
                "consultation_state",
                call=self._ticket.call,
                was=before.stage,
                state=self._now.stage,
                because=type(event).__name__,
            )
        if self._now.is_over and not before.is_over:
            self._timers.stop(fx.Timer.RING)
            ends = fx.Timer.RELEASE
            self._timers.start(ends, cs.RELEASE_S, lambda: self.deliver(cs.ReleaseTimeout()))
        for effect in effects:
            self._try_to(effect)
        if self._now.stage is not before.stage:
            self._moved.set()
            self._changed()

    # -- what its legs say

    def _of_asker(self, event: sip.Event) -> None:
        match event:
            case sip.Cancelled() | sip.Ended():
                self.deliver(cs.AskerLeft())
            case _:
                self._of_both(self._asker, Side.CALLER, event)

    def _of_colleague(self, event: sip.Event) -> None:
        match event:
            case sip.Progress(status=status):
                if status >= _RINGS:
                    self.deliver(cs.Rings())
            case sip.Answered(sdp=sdp):
                self._timers.stop(fx.Timer.RING)
                self.deliver(cs.Answered(sdp=sdp))
            case sip.Rejected(status=status, reason=reason):
                self.deliver(cs.ColleagueLeft(status=status, reason=reason))
            case sip.Ended():
                self.deliver(cs.ColleagueLeft())
            case _:
                if self._colleague is not None:
                    self._of_both(self._colleague.leg, Side.AGENT, event)

    def _of_both(self, leg: LegId, side: Side, event: sip.Event) -> None:
        """Pass hold, resume and another address on; between the two, and to nobody else."""
        match event:
            case sip.OfferReceived(is_early=True):
                answer_early(self._tools.sip, event)
            case sip.OfferReceived(sdp=sdp) if self.is_talking:
                self._tasks.spawn(self._renegotiate(leg, side, sdp))
            case sip.OfferReceived():
                with contextlib.suppress(LocalError):
                    self._tools.sip.refuse_offer(leg, _PENDING)
            case sip.OfferAnswered(sdp=sdp) if sdp is not None and self.is_talking:
                self._tasks.spawn(self._media.settle(side, sdp))
            case sip.ReferReceived(transaction=transaction):
                with contextlib.suppress(LocalError):
                    self._tools.sip.refuse_refer(transaction, 403, "Refer in the caller's call")
            case _:
                pass

    async def _renegotiate(self, leg: LegId, side: Side, sdp: bytes | None) -> None:
        before = self._media.said(side)
        self._offers[leg] = sdp
        try:
            told = await self._media.renegotiate(side, sdp)
        except MediaError:
            told = None
        if leg not in self._offers:
            return  # answered as they were handed the caller
        del self._offers[leg]
        if told is None:
            with contextlib.suppress(LocalError):
                self._tools.sip.refuse_offer(leg, 488)
            return
        try:
            self._tools.sip.answer_offer(leg, told)
        except LocalError:
            # They have cancelled it meanwhile, and were never told otherwise.
            await self._media.withdraw(side, before)

    # -- what it does

    def _try_to(self, effect: cs.Effect) -> None:
        try:
            self._do(effect)
        except LocalError as error:
            # The leg has just ended by itself; the event that says so is on its way.
            log.info("leg_gone", call=self._ticket.call, because=str(error))
        except Exception as error:  # noqa: BLE001 - the effects that follow are wanted all the same
            self._fault(error)

    def _do(self, effect: cs.Effect) -> None:  # noqa: C901, PLR0912 - one case an effect
        call_sip = self._tools.sip
        match effect:
            case cs.Prepare():
                self._tasks.spawn(self._prepare())
            case cs.Ring(sdp=sdp):
                self._ring(sdp)
            case cs.TellItRings():
                call_sip.progress(self._asker, _RINGS)
            case cs.Join(sdp=sdp):
                self._tasks.spawn(self._join(sdp))
            case cs.Answer(sdp=sdp):
                self._tasks.spawn(self._mark_talking())
                call_sip.answer(self._asker, sdp)
            case cs.Refuse(status=status, reason=reason):
                self._tools.listen(self._asker, None)
                call_sip.reject(self._asker, status, reason=reason)
            case cs.HangUpAsker(why=why):
                call_sip.bye(self._asker, reason=reason_field(why))
            case cs.HangUpColleague(why=why):
                if self._colleague is not None:
                    call_sip.let_go(self._colleague.leg, reason=reason_field(why))
            case cs.CloseMedia():
                self._tasks.spawn(self._media.close())
            case cs.Free():
                self._tasks.spawn(self._free())
            case cs.Finished():
                self._timers.stop_all()
            case _:
                assert_never(effect)

    async def _reserve(self) -> None:
        got = await self._tools.transfers.reserve(
            self._records, self._ticket, self._by, self._agent, consults=True
        )
        if isinstance(got, Target):
            self._token, self._decision = got.token, got.decision
            self.deliver(cs.Reserved())
        else:
            self.deliver(cs.NotReserved(status=got, reason="Not to be had"))

    async def _prepare(self) -> None:
        try:
            self.deliver(cs.Prepared(sdp=await self._media.prepare(self._sdp)))
        except MediaError as error:
            self._media_failed("prepare", error)

    def _ring(self, sdp: bytes) -> None:
        rung = self._tools.ringing.ring(
            self._ticket, self._agent, sdp, self._token, calling=self._by
        )
        if rung is None:
            self.deliver(cs.ColleagueLeft(reason="not configured"))
            return
        self._colleague = rung
        self._tools.listen(rung.leg, self._of_colleague)
        self._timers.start(fx.Timer.RING, self._ring_s, lambda: self.deliver(cs.RingTimeout()))

    async def _join(self, sdp: bytes) -> None:
        try:
            self.deliver(cs.Joined(sdp=await self._media.join(sdp)))
        except MediaError as error:
            self._media_failed("join", error)

    def _media_failed(self, step: str, error: MediaError) -> None:
        log.warning("media_failed", call=self._ticket.call, step=step, error=str(error))
        self.deliver(cs.MediaGone())

    async def _mark_talking(self) -> None:
        def make(held: Held | None, at: Now) -> Plan | None:
            if held is None or held.consulted is None:
                return None
            return transferring.consulted_talks(held, held.consulted, at)

        await self._records.write(make)

    async def _free(self) -> None:
        def make(held: Held | None, at: Now) -> Plan | None:
            if held is None or held.consulted is None:
                return None  # the end of the caller's call has freed them
            return transferring.consulted_freed(held, held.consulted, WITHDRAWN, at)

        await self._records.write(make)

    def _dialog(self, leg: LegId) -> Dialog | None:
        try:
            return self._tools.sip.dialog(leg)
        except LocalError:
            return None

    def _fault(self, error: BaseException) -> None:
        log.error("consultation_fault", call=self._ticket.call, **fault(error))
        self.deliver(cs.Cut(why="internal_error"))
