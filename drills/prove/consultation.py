"""An agent's own call to a colleague, about the caller with whom they talk.

The telephone's side of it alone: INVITE, what the agent then does, and the end. Whether the caller
is handed over is said in the caller's dialog, by the leg that has it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from drills.prove import sip
from drills.prove.history import ConsultationOver, ConsultationUp, Consults
from loadtests.bench.wire import Heard, uri_in
from state.model import AgentId, CallId

if TYPE_CHECKING:
    from drills.prove.people import Way, World

RESEND_S = 0.5
UNHEARD_S, UNANSWERED_S = 5.0, 10.0
"""After so long without any answer, or without a final one, the agent gives it up."""
CANCEL_FOR_S = BYE_FOR_S = 8.0
SILENCE_S = 8.0
LOSES_PATIENCE, HANDS_OVER, HANGS_UP = 0.1, 0.55, 0.85
OK, FAILURE = 200, 300


class Talk(Protocol):
    """The leg with the caller."""

    call: CallId

    def hand_over(self, to: AgentId, replaces: str) -> None:
        """Say that the colleague is to have the caller."""


class _At(Enum):
    CALLING = auto()
    CANCELLING = auto()
    UP = auto()
    LEAVING = auto()
    OVER = auto()


class Consultation:
    """From the INVITE to the end."""

    def __init__(  # noqa: PLR0913 - who calls whom about whom
        self,
        *,
        world: World,
        way: Way,
        number: int,
        leg: Talk,
        agent: AgentId,
        site: str,
        to: AgentId,
        edge: str,
        over: Callable[[], None],
    ) -> None:
        self.call = leg.call
        self.edge = edge
        self.since_s = world.now()
        self.sip_call_id = f"{world.run}-{agent}-{number}@198.18.21.10"
        self._world = world
        self._way = way
        self._leg = leg
        self._agent = agent
        self._site = site
        self._to = to
        self._over = over
        self._at = _At.CALLING
        self._is_heard = False
        self._answers: dict[bytes, bytes] = {}
        self._branch = self.sip_call_id.partition("@")[0]
        self._dialog = sip.Dialog(
            proxy=way.address,
            call_id=self.sip_call_id,
            local=f"<sip:{agent}@everline>;tag={agent}{number}",
            remote=f"<sip:{to}@everline>",
            target=f"sip:{to}@everline",
        )

    @property
    def is_up(self) -> bool:
        """Whether the two hear each other, as far as this telephone knows."""
        return self._at is _At.UP

    # -- what the agent does

    def begin(self) -> None:
        """Call."""
        self._world.note(
            Consults(at_s=self._world.now(), agent=self._agent, call=self.call, to=self._to)
        )
        self._invite(UNHEARD_S)
        self._world.later(UNANSWERED_S, self._give_up)
        if self._world.chance.random() < LOSES_PATIENCE:
            self._world.later(self._world.chance.uniform(0.02, 0.5), self._give_up)

    def _invite(self, for_s: float) -> None:
        if self._at is not _At.CALLING or self._is_heard:
            return
        if for_s <= 0:
            self._end("no answer")
            return
        self._send(sip.consulting(self._dialog, self._agent, self._site, self._branch))
        self._world.later(RESEND_S, lambda: self._invite(for_s - RESEND_S))

    def _give_up(self) -> None:
        if self._at is _At.CALLING:
            self._at = _At.CANCELLING
            self._repeat("CANCEL", _At.CANCELLING, CANCEL_FOR_S)

    def _choose(self) -> None:
        """Have said all that there was to say."""
        if self._at is not _At.UP:
            return
        roll = self._world.chance.random()
        if roll < HANDS_OVER:
            self._leg.hand_over(self._to, self._replaces())
        elif roll < HANGS_UP:
            self.hang_up()

    def hang_up(self) -> None:
        """Say BYE, if there is anything to say it to."""
        if self._at is _At.UP:
            self._at = _At.LEAVING
            self._dialog.cseq += 1
            self._repeat("BYE", _At.LEAVING, BYE_FOR_S)

    def _repeat(self, method: str, while_at: _At, for_s: float) -> None:
        if self._at is not while_at:
            return
        if for_s <= 0:
            self._end(f"{method} unanswered")
            return
        branch = self._branch if method == "CANCEL" else f"{self._branch}.{method}"
        self._send(sip.request(self._dialog, method, branch))
        self._world.later(RESEND_S, lambda: self._repeat(method, while_at, for_s - RESEND_S))

    # -- what the edge says

    def take_response(self, heard: Heard) -> None:
        """Take a response to one of ours."""
        if heard.method == b"BYE" and self._at is _At.LEAVING:
            self._end("hung up")
        elif heard.method == b"INVITE":
            self._is_heard = True
            if heard.status >= FAILURE:
                self._refused(heard)
            elif heard.status >= OK:
                self._answered(heard)

    def _refused(self, heard: Heard) -> None:
        refusal = sip.Dialog(
            proxy=self._dialog.proxy,
            call_id=self.sip_call_id,
            local=self._dialog.local,
            remote=heard.first(b"to").decode(),
            target=self._dialog.target,
        )
        # Of the same transaction (RFC 3261 §17.1.1.3).
        self._send(sip.request(refusal, "ACK", self._branch))
        self._end(f"refused: {heard.status}")

    def _answered(self, heard: Heard) -> None:
        is_first = b";tag=" not in self._dialog.remote.encode()
        if is_first:
            self._dialog.remote = heard.first(b"to").decode()
            self._dialog.target = uri_in(heard.first(b"contact")).decode()
        self._send(self._ack())
        if not is_first:
            return
        was, self._at = self._at, _At.UP
        if was is not _At.CALLING:
            # Answered too late: our CANCEL and their 200 have crossed, or nobody waits any more.
            self.hang_up()
            return
        self._world.note(
            ConsultationUp(at_s=self._world.now(), agent=self._agent, call=self.call, to=self._to)
        )
        self._world.later(self._world.chance.uniform(0.03, 0.3), self._choose)
        self._world.later(SILENCE_S, self.hang_up)

    def _ack(self) -> bytes:
        invited = sip.Dialog(
            proxy=self._dialog.proxy,
            call_id=self.sip_call_id,
            local=self._dialog.local,
            remote=self._dialog.remote,
            target=self._dialog.target,
        )
        return sip.request(invited, "ACK", f"{self._branch}.ack")

    def take_request(self, heard: Heard, source: str) -> None:
        """Take a request of the edge."""
        if heard.start.startswith(b"ACK"):
            return
        if heard.start.startswith(b"OPTIONS") and self._at is _At.OVER:
            self._way.send(heard.answer(sip.GONE), source)
            return
        key = heard.first(b"cseq")
        if key not in self._answers:
            self._answers[key] = sip.accepted(heard, sip.contact(self._way.address, self._agent))
        self._way.send(self._answers[key], source)
        if heard.start.startswith(b"BYE"):
            self._end("edge hung up")

    # -- parts

    def _replaces(self) -> str:
        """Return what names this dialog in a Refer-To (RFC 3891 §6.1), as its other side knows."""
        tags = (each.partition(";tag=")[2] for each in (self._dialog.remote, self._dialog.local))
        to_tag, from_tag = tags
        return quote(f"{self.sip_call_id};to-tag={to_tag};from-tag={from_tag}", safe="")

    def _end(self, how: str) -> None:
        if self._at is _At.OVER:
            return
        self._at = _At.OVER
        self._world.note(
            ConsultationOver(
                at_s=self._world.now(), agent=self._agent, call=self.call, to=self._to, how=how
            )
        )
        self._over()

    def _send(self, datagram: bytes) -> None:
        self._way.send(datagram, self.edge)
