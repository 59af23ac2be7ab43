# ruff: noqa: D102 - what the commands do is said in edge.telephony
"""Telephony without a network: legs are remembered, commands recorded, the far sides moved by hand.

Keeps the contract of `edge.calls.telephony.Telephony` and of the stack below it: what a leg's state
forbids raises `LocalError`, and events come as the stack would give them, never from a command.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edge.calls.telephony import Telephony
from edge.sip import events as sip
from edge.sip.dialog import Dialog
from edge.sip.errors import LocalError
from edge.sip.events import Address, EndedBy, LegId, TransactionId

CALLER_SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
)
THEIR_HOST = "192.0.2.1"
"""Where everybody is, by their Contact."""
AGENT_SDP = CALLER_SDP.replace(b"192.0.2.1", b"192.0.2.2")
_CALLS = itertools.count(1)
_LEGS = itertools.count(1)
"""No two are called the same: a next life has the former's."""


class S(StrEnum):
    """How far a leg is."""

    ARRIVED = "arrived"
    ANSWERED = "answered"
    """Ours is the 200, theirs not yet the ACK."""
    CALLING = "calling"
    CANCELLING = "cancelling"
    UP = "up"
    ENDING = "ending"


@dataclass
class FakeLeg:
    """One leg that is not over."""

    id: LegId
    state: S
    sip_call_id: str
    said: list[str] = field(default_factory=list)
    """The commands given for it, in their order."""
    told: list[bytes] = field(default_factory=list)
    """The session descriptions sent on it."""
    was_told: bytes | None = None
    """The last one of a former life."""
    reasons: list[str] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    to: str = ""
    status: int = 0
    """With which it was refused."""
    our_offer: bytes | None = None
    queued_offer: bytes | None = None
    """Waits for the ACK."""
    their_offer: bool = False
    bye_after_ack: str | None = None


class FakeTelephony(Telephony):
    """One edge's telephony."""

    def __init__(self, take: Callable[[sip.Event], None]) -> None:  # no endpoint below
        self._take = take
        self._count = itertools.count(1)
        self.open: dict[LegId, FakeLeg] = {}
        self.over: dict[LegId, FakeLeg] = {}
        self.refused_refers: list[TransactionId] = []
        self.refusals: list[tuple[int, str]] = []
        self.accepted_refers: list[TransactionId] = []
        self.notified: list[tuple[LegId, int, bool]] = []
        self.faults: dict[str, Exception] = {}
        """Command -> what it raises, once."""
        self.probed: list[Address] = []
        self.answered_goodbyes: list[TransactionId] = []
        self.of_old: frozenset[str] = frozenset()
        """The Call-IDs of calls that a former life has seen end."""

    # -- commands

    @property
    def legs(self) -> int:
        return len(self.open)

    @property
    def transactions(self) -> int:
        return 0

    def dialog(self, leg: LegId) -> Dialog:
        held = self.open.get(leg)
        if held is None:
            raise LocalError(f"no leg {leg}: it is over, or belongs to another stack")
        self._must(held, S.ANSWERED, S.UP)
        return Dialog(
            sip_call_id=held.sip_call_id,
            local_tag=leg,
            remote_tag="them",
            local=f"<sip:everline>;tag={leg}",
            remote="<sip:them>;tag=them",
            local_seq=1,
            remote_seq=1,
            remote_target=f"sip:them@{THEIR_HOST}",
            route_set=(),
            caller=False,
            hop=Address("192.0.2.1", 5060),
        )

    def told(self, leg: LegId) -> bytes | None:
        held = self._leg("told", leg)
        return held.told[-1] if held.told else held.was_told

    def adopt(self, dialog: Dialog, told: bytes | None = None) -> LegId:
        leg = LegId(dialog.local_tag)
        if leg in self.open:
            raise LocalError(f"leg {leg} lives here already")
        self.open[leg] = FakeLeg(leg, S.UP, dialog.sip_call_id, was_told=told)
        return leg

    def answer(self, leg: LegId, sdp: bytes) -> None:
        held = self._leg("answer", leg)
        self._must(held, S.ARRIVED)
        held.state = S.ANSWERED
        held.told.append(sdp)

    def progress(self, leg: LegId, status: int) -> None:
        held = self._leg("progress", leg)
        self._must(held, S.ARRIVED)
        held.status = status

    def reject(
        self, leg: LegId, status: int, *, reason: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        held = self._leg("reject", leg)
        self._must(held, S.ARRIVED)
        held.status = status
        held.reasons.append(reason)
        held.headers = headers or {}
        self._forget(held)

    def invite(  # noqa: PLR0913 - what an INVITE is made of
        self,
        *,
        request_uri: str,
        from_uri: str,
        to_uri: str,
        next_hop: Address,
        sdp: bytes,
        headers: Mapping[str, str],
        sip_call_id: str,
        timer_b_s: float,
    ) -> LegId:
        del to_uri, next_hop, timer_b_s
        self._fault("invite")
        for text in (request_uri, from_uri, sip_call_id):
            if any(character in text for character in "\r\n\0"):
                raise LocalError("more than one line")
        leg = LegId(f"out-{next(_LEGS)}")
        agent = request_uri.removeprefix("sip:").partition("@")[0]
        held = FakeLeg(leg, S.CALLING, sip_call_id, headers=headers, to=agent)
        held.said.append("invite")
        held.told.append(sdp)
        self.open[leg] = held
        return leg

    def cancel(self, leg: LegId, *, reason: str) -> None:
        held = self._leg("cancel", leg)
        self._must(held, S.CALLING)
        held.state = S.CANCELLING
        held.reasons.append(reason)

    def bye(self, leg: LegId, *, reason: str) -> None:
        held = self._leg("bye", leg)
        self._must(held, S.ANSWERED, S.UP)
        if held.bye_after_ack is not None:
            raise LocalError(f"leg {leg} is ending")
        held.reasons.append(reason)
        if held.state is S.ANSWERED:
            held.bye_after_ack = reason
        else:
            held.state = S.ENDING
            held.their_offer = False

    def leave(self, leg: LegId, *, reason: str) -> None:
        del reason
        held = self._leg("leave", leg)
        self._must(held, S.ANSWERED)
        self._forget(held)

    def answer_goodbyes_of(self, sip_call_ids: Iterable[str]) -> None:
        self.of_old = frozenset(sip_call_ids)

    def answer_goodbye(self, goodbye: TransactionId) -> None:
        self.answered_goodbyes.append(goodbye)

    def reinvite(self, leg: LegId, sdp: bytes) -> None:
        held = self._leg("reinvite", leg)
        self._must(held, S.ANSWERED, S.UP)
        if held.our_offer is not None or held.queued_offer is not None or held.their_offer:
            raise LocalError(f"leg {leg} has an offer pending")
        if held.bye_after_ack is not None:
            raise LocalError(f"leg {leg} is ending")
        if held.state is S.ANSWERED:
            held.queued_offer = sdp
        else:
            held.our_offer = sdp
            held.told.append(sdp)

    def answer_offer(self, leg: LegId, sdp: bytes) -> None:
        held = self._leg("answer_offer", leg)
        if not held.their_offer:
            raise LocalError(f"leg {leg} has no offer to answer")
        held.their_offer = False
        held.told.append(sdp)

    def refuse_offer(self, leg: LegId, status: int) -> None:
        held = self._leg("refuse_offer", leg)
        if not held.their_offer:
            raise LocalError(f"leg {leg} has no offer to refuse")
        held.their_offer = False
        held.status = status

    def accept_refer(self, transaction: TransactionId) -> bool:
        self._fault("accept_refer")
        self.accepted_refers.append(transaction)
        return True

    def notify_refer(self, leg: LegId, status: int, *, final: bool) -> None:
        self._must(self._leg("notify_refer", leg), S.ANSWERED, S.UP)
        self.notified.append((leg, status, final))

    def refuse_refer(self, transaction: TransactionId, status: int, reason: str = "") -> None:
        self._fault("refuse_refer")
        self.refused_refers.append(transaction)
        self.refusals.append((status, reason))
        self.refused_refers.append(transaction)

    def options(self, *, to: Address, from_user: str, timeout_s: float) -> TransactionId:
        del from_user, timeout_s
        self._fault("options")
        self.probed.append(to)
        return TransactionId(f"options-{next(self._count)}")

    # -- what the far side does; nothing, where the leg's state does not allow it

    def arrive(  # noqa: PLR0913 - what an INVITE is made of
        self,
        number: str,
        *,
        sip_call_id: str | None = None,
        sdp: bytes | None = CALLER_SDP,
        caller: str = "+4930123",
        headers: Mapping[str, str] | None = None,
        waited_s: float = 0.0,
    ) -> LegId:
        """Let an INVITE come."""
        leg = LegId(f"in-{next(_LEGS)}")
        held = FakeLeg(leg, S.ARRIVED, sip_call_id or f"call-{next(_CALLS)}@192.0.2.1")
        self.open[leg] = held
        self._take(
            sip.IncomingInvite(
                leg=leg,
                source=Address("198.18.1.10", 5060),
                request_uri=f"sip:{number}@198.18.1.10",
                from_uri=f"sip:{caller}@192.0.2.1",
                to_uri=f"sip:{number}@198.18.1.10",
                from_tag="theirs",
                sip_call_id=held.sip_call_id,
                sdp=sdp,
                headers=headers or {},
                waited_s=waited_s,
            )
        )
        return leg

    def acknowledge(self, leg: LegId, sdp: bytes | None = None) -> None:
        """Let the ACK to our 200 come."""
        held = self.open.get(leg)
        if held is None or held.state is not S.ANSWERED:
            return
        held.state = S.UP
        if held.queued_offer is not None:
            held.our_offer, held.queued_offer = held.queued_offer, None
            held.told.append(held.our_offer)
        if held.bye_after_ack is not None:
            held.state = S.ENDING
        self._take(sip.Confirmed(leg=leg, sdp=sdp))

    def ask(self, leg: LegId) -> None:
        self.open[leg].said.append("ask")

    def hang_up(self, leg: LegId) -> None:
        """Let a CANCEL or BYE come."""
        held = self.open.get(leg)
        if held is None:
            return
        if held.state is S.ARRIVED:
            self._forget(held)
            self._take(sip.Cancelled(leg=leg, reason=""))
        elif held.state in {S.ANSWERED, S.UP, S.ENDING}:
            self._forget(held)
            by, cause = EndedBy.REMOTE, "bye"
            if held.state is S.ENDING:
                by, cause = EndedBy.LOCAL, sip.CROSSED
            goodbye = TransactionId(f"bye-{leg}")
            self._take(sip.Ended(leg=leg, by=by, cause=cause, goodbye=goodbye))

    def say_goodbye_again(self, sip_call_id: str) -> int:
        """Let a BYE come that a former life has not answered; return the answer."""
        for leg in list(self.open.values()):
            if leg.sip_call_id == sip_call_id:
                self.hang_up(leg.id)
                return 200
        return 200 if sip_call_id in self.of_old else 481

    def tell_of(self, leg: LegId, *, is_there: bool) -> None:
        """Let their telephone answer that it is there, or a proxy that it cannot be reached."""
        self._take(sip.WasAsked(leg=self.open[leg].id, is_there=is_there))

    def doubt(self, leg: LegId) -> None:
        """Their telephone answers 481 when it is asked: it has hung up, and nobody has heard it."""
        self._take(sip.Doubted(leg=self.open[leg].id))

    def be_gone(self, leg: LegId) -> None:
        """Let a 481 come: to our BYE, or else to our asking whether they are still there."""
        held = self.open.get(leg)
        if held is not None and held.state in {S.UP, S.ENDING}:
            self._forget(held)
            by = EndedBy.LOCAL if held.state is S.ENDING else EndedBy.REMOTE
            self._take(sip.Ended(leg=leg, by=by, cause="gone"))

    def ring(self, leg: LegId) -> None:
        """Let a 180 come."""
        if leg in self.open and self.open[leg].state is S.CALLING:
            self._take(sip.Progress(leg=leg, status=180, sdp=None))

    def pick_up(self, leg: LegId, sdp: bytes = AGENT_SDP) -> None:
        """Let a 200 to our INVITE come."""
        held = self.open.get(leg)
        if held is None:
            return
        if held.state is S.CANCELLING:  # the stack hangs up by itself
            self._forget(held)
            self._take(sip.Ended(leg=leg, by=EndedBy.LOCAL, cause="cancelled"))
        elif held.state is S.CALLING:
            held.state = S.UP
            self._take(sip.Answered(leg=leg, sdp=sdp))

    def decline(self, leg: LegId, status: int = 603, reason: str = "Decline") -> None:
        """Let a failure to our INVITE come; 487 after our CANCEL."""
        held = self.open.get(leg)
        if held is None or held.state not in {S.CALLING, S.CANCELLING}:
            return
        self._forget(held)
        if held.state is S.CANCELLING:
            self._take(sip.Ended(leg=leg, by=EndedBy.LOCAL, cause="cancelled"))
        else:
            self._take(sip.Rejected(leg=leg, status=status, reason=reason, timeout=status == 408))

    def vanish(self, leg: LegId) -> None:
        """Let a time-out of the stack's come."""
        held = self.open.get(leg)
        if held is None or held.state is S.ARRIVED:
            return
        if held.state in {S.CALLING, S.CANCELLING}:
            self.decline(leg, 408, "Request Timeout")
            return
        self._forget(held)
        cause = "bye_timeout" if held.state is S.ENDING else "session_expired"
        self._take(sip.Ended(leg=leg, by=EndedBy.FAULT, cause=cause))

    def answer_ours(self, leg: LegId, sdp: bytes | None = CALLER_SDP) -> None:
        """Let the answer to our re-INVITE come."""
        held = self.open.get(leg)
        if held is not None and held.our_offer is not None and held.state is S.UP:
            held.our_offer = None
            self._take(sip.OfferAnswered(leg=leg, sdp=sdp))

    def refuse_ours(self, leg: LegId) -> None:
        """Let a refusal of our re-INVITE come."""
        held = self.open.get(leg)
        if held is not None and held.our_offer is not None and held.state is S.UP:
            held.our_offer = None
            self._take(sip.OfferRefused(leg=leg, status=488, timeout=False))

    def offer(self, leg: LegId, sdp: bytes | None = CALLER_SDP) -> None:
        """Let a re-INVITE come; the stack itself refuses one that crosses ours."""
        held = self.open.get(leg)
        if held is None or held.state is not S.UP or held.our_offer or held.their_offer:
            return
        held.their_offer = True
        self._take(sip.OfferReceived(leg=leg, method="INVITE", sdp=sdp))

    def offer_early(self, leg: LegId, sdp: bytes = AGENT_SDP) -> None:
        """Let an UPDATE come from who has not answered our INVITE yet."""
        held = self.open.get(leg)
        if held is None or held.state is not S.CALLING or held.their_offer:
            return
        held.their_offer = True
        self._take(sip.OfferReceived(leg=leg, method="UPDATE", sdp=sdp, is_early=True))

    def answer_asked(self, leg: LegId, sdp: bytes) -> None:
        """Let the ACK of a re-INVITE come that has asked us for an offer."""
        held = self.open.get(leg)
        if held is not None and held.state is S.UP and not held.their_offer:
            self._take(sip.OfferAnswered(leg=leg, sdp=sdp, was_asked=True))

    def refer(self, leg: LegId, to: str) -> None:
        """Let a REFER come."""
        if leg in self.open:
            self._take(
                sip.ReferReceived(
                    leg=leg,
                    transaction=TransactionId(f"refer-{next(self._count)}"),
                    refer_to=to,
                )
            )

    def withdraw(self, leg: LegId) -> None:
        """Let the CANCEL of their re-INVITE come."""
        held = self.open.get(leg)
        if held is not None and held.their_offer:
            held.their_offer = False
            self._take(sip.OfferWithdrawn(leg=leg))

    def rung(self, agent: str) -> list[LegId]:
        """Return the legs on which an agent is being rung."""
        return [leg.id for leg in self.open.values() if leg.to == agent and leg.state is S.CALLING]

    # -- inside

    def _leg(self, command: str, leg: LegId) -> FakeLeg:
        held = self.open.get(leg)
        if held is not None:
            held.said.append(command)  # also one that fails of a bug: it was asked for
        self._fault(command)
        if held is None:
            raise LocalError(f"no leg {leg}: it is over, or belongs to another stack")
        return held

    def _fault(self, command: str) -> None:
        fault = self.faults.pop(command, None)
        if fault is not None:
            raise fault

    @staticmethod
    def _must(leg: FakeLeg, *states: S) -> None:
        if leg.state not in states:
            raise LocalError(f"leg {leg.id} is {leg.state}")

    def _forget(self, leg: FakeLeg) -> None:
        self.over[leg.id] = self.open.pop(leg.id)
