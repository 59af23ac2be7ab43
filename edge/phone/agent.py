"""An agent's phone with its owner: registers, answers or does not, talks, hangs up."""

from __future__ import annotations

import asyncio
import random

from edge.media.errors import SdpError
from edge.phone.books import summary_of
from edge.phone.call import Call, Turn
from edge.phone.config import AgentPlan
from edge.phone.line import Line
from edge.phone.registration import Registration
from edge.phone.report import How, Report, Role
from edge.phone.rtp import RtpClock
from edge.sip.errors import LocalError
from edge.sip.events import IncomingInvite

_BUSY = 486
_NOT_ACCEPTABLE = 488
_UNAVAILABLE = 480
_TERMINATED = 487
_RINGS_S = 300.0
"""A phone that nobody answers rings until the caller's side gives up."""


class Agent:
    """One agent. Takes one call at a time and refuses a second with 486, which it reports."""

    def __init__(
        self, plan: AgentPlan, line: Line, clock: RtpClock, report: Report, seed: int
    ) -> None:
        self._plan = plan
        self._line = line
        self._clock = clock
        self._report = report
        # Not for secrets: the same seed gives the same behaviour.
        self._dice = random.Random(f"{seed}/{plan.id}")  # noqa: S311 - behaviour, not secrets
        jitter = random.Random(f"{seed}/{plan.id}/registration")  # noqa: S311 - likewise
        self.registration = Registration(
            plan,
            line,
            report,
            jitter,
            is_idle=lambda: self._call is None,
            on_lost=self._stop_ringing,
        )
        self._call: Call | None = None
        """The one at the ear."""
        self._calls: set[Call] = set()
        """Also those that the agent has hung up on, until the other side has heard of it."""
        self._tasks: set[asyncio.Task[None]] = set()
        line.on_invite = self._invited

    async def serve(self) -> None:
        """Be registered and take calls until cancelled."""
        await self.registration.keep()

    async def leave(self) -> None:
        """Hang up and unregister."""
        self._line.on_invite = None
        for call in self._calls:
            call.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.registration.leave()
        self._line.close()

    def _invited(self, event: IncomingInvite) -> None:
        summary = summary_of(self._plan.id, Role.AGENT, event.sip_call_id)
        summary.call = _call_named_by(event)
        call = Call(self._line, self._clock, self._report, summary)
        call.start(event.leg)
        call.tell("invite", call=summary.call)
        if self._call is not None:
            self._refuse(call, _BUSY, "busy")
            return
        self._call = call
        self._calls.add(call)
        task = asyncio.create_task(self._take(call, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, call: Call, event: IncomingInvite) -> None:
        try:
            await self._ring(call, event)
        except LocalError as error:
            # The caller went away at the very moment of a command of ours.
            call.finish(How.CANCELLED, cause="too_late", reason=str(error))
        finally:
            self._calls.discard(call)
            self._put_down(call)

    async def _ring(self, call: Call, event: IncomingInvite) -> None:
        plan, dice = self._plan, self._dice
        declines = dice.random() < plan.decline
        ignores = dice.random() < plan.ignore
        delay_s = (
            _expires_s(event) if ignores and not declines else dice.uniform(*plan.answer_after_s)
        )
        talk_s = dice.uniform(*plan.talk_s)
        self._line.do(lambda stack, now: stack.progress(event.leg, 180, now))
        call.summary.ringing_ms = call.tell("ringing", status=180)
        turn = await call.stay(delay_s)
        if turn is Turn.ENDED:
            return
        if turn is Turn.STOPPED:
            self._refuse(call, _UNAVAILABLE, call.stopped_because)
        elif declines:
            self._refuse(call, plan.decline_status, "declined")
        elif ignores:
            self._refuse(call, _TERMINATED, "ignored")
        elif self._answer(call, event):
            await self._talk(call, talk_s)

    def _answer(self, call: Call, event: IncomingInvite) -> bool:
        offer = event.sdp
        try:
            answer = call.session.offer() if offer is None else call.session.answer(offer)
        except SdpError:
            self._refuse(call, _NOT_ACCEPTABLE, "no_codec")
            return False
        self._line.do(lambda stack, now: stack.answer(event.leg, answer, now))
        call.answered_now(status=200)
        if offer is not None:
            call.aim(offer)
        return True

    async def _talk(self, call: Call, talk_s: float) -> None:
        plan = self._plan
        before_s = talk_s if plan.hold_after_s is None else min(plan.hold_after_s, talk_s)
        turn = await self._stay(call, before_s)
        if turn is Turn.TIME and before_s < talk_s:
            turn = await call.hold(plan.hold_s, silence_s=plan.silence_s)
            if turn is Turn.TIME:
                turn = await call.stay(talk_s - before_s, silence_s=plan.silence_s)
        # From here on the agent can take another call, whether or not anybody hears this BYE: it
        # may wait for an ACK that is lost (RFC 3261 §15) and for an answer, half a minute each.
        self._put_down(call)
        await call.hang_up(_CAUSES.get(turn, "talked"))

    async def _stay(self, call: Call, seconds: float) -> Turn:
        """Talk on; half-way through perhaps ask for a transfer."""
        plan = self._plan
        if self._dice.random() < plan.transfer:
            turn = await call.stay(seconds / 2, silence_s=plan.silence_s)
            if turn is not Turn.TIME:
                return turn
            call.refer(plan.transfer_to)
            seconds /= 2
        return await call.stay(seconds, silence_s=plan.silence_s)

    def _stop_ringing(self) -> None:
        """Give up a call that rings through a proxy that is gone: no CANCEL would come by it."""
        call = self._call
        if call is not None and call.summary.answered_ms is None:
            # Not refused here: its leg may be over, and its own task be about to hear of that.
            call.stop("proxy_lost")

    def _put_down(self, call: Call) -> None:
        if self._call is call:
            self._call = None

    def _refuse(self, call: Call, status: int, cause: str) -> None:
        self._line.do(lambda stack, now: stack.reject(call.leg, status, now))
        call.finish(How.REFUSED, cause=cause, status=status)


_CAUSES = {Turn.NO_MEDIA: "no_media", Turn.STOPPED: "stopped"}


def _expires_s(event: IncomingInvite) -> float:
    """Return how long the INVITE is worth ringing for (RFC 3261 §13.3.1)."""
    text = event.headers.get("expires", "")
    return float(text) if text.isdecimal() else _RINGS_S


def _call_named_by(event: IncomingInvite) -> str:
    """Return our name for the call, from the token that the edge sends along."""
    words = event.headers.get("x-everline-offer", "").split()
    return words[0] if words else event.headers.get("x-everline-call", "")
