"""One phone's half of one call: signalling, audio and what is told of it.

Owns what agents and callers have in common once a call exists: where audio goes, answering the
other side's offers, hold, hanging up, the summary. Who does what when is `agent`'s and `caller`'s
business.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct

from custody import g711
from edge.media.errors import SdpError
from edge.phone import tones
from edge.phone.books import count, how_of, put_down
from edge.phone.line import Line
from edge.phone.report import How, Report, Summary
from edge.phone.rtp import RtpClock, RtpStream
from edge.phone.session import MediaSession
from edge.sip.errors import LocalError
from edge.sip.events import (
    CROSSED,
    Answered,
    Cancelled,
    Confirmed,
    Ended,
    EndedBy,
    Event,
    LegId,
    Notified,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    Progress,
    Rejected,
)
from edge.sip.stack import SipStack

_BYE_TIMEOUT_S = 40.0
"""Longer than the stack takes to give BYE up (timer F)."""
_STOP_TIMEOUT_S = 2.0
"""When the process is to end, nobody waits that long."""
_FAILED = 300
_OFFER_TIMEOUT_S = 35.0


class Heard(Struct, frozen=True):
    """The sound has changed to this name."""

    name: str


class Turn(StrEnum):
    """Why a stretch of a call is over."""

    TIME = "time"
    ENDED = "ended"
    CHORD = "chord"
    NO_MEDIA = "no_media"
    STOPPED = "stopped"
    ANSWERED = "answered"


class Call:
    """A call from its INVITE to its summary. `start` gives it its leg."""

    def __init__(
        self,
        line: Line,
        clock: RtpClock,
        report: Report,
        summary: Summary,
        *,
        has_events: bool = True,
    ) -> None:
        self.line = line
        self.report = report
        self.summary = summary
        self.stream = RtpStream(clock, line.host, on_sound=lambda name: self.put(Heard(name)))
        self.session = MediaSession(
            host=line.host,
            port=self.stream.port,
            session_id=secrets.randbits(31),
            has_events=has_events,
        )
        self.chord = tones.chord_for(f"{summary.sip_call_id}:{summary.role}")
        summary.sent_chord = str(self.chord)
        self._began = report.now()
        summary.invite_ms = self._began.wall_ms
        self._leg: LegId | None = None
        self._inbox: deque[Event | Heard] = deque()
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._ended = False
        self._stopped = False
        self.stopped_because = ""
        self._why_we_end = ""
        self._offering = False
        self._referred_s = 0.0
        self._held_by_them = False
        self._event_type: int | None = None
        self._quiet_since_s = self._loop.time()

    @property
    def leg(self) -> LegId:
        """The leg; there is one from `start` on."""
        if self._leg is None:
            raise LocalError("this call has no leg yet")
        return self._leg

    def start(self, leg: LegId) -> None:
        """Take the leg's events from now on."""
        self._leg = leg
        self.line.attach(leg, self.put)

    def stop(self, because: str = "stopped") -> None:
        """Let whoever plays this call hang up now."""
        self._stopped = True
        self.stopped_because = because
        self._news.set()

    def put(self, item: Event | Heard) -> None:
        """Hand the call an event."""
        self._inbox.append(item)
        self._news.set()

    def tell(self, event: str, **fields: object) -> int:
        """Report an event of this call; return its wall-clock stamp in milliseconds."""
        summary = self.summary
        now = self.report.event(
            event,
            phone=summary.phone,
            role=summary.role,
            sip_call_id=summary.sip_call_id,
            **fields,
        )
        return now.wall_ms

    # -- time passes

    async def stay(
        self,
        seconds: float,
        *,
        silence_s: float | None = None,
        chord: bool = False,
        answer: bool = False,
    ) -> Turn:
        """Let the call go on; return why it went on no longer.

        `chord`: return when one has been heard; `answer`: when the INVITE has been answered;
        `silence_s`: when no RTP has come for so long, hold not counted.
        """
        ends_s = self._loop.time() + seconds
        while True:
            self._catch_up()
            if self._ended:
                return Turn.ENDED
            if self._stopped:
                return Turn.STOPPED
            if answer and self.summary.answered_ms is not None:
                return Turn.ANSWERED
            if chord and self.summary.joined_ms is not None:
                return Turn.CHORD
            now_s = self._loop.time()
            left_s = ends_s - now_s
            if left_s <= 0:
                return Turn.TIME
            if silence_s is not None:
                bearable_s = self._last_sound_s(now_s) + silence_s - now_s
                if bearable_s <= 0:
                    return Turn.NO_MEDIA
                left_s = min(left_s, bearable_s)
            await self._wait(left_s)

    def _catch_up(self) -> None:
        """Take all that has happened, so that no command meets a leg that has just changed."""
        while self._inbox:
            self._take(self._inbox.popleft())

    async def _wait(self, seconds: float) -> None:
        """Return when something happens, or after `seconds`."""
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    def _last_sound_s(self, now_s: float) -> float:
        if self._held_by_them or self.session.on_hold:
            self._quiet_since_s = now_s
        return max(self._quiet_since_s, self.stream.last_received_s or 0.0)

    def _take(self, item: Event | Heard) -> None:
        match item:
            case Heard():
                self._heard(item.name)
            case Progress():
                self._progressed(item)
            case Answered():
                self._answered(item)
            case Confirmed() | OfferAnswered():
                self._offering = False
                if item.sdp is not None:
                    self.aim(item.sdp)
            case OfferReceived():
                self._offered(item)
            case Notified():
                self._referred(item)
            case OfferRefused():
                self._offering = False
                self.tell("offer_refused", status=item.status, timeout=item.timeout)
            case Rejected() | Cancelled() | Ended():
                self._take_end(item)
            case _:
                pass  # INFO, NOTIFY, a withdrawn offer: nothing that a person would notice

    def _take_end(self, item: Rejected | Cancelled | Ended) -> None:
        match item:
            case Rejected():
                how = How.SILENCE if item.timeout else How.REFUSED
                self.finish(how, cause="rejected", reason=item.reason, status=item.status)
            case Cancelled():
                self.finish(How.CANCELLED, cause="cancelled", reason=item.reason)
            case Ended():
                ours = item.by is not EndedBy.REMOTE and self._why_we_end != ""
                cause = self._why_we_end if ours else item.cause
                self.summary.crossed = item.cause == CROSSED
                self.finish(how_of(item, ours=ours), cause=cause, reason=item.reason)

    # -- audio

    def aim(self, sdp: bytes) -> None:
        """Send where `sdp` wants it, or nowhere when it does not listen."""
        try:
            remote = self.session.remote(sdp)
        except SdpError as error:
            self.tell("sdp_unusable", why=str(error))
            return
        self._held_by_them = not remote.may_send
        self._event_type = remote.event_type
        if remote.may_send and not self.session.on_hold:
            payload = g711.encode(tones.samples(self.chord), remote.payload_type)
            self.stream.send_to(remote.host, remote.port, payload, remote.payload_type)
        else:
            self.stream.pause()

    def key(self, digits: str) -> None:
        """Key digits, if the other side takes them; how many it was is told, never which."""
        if not self.session.has_events:
            self.stream.key_tones(digits)
        elif self._event_type is None:
            self.tell("digits_not_taken")
            return
        else:
            self.stream.key(digits, self._event_type)
        self.summary.digits += len(digits)
        self.tell("keyed", digits=len(digits))

    def _heard(self, name: str) -> None:
        foreign = name[:1].isdecimal() and name != self.summary.sent_chord
        if foreign and self.summary.joined_ms is None:
            self.summary.joined_ms = self.tell("joined", chord=name)

    # -- their doing

    def _progressed(self, event: Progress) -> None:
        if self.summary.ringing_ms is None:
            self.summary.ringing_ms = self.tell("ringing", status=event.status)
        if event.needs_prack_sdp and event.sdp is not None:
            self._acknowledge(event.sdp)

    def _answered(self, event: Answered) -> None:
        self.answered_now(status=200)
        if event.needs_ack_sdp:
            self._acknowledge(event.sdp)
        else:
            self.aim(event.sdp)

    def _acknowledge(self, offer: bytes) -> None:
        """Answer an offer that came with a response to our INVITE without one."""
        try:
            answer = self.session.answer(offer)
        except SdpError:
            answer = self.session.offer()  # RFC 3261 §13.2.2.4: acknowledge, then hang up
        self.line.do(lambda stack, now: stack.acknowledge(self.leg, answer, now))
        self.aim(offer)

    def _offered(self, event: OfferReceived) -> None:
        self.summary.reinvites += 1
        try:
            answer = self.session.offer() if event.sdp is None else self.session.answer(event.sdp)
        except SdpError as error:
            self.tell("reinvite", accepted=False, why=str(error))
            self._reply(lambda stack, now: stack.refuse_offer(self.leg, 488, now))
            return
        self.tell("reinvite", accepted=True, method=event.method)
        self._reply(lambda stack, now: stack.answer_offer(self.leg, answer, now))
        if event.sdp is not None:
            self.aim(event.sdp)

    # -- our doing

    def answered_now(self, *, status: int) -> None:
        """Note the 200, ours or theirs."""
        self._quiet_since_s = self._loop.time()
        self.summary.answered_ms = self.tell("answered", status=status)
        elapsed_s = self.report.now().mono_s - self._began.mono_s
        self.summary.setup_ms = round(elapsed_s * 1000)

    async def hold(self, seconds: float, *, silence_s: float) -> Turn:
        """Put the other side on hold for a while and come back."""
        self.session.on_hold = True
        self.stream.pause()
        turn = await self._offer(silence_s)
        if turn is not None:
            return turn
        self.tell("held")
        turn = await self.stay(seconds)
        if turn is not Turn.TIME:
            return turn
        self.session.on_hold = False
        turn = await self._offer(silence_s)
        if turn is None:
            self.summary.held += 1
            self.tell("resumed")
        return turn or Turn.TIME

    def refer(self, target: str) -> None:
        """Ask the other side to call `target` in our place; `transfer` tells how that goes."""
        self._referred_s = self._loop.time()
        self.line.do(lambda stack, now: stack.refer(self.leg, target, now))

    def _referred(self, event: Notified) -> None:
        summary = self.summary
        if event.status < _FAILED:
            summary.passed_on_ms = summary.passed_on_ms or self.report.now().wall_ms
        elif summary.hung_up_ms is None:
            summary.passed_on_ms = None
        if event.final:
            took_ms = round((self._loop.time() - self._referred_s) * 1000)
            self.tell("transfer", status=event.status, took_ms=took_ms)

    async def _offer(self, silence_s: float) -> Turn | None:
        """Offer what the session says now; None when it was answered or refused."""
        self._offering = True
        offer = self.session.offer()
        self.line.do(lambda stack, now: stack.reinvite(self.leg, offer, now))
        ends_s = self._loop.time() + _OFFER_TIMEOUT_S
        while self._offering and self._loop.time() < ends_s:
            turn = await self.stay(0.02, silence_s=silence_s)
            if turn is not Turn.TIME:
                return turn
        return None

    async def hang_up(self, cause: str) -> None:
        """Say BYE (or CANCEL, if nobody has answered) and wait until it is over."""
        self._catch_up()
        if self._ended:
            return
        self._why_we_end = cause
        self.stream.pause()
        put_down(self.summary, self.stream, self.tell("hanging_up", cause=cause))
        if self.summary.answered_ms is None:
            self.line.do(lambda stack, now: stack.cancel(self.leg, now))
        else:
            self.line.do(lambda stack, now: stack.bye(self.leg, now))
        began_s = self._loop.time()
        while not self._ended:
            limit_s = _STOP_TIMEOUT_S if self._stopped else _BYE_TIMEOUT_S
            left_s = began_s + limit_s - self._loop.time()
            if left_s <= 0:
                break
            await self._wait(left_s)
            self._catch_up()
        self.finish(How.UNHEARD, cause=cause)

    def _reply(self, command: Callable[[SipStack, float], None]) -> None:
        """Give an answer that may come too late: the leg may have ended in between."""
        try:
            self.line.do(command)
        except LocalError:
            self.tell("too_late")

    def finish(self, how: How, *, cause: str, reason: str = "", status: int | None = None) -> None:
        """Close the books; only the first end counts."""
        if self._ended:
            return
        self._ended = True
        if self._leg is not None:
            self.line.detach(self._leg)
        self.stream.close()
        summary = self.summary
        summary.how, summary.reason, summary.status = how, reason, status
        summary.cause = cause
        wall_ms, now_s = self.report.now().wall_ms, self._loop.time()
        count(summary, self.stream, wall_ms=wall_ms, now_s=now_s)
        summary.ended_ms = self.tell("ended", how=how, cause=summary.cause, status=status)
        self.report.summary(summary)
