"""One agent's telephone behind the site's proxy, and its legs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING

from drills.prove import sip
from drills.prove.consultation import Consultation
from drills.prove.history import LegOver, LegUp, Overlap, PassedOn, PickedUp, Token
from drills.prove.ksr import Message
from loadtests.bench.wire import Heard
from state.model import AgentId, CallId

if TYPE_CHECKING:
    from drills.prove.people import Way, World

RESEND_S = 0.5
ACK_PATIENCE_S = 6.0
SILENCE_S = 8.0
"""Who hears nothing for so long hangs up."""
BYE_FOR_S = 8.0
DECLINES, IGNORES, HESITATES = 0.05, 0.10, 0.14
PASSES_ON, ASKS, HANGS_UP = 0.12, 0.24, 0.6
IN_ONE_BREATH = 0.3
"""Of those who hand a caller over: so many hang up with the REFER."""
REFER_FOR_S = 2.0
_SILENT = 408


class _At(Enum):
    RINGING = auto()
    ANSWERED = auto()
    UP = auto()
    LEAVING = auto()
    OVER = auto()


class Phone:
    """One telephone. It takes every call that the gate lets through: the gate's word is law."""

    def __init__(  # noqa: PLR0913 - who it is of, and with whom it speaks
        self,
        *,
        agent: AgentId,
        site: str,
        way: Way,
        world: World,
        colleagues: Callable[[], Sequence[str]],
        targets: Sequence[str],
        asks: Callable[[Consultation], None],
    ) -> None:
        """`targets`: whom callers are passed on to, queues too; `asks` hears of consultations.

        `colleagues` returns who may be asked.
        """
        self.agent = agent
        self.targets = targets
        self._colleagues = colleagues
        self.site = site
        self.way = way
        self.world = world
        self.leg: PhoneLeg | None = None
        self.consultation: Consultation | None = None
        """A call of the agent's own to a colleague, beside their leg with the caller."""
        self._asks = asks
        self._count = 0

    def ring(
        self,
        heard: Heard,
        message: Message,
        source: str,
        header: str,
        over: Callable[[PhoneLeg], None],
    ) -> PhoneLeg:
        """Take an offer. A leg that is still there is dropped, and that is noted.

        But one that has been hung up: the edge answers once it has written that down.
        """
        old, consultation = self.leg, self.consultation
        new = PhoneLeg(self, heard, message, source, header, over)
        if consultation is not None and consultation.is_up:
            self._note_overlap(consultation, new)
        if old is not None and not old.is_leaving:
            self._note_overlap(old, new)
            old.drop()
        self.leg = new
        return new

    def _note_overlap(self, old: PhoneLeg | Consultation, new: PhoneLeg) -> None:
        self.world.note(
            Overlap(
                at_s=self.world.now(),
                agent=self.agent,
                old_call=old.call,
                new_call=new.call,
                old_edge=old.edge,
                old_since_s=old.since_s,
            )
        )

    def ask(self, leg: PhoneLeg) -> None:
        """Call a colleague about the caller of `leg`, if the proxy knows where that is."""
        edge = self.way.serving(self.agent)
        if self.consultation is not None or edge is None:
            return
        self._count += 1
        self.consultation = Consultation(
            world=self.world,
            way=self.way,
            number=self._count,
            leg=leg,
            agent=self.agent,
            site=self.site,
            to=AgentId(self.world.chance.choice(self._colleagues())),
            edge=edge,
            over=self._consulted,
        )
        self._asks(self.consultation)
        self.consultation.begin()

    def _consulted(self) -> None:
        self.consultation = None


class PhoneLeg:
    """One offer at one telephone."""

    def __init__(  # noqa: PLR0913, PLR0917 - what comes with an INVITE
        self,
        phone: Phone,
        heard: Heard,
        message: Message,
        source: str,
        header: str,
        over: Callable[[PhoneLeg], None],
    ) -> None:
        call, epoch, revision = header.split()
        self.call = CallId(call)
        self.token: Token = (int(epoch), int(revision))
        self.sip_call_id = message.call_id
        self.edge = source
        self.since_s = phone.world.now()
        self._phone = phone
        self._world = phone.world
        self._invite = heard
        self._message = message
        self._over = over
        self._at = _At.RINGING
        self._final = b""
        self._answers: dict[bytes, bytes] = {}
        self._has_transaction = True
        self._is_referring = False
        self._dialog = sip.of_telephone(phone.way.address, heard, "phone")

    def begin(self) -> None:
        """Ring, and decide what the agent will do."""
        self._send(self._invite.answer(b"100 Trying"))
        self._final = self._answer(b"180 Ringing")
        self._send(self._final)
        chance = self._world.chance
        roll = chance.random()
        if roll < DECLINES:
            self._world.later(chance.uniform(0.02, 0.3), self._decline)
        elif roll < IGNORES:
            self._world.later(20.0, lambda: self.cancelled("nobody came"))
        elif roll < HESITATES:
            # About when the edge gives up: its CANCEL and our 200 may cross.
            self._world.later(chance.uniform(0.97, 1.03), self._pick_up)
        else:
            self._world.later(chance.uniform(0.01, 0.1), self._pick_up)

    @property
    def is_up(self) -> bool:
        """Whether the agent talks, as far as their telephone knows."""
        return self._at is _At.UP

    @property
    def is_leaving(self) -> bool:
        """Whether the agent has hung up, and nobody has answered that."""
        return self._at is _At.LEAVING

    # -- what the agent does

    def _decline(self) -> None:
        if self._at is _At.RINGING:
            self._final = self._answer(b"603 Decline")
            self._send(self._final)
            self._to_script(self._phone.way.failed)
            self._end("declined")

    def _pick_up(self) -> None:
        if self._at is not _At.RINGING:
            return
        self._at = _At.ANSWERED
        note = PickedUp(at_s=self._world.now(), agent=self._phone.agent, call=self.call)
        self._world.note(note)
        self._final = self._answer(b"200 OK", sip.BODY)
        self._to_script(self._phone.way.answered)
        self._repeat_answer(ACK_PATIENCE_S)

    def _repeat_answer(self, for_s: float) -> None:
        if self._at is not _At.ANSWERED:
            return
        if for_s <= 0:
            self._hang_up()
            return
        self._send(self._final)
        self._world.later(RESEND_S, lambda: self._repeat_answer(for_s - RESEND_S))

    def _pass_on(self) -> None:
        """Say REFER (RFC 3515): an agent or a queue is to have the caller."""
        if self._at is not _At.UP:
            return
        to = self._world.chance.choice(self._phone.targets)
        self._say_refer(to, f"<sip:{to}@everline>")

    def _ask(self) -> None:
        """Call a colleague about the caller."""
        if self._at is _At.UP:
            self._phone.ask(self)

    def hand_over(self, to: AgentId, replaces: str) -> None:
        """Say REFER (RFC 5589 section 7): whom the agent has asked is to have the caller."""
        if self._at is not _At.UP:
            return
        self._say_refer(to, f"<sip:{to}@everline?Replaces={replaces}>")
        if self._world.chance.random() < IN_ONE_BREATH:
            self._hang_up()

    def _say_refer(self, to: str, refer_to: str) -> None:
        self.passed_on(to)
        extra = f"Refer-To: {refer_to}\r\nContact: <sip:{self._phone.agent}@phone>\r\n"
        refer = sip.request(
            self._dialog, "REFER", f"{self.sip_call_id}.refer{self._dialog.cseq}", extra
        )
        self._dialog.cseq += 1
        self._is_referring = True
        self._refer(refer, REFER_FOR_S)

    def _refer(self, refer: bytes, for_s: float) -> None:
        if self._is_referring and self._at is _At.UP and for_s > 0:
            self._phone.way.send(refer, self.edge)
            self._world.later(RESEND_S, lambda: self._refer(refer, for_s - RESEND_S))

    def passed_on(self, to: str) -> None:
        """Note that the agent wants the caller to have somebody else."""
        self._world.note(
            PassedOn(at_s=self._world.now(), agent=self._phone.agent, call=self.call, to=to)
        )

    def _hang_up(self) -> None:
        if self._at in (_At.ANSWERED, _At.UP):
            self._at = _At.LEAVING
            self._goodbye(BYE_FOR_S)

    def _goodbye(self, for_s: float) -> None:
        if self._at is not _At.LEAVING:
            return
        if for_s <= 0:
            self._phone.way.goodbye_answered(self._phone.agent, self.token, _SILENT)
            self._end("hung up, unanswered")
            return
        bye = sip.request(self._dialog, "BYE", f"{self.sip_call_id}.bye")
        self._phone.way.send(bye, self.edge)
        self._world.later(RESEND_S, lambda: self._goodbye(for_s - RESEND_S))

    # -- what the edge does

    def take_request(self, heard: Heard, source: str) -> None:
        """Take a request of the edge."""
        if heard.start.startswith(b"ACK"):
            if self._at is _At.ANSWERED:
                self._up()
            return
        if heard.start.startswith(b"OPTIONS") and self._at is _At.OVER:
            self._phone.way.send(heard.answer(sip.GONE), source)
            return
        key = heard.first(b"cseq")
        if heard.start.startswith(b"INVITE") and key == self._invite.first(b"cseq"):
            self._phone.way.send(self._final, source)
            return
        if key not in self._answers:
            contact = sip.contact(self._phone.way.address, self._phone.agent)
            self._answers[key] = sip.accepted(heard, contact, tag=b"phone")
        self._phone.way.send(self._answers[key], source)
        if heard.start.startswith(b"CANCEL"):
            self.cancelled("cancelled")
        elif heard.start.startswith(b"BYE"):
            self._phone.way.goodbye(self._phone.agent, self.token)
            if self._at is not _At.OVER:
                self._end("edge hung up")

    def take_response(self, heard: Heard) -> None:
        """Take the answer to our BYE or REFER."""
        if heard.method == b"REFER":
            self._is_referring = False
        if heard.method == b"BYE" and self._at is _At.LEAVING:
            self._phone.way.goodbye_answered(self._phone.agent, self.token, heard.status)
            self._end("hung up")

    def cancelled(self, how: str) -> None:
        """Stop ringing."""
        if self._at is _At.RINGING:
            self._final = self._answer(b"487 Request Terminated")
            self._send(self._final)
            self._to_script(self._phone.way.failed)
            self._end(how)

    def transaction_lost(self) -> None:
        """Take in that the proxy has restarted: nobody there knows of our INVITE any more."""
        self._has_transaction = False
        if self._at is _At.RINGING:
            self._end("proxy restarted")

    def drop(self) -> None:
        """Leave this leg for a new call."""
        self._end("dropped for another")

    # -- parts

    def _up(self) -> None:
        self._at = _At.UP
        note = LegUp(at_s=self._world.now(), agent=self._phone.agent, call=self.call)
        self._world.note(note)
        roll, talk_s = self._world.chance.random(), self._world.chance.uniform(0.1, 0.4)
        if roll < PASSES_ON:
            self._world.later(talk_s, self._pass_on)
        elif roll < ASKS:
            self._world.later(talk_s / 3, self._ask)
        hangs_up = ASKS <= roll < HANGS_UP
        self._world.later(talk_s if hangs_up else SILENCE_S, self._hang_up)

    def _answer(self, status: bytes, body: bytes = b"") -> bytes:
        contact = sip.contact(self._phone.way.address, self._phone.agent)
        return self._invite.answer(status, contact, body, tag=b"phone")

    def _to_script(self, tell: Callable[[Message], None]) -> None:
        if self._has_transaction:
            tell(self._message)

    def _end(self, how: str) -> None:
        if self._at is _At.OVER:
            return
        self._at = _At.OVER
        if self._phone.leg is self:
            self._phone.leg = None
        self._world.note(
            LegOver(at_s=self._world.now(), agent=self._phone.agent, call=self.call, how=how)
        )
        self._over(self)

    def _send(self, datagram: bytes) -> None:
        self._phone.way.send(datagram, self.edge)
