"""A caller: dials, waits as long as they care to, talks, hangs up."""

from __future__ import annotations

import asyncio
import secrets

from edge.phone.books import summary_of
from edge.phone.call import Call, Turn
from edge.phone.config import CallerPlan, address
from edge.phone.line import Line
from edge.phone.report import Report, Role
from edge.phone.rtp import RtpClock
from edge.sip.events import LegId
from edge.sip.stack import SipStack

_GRACE_S = 5.0
"""Longer than the transaction's own patience, which ends the wait for an answer."""


class Caller:
    """One call by its plan."""

    def __init__(self, plan: CallerPlan, line: Line, clock: RtpClock, report: Report) -> None:
        self._plan = plan
        self._line = line
        self._clock = clock
        self._report = report
        self._call: Call | None = None
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Hang up now, or do not call at all."""
        self._stopped.set()
        if self._call is not None:
            self._call.stop()

    async def run(self, at_s: float) -> None:
        """Call at `at_s` on the event loop's clock; return when all is over."""
        try:
            async with asyncio.timeout_at(at_s):
                await self._stopped.wait()
        except TimeoutError:
            await self._place()

    async def _place(self) -> None:
        plan = self._plan
        sip_call_id = plan.sip_call_id or f"{secrets.token_hex(12)}@{self._line.host}"
        summary = summary_of(plan.id, Role.CALLER, sip_call_id)
        self._call = call = Call(
            self._line, self._clock, self._report, summary, has_events=plan.has_events
        )
        call.start(self._invite(call))
        summary.local_tag = call.leg
        call.tell("invite", did=plan.did, local_tag=call.leg)
        await call.hang_up(await self._behave(call))

    def _invite(self, call: Call) -> LegId:
        plan, line = self._plan, self._line

        def send(stack: SipStack, now: float) -> LegId:
            return stack.invite(
                request_uri=f"sip:{plan.did}@{plan.carrier}",
                from_uri=f"sip:{plan.number}@{line.host}",
                to_uri=f"sip:{plan.did}@{plan.carrier}",
                next_hop=address(plan.carrier),
                sdp=None if plan.late_offer else call.session.offer(),
                now=now,
                headers=plan.headers,
                sip_call_id=call.summary.sip_call_id,
                timer_b_s=plan.answer_timeout_s,
            )

        return line.do(send)

    async def _behave(self, call: Call) -> str:
        """Do what the plan says; return why to hang up."""
        plan = self._plan
        turn = await call.stay(_or(plan.give_up_s, plan.answer_timeout_s + _GRACE_S), answer=True)
        if turn is not Turn.ANSWERED:
            return _cause(turn, "gave_up")
        left_s = plan.patience_s
        if plan.digits:
            turn = await call.stay(plan.digits_after_s, silence_s=plan.silence_s)
            if turn is not Turn.TIME:
                return _cause(turn, "talked")
            call.key(plan.digits)
            left_s -= plan.digits_after_s
        turn = await call.stay(left_s, chord=True, silence_s=plan.silence_s)
        if turn is not Turn.CHORD:
            return _cause(turn, "impatient")
        before_s = min(_or(plan.hold_after_s, plan.talk_s), plan.talk_s)
        turn = await call.stay(before_s, silence_s=plan.silence_s)
        if turn is Turn.TIME and before_s < plan.talk_s:
            turn = await call.hold(plan.hold_s, silence_s=plan.silence_s)
            if turn is Turn.TIME:
                turn = await call.stay(plan.talk_s - before_s, silence_s=plan.silence_s)
        return _cause(turn, "talked")


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _cause(turn: Turn, of_time: str) -> str:
    match turn:
        case Turn.NO_MEDIA:
            return "no_media"
        case Turn.STOPPED:
            return "stopped"
        case Turn.TIME | Turn.ENDED | Turn.CHORD | Turn.ANSWERED:
            return of_time
