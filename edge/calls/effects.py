"""Carries out what the state machine wants done of one call.

SIP effects are done at once, media effects one after the other, writes in their order, each telling
its result as another event. Where one meets a fault of ours, the others are done all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial

import structlog

from edge.acd import call_effects as fx
from edge.acd import call_events as ev
from edge.acd.call import Call
from edge.acd.call_events import NO_ATTEMPT, Attempt
from edge.acd.call_writes import Close, Write
from edge.acd.owed import foreseen, given
from edge.acd.token import Token
from edge.calls.consulting import Consulting
from edge.calls.legs import CallLegs, SipEffect
from edge.calls.media_failure import MediaEffect
from edge.calls.refers import CallTransfers
from edge.calls.sound import CallSound
from edge.calls.tasks import CallTasks
from edge.calls.timers import CallTimers
from edge.calls.tools import Tools
from edge.calls.transfers import Target
from edge.calls.writer import CallWriter
from edge.sip.errors import LocalError
from state.model import AgentId, Decision, Ticket

log = structlog.get_logger()


class CallEffects:
    """One call's."""

    def __init__(  # noqa: PLR0913 - what effects act on, and who hears of it
        self,
        tools: Tools,
        legs: CallLegs,
        *,
        ticket: Ticket,
        sound: CallSound,
        writer: CallWriter,
        consulting: Consulting,
        transfers: CallTransfers,
        timers: CallTimers,
        tasks: CallTasks,
        call: Callable[[], Call | None],
        deliver: Callable[[ev.Event], None],
        reserved: Callable[[Decision, Token], None],
        fault: Callable[[BaseException], None],
    ) -> None:
        """`call` returns where it stands; `deliver` takes what becomes of an effect.

        `reserved` takes an agent to whom the caller is passed on; `fault` a fault of ours.
        """
        self._tools = tools
        self._legs = legs
        self._ticket = ticket
        self.foreseen = ticket
        """The ticket as it will be once everything is written."""
        self._sound = sound
        self._writer = writer
        self._consulting = consulting
        self._transfers = transfers
        self._timers = timers
        self._tasks = tasks
        self._call = call
        self._deliver = deliver
        self._reserved = reserved
        self._fault = fault

    def give(self, agent: AgentId, token: Token, idle_s: float | None) -> None:
        """Take in that the store has granted the call an agent, to be rung under `token`.

        `idle_s`: for how long they had been free; None: nobody knows.
        """
        self._legs.token = token
        self.foreseen = given(self.foreseen, agent, idle_s)

    def carry_out(self, effects: tuple[fx.Effect, ...]) -> None:
        """Carry them out, one after the other."""
        for effect in effects:
            try:
                self._do(effect)
            except LocalError as error:
                # The leg has just ended by itself; the event that says so is on its way.
                name = type(effect).__name__
                log.info("leg_gone", call=self._ticket.call, effect=name, because=str(error))
                self._not_done(effect)
            except Exception as error:  # noqa: BLE001 - the effects that follow are wanted all the same
                self._fault(error)

    def _not_done(self, effect: fx.Effect) -> None:
        """Tell what nobody else will tell of a command that was refused."""
        match effect:
            case fx.ReinviteCaller():
                self._deliver(ev.CallerReinviteRefused(status=_PENDING))
            case fx.ReinviteAgent(attempt=attempt):
                self._deliver(ev.AgentReinviteRefused(attempt=attempt, status=_PENDING))
            case fx.InviteAgent(attempt=attempt):
                self._deliver(ev.AgentRejected(attempt=attempt, status=500, reason="not sent"))
            case _:
                pass

    def _do(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Store(write=write):
                site = self._legs.facts(self._attempt).site
                self.foreseen = foreseen(self.foreseen, write, site)
                self._tasks.spawn(self._tell(self._write(write)))
            case fx.InviteAgent(attempt=attempt, agent=agent, sdp=sdp):
                self._ring(attempt, agent, sdp)
            case fx.HandOver():
                self._tasks.spawn(self._hand_over())
            case fx.ReserveTarget(agent=agent):
                self._tasks.spawn(self._reserve_target(agent))
            case fx.StartTimer(timer=timer, seconds=seconds):
                self._timers.start(timer, seconds, partial(self._deliver, _TIMEOUTS[timer]))
            case fx.StopTimer(timer=timer):
                self._timers.stop(timer)
            case fx.Finished():
                self._finish(effect)
            case _:
                self._pass_on(effect)

    @property
    def _attempt(self) -> Attempt:
        call = self._call()
        return NO_ATTEMPT if call is None else call.attempt

    def _pass_on(self, effect: MediaEffect | SipEffect) -> None:
        if isinstance(effect, MediaEffect):
            self._sound.do(effect)
        else:
            self._legs.do(effect, self._attempt)

    def _ring(self, attempt: Attempt, agent: AgentId, sdp: bytes) -> None:
        if not self._legs.ring(attempt, agent, sdp):
            self._deliver(ev.AgentRejected(attempt=attempt, status=480, reason="not configured"))

    async def _reserve_target(self, agent: AgentId) -> None:
        call = self._call()
        if call is None or call.transferor is None:
            return
        got = await self._transfers.reserve(call.transferor, self.foreseen, agent)
        if isinstance(got, Target):
            self._reserved(got.decision, got.token)
        else:
            self._deliver(ev.TargetRefused(status=got))

    async def _hand_over(self) -> None:
        event = await self._consulting.hand_over()
        if isinstance(event, ev.ConsultedGiven):
            idle_s = self._writer.idle_s
            self.foreseen = given(self.foreseen, event.decision.winner, idle_s)
        self._deliver(event)

    def _finish(self, effect: fx.Finished) -> None:
        self._timers.stop_all()
        self._legs.answer_goodbyes()
        log.info(
            "call_ended",
            call=self._ticket.call,
            outcome=effect.outcome,
            cause=effect.cause,
            did=self._ticket.did,
        )
        self._tools.finished(self._ticket.call)

    async def _tell(self, doing: Coroutine[None, None, ev.Event | None]) -> None:
        event = await doing
        if event is not None:
            self._deliver(event)

    async def _write(self, write: Write) -> ev.Event:
        try:
            event = await self._writer.carry_out(write)
        except Exception as error:  # noqa: BLE001 - a write that is never told of would keep the call
            self._fault(error)
            return ev.WriteRefused(write=write)
        if isinstance(write, Close):
            self._legs.answer_goodbyes()
        return event


_PENDING = 491
_TIMEOUTS: dict[fx.Timer, ev.Event] = {
    fx.Timer.RING: ev.RingTimeout(),
    fx.Timer.RELEASE: ev.ReleaseTimeout(),
}
