"""Calls that come in: from INVITE to ACK (RFC 3261 §13.3, RFC 3262, RFC 6026).

What happens within an established call is in `within` and `own_offers`; a 2xx to a re-INVITE is
sent from here too.
"""

from __future__ import annotations

from edge.sip import session_timer
from edge.sip.asking import BYE_AGAIN_S
from edge.sip.builder import copied
from edge.sip.core import SUPPORTED_LINE, Core, required_unsupported
from edge.sip.dialog import dialog_of_uas
from edge.sip.errors import LocalError, RemoteError
from edge.sip.events import (
    Address,
    Cancelled,
    Confirmed,
    EndedBy,
    IncomingInvite,
    LegId,
    OfferAnswered,
    OfferReceived,
    OfferWithdrawn,
)
from edge.sip.headers import parse_rack
from edge.sip.leg import Leg, LegState, LegTimer, Peer
from edge.sip.message import Request
from edge.sip.offer_answer import Carrier, Meaning, Side
from edge.sip.timers import LINGER, T1, T2, T4
from edge.sip.transaction import ServerTransaction, State

TRYING_AFTER_S = 0.15
"""How old an INVITE gets before its 100 is sent, if nothing else has been by then. RFC 3261 §17.2.1
wants it where no response is known to come within 0.2 s; ours mostly comes within 0.03 s, and who
has heard nothing goes elsewhere a second after we have died, who has heard 100 minutes after. Of a
call that goes on our next life is asked again, if we had said nothing."""
RING_AGAIN_S = 60.0
"""How often a 1xx is repeated, so that proxies do not give the call up (RFC 3261 §13.3.1.1)."""
_RINGING = range(101, 200)
_FAILURES = range(300, 700)


class Uas:
    """The answering half."""

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- INVITE

    def arrived(self, transaction: ServerTransaction, source: Address, age_s: float) -> None:
        """Take up a new call, or refuse it with RemoteError."""
        core = self._core
        request = transaction.request
        check_invite(request, core.min_se_s)
        leg_id = LegId(transaction.to_tag)
        dialog = dialog_of_uas(request, leg_id, source)
        leg = Leg(leg_id, request.call_id, is_uas=True)
        leg.peer = peer = Peer(dialog)
        leg.invite_in = transaction
        transaction.leg = leg_id
        core.legs[leg_id] = leg
        late_s = TRYING_AFTER_S - age_s
        if late_s > 0:
            core.set_timer(leg, LegTimer.TRYING, late_s)
        else:
            core.respond(transaction, 100)
        sdp = request.sdp
        peer.step(Side.THEIRS, Carrier.INVITE, has_sdp=sdp is not None)
        core.events.append(
            IncomingInvite(
                leg=leg_id,
                source=source,
                request_uri=request.uri,
                from_uri=request.from_.uri,
                to_uri=request.to.uri,
                from_tag=request.from_.tag,
                sip_call_id=request.call_id,
                sdp=sdp,
                headers=request.joined(),
                waited_s=age_s,
            )
        )

    def _arrived_leg(self, leg_id: LegId) -> tuple[Leg, Peer, ServerTransaction]:
        leg = self._core.leg(leg_id)
        if leg.state is not LegState.ARRIVED or leg.peer is None or leg.invite_in is None:
            raise LocalError(
                f"leg {leg_id} is {leg.state}: only an unanswered call can be answered"
            )
        return leg, leg.peer, leg.invite_in

    # -- provisional responses

    def say_trying(self, leg: Leg, _timer: LegTimer) -> None:
        """Send the 100 of an INVITE, or re-INVITE, whose answer is late."""
        late = leg.invite_in if leg.state is LegState.ARRIVED else leg.their_offer
        if late is not None and late.request.method == "INVITE":
            self._core.respond(late, 100)

    def progress(self, leg_id: LegId, status: int, sdp: bytes | None, *, reliable: bool) -> None:
        """Send a 1xx."""
        leg, peer, invite = self._arrived_leg(leg_id)
        if status not in _RINGING:
            raise LocalError(f"status {status} is no progress: give 101 to 199")
        request = invite.request
        if "100rel" in request.tokens("require"):
            reliable = True
        elif reliable and "100rel" not in request.tokens("supported"):
            raise LocalError(f"the caller of leg {leg_id} does not support 100rel: be unreliable")
        if reliable:
            if leg.reliable_message:
                # RFC 3262 §3: one at a time until the first is acknowledged; for us, always.
                leg.queued_progress.append((status, sdp))
            else:
                self._progress_reliably(leg, peer, invite, status, sdp)
        else:
            if sdp is not None and peer.exchange.late:
                raise LocalError("an offer cannot stand in an unreliable response: be reliable")
            peer.step(Side.OURS, Carrier.PROVISIONAL, has_sdp=sdp is not None)
            self._core.respond(invite, status, extra=self._dialog_lines(request), body=sdp or b"")
            if sdp is not None:
                leg.local_sdp = sdp
        leg.is_named = True
        self._core.clear_timer(leg, LegTimer.TRYING)
        self._core.set_timer(leg, LegTimer.KEEP_RINGING, RING_AGAIN_S)

    def _progress_reliably(
        self, leg: Leg, peer: Peer, invite: ServerTransaction, status: int, sdp: bytes | None
    ) -> None:
        core = self._core
        if sdp is not None:
            if peer.step(Side.OURS, Carrier.RELIABLE, has_sdp=True) is Meaning.GLARE:
                raise LocalError("an offer of ours is pending: wait for its answer")
            leg.local_sdp = sdp
        peer.rseq = peer.rseq + 1 if peer.rseq else 1 + int(core.chance() * 10000)
        extra = f"{self._dialog_lines(invite.request)}Require: 100rel\r\nRSeq: {peer.rseq}\r\n"
        core.respond(invite, status, extra=extra, body=sdp or b"")
        leg.reliable_message = invite.message
        leg.reliable_has_sdp = sdp is not None
        leg.reliable_interval = T1
        core.set_timer(leg, LegTimer.RESEND_RELIABLE, T1)
        core.set_timer(leg, LegTimer.NO_PRACK, LINGER)

    def pracked(self, leg: Leg, peer: Peer, transaction: ServerTransaction) -> None:
        """Take PRACK. RemoteError 481 if it acknowledges nothing (RFC 3262 §3)."""
        core, request = self._core, transaction.request
        rseq, number, method = parse_rack(request.first("rack"))
        invite = leg.invite_in
        expected = invite is not None and (number, method) == invite.request.cseq
        awaited = peer.rseq if leg.reliable_message else leg.overtaken_rseq
        if not expected or not rseq or rseq != awaited:
            raise RemoteError(481, "No such reliable response")
        sdp = request.sdp
        meaning = peer.step(Side.THEIRS, Carrier.PRACK, has_sdp=sdp is not None)
        if meaning is Meaning.GLARE:
            raise RemoteError(491, "Request Pending")
        leg.reliable_message, leg.overtaken_rseq = b"", 0
        core.clear_timer(leg, LegTimer.RESEND_RELIABLE, LegTimer.NO_PRACK)
        if meaning is Meaning.OFFER:
            leg.their_offer = transaction
            core.events.append(OfferReceived(leg=leg.id, method="PRACK", sdp=sdp))
        else:
            core.respond(transaction, 200)
        if meaning is Meaning.ANSWER:
            core.events.append(OfferAnswered(leg=leg.id, sdp=sdp))
        self.go_on(leg)

    def go_on(self, leg: Leg) -> None:
        """Send what waited for PRACK, unless an offer is pending in between."""
        invite = leg.invite_in
        if (
            leg.peer is None
            or invite is None
            or leg.reliable_message
            or leg.their_offer is not None
        ):
            return
        if leg.queued_answer is not None:
            sdp, extra = leg.queued_answer
            leg.queued_answer = None
            leg.queued_progress.clear()
            self._answer(leg, leg.peer, invite, sdp, extra)
        elif leg.queued_progress:
            status, body = leg.queued_progress.pop(0)
            self._progress_reliably(leg, leg.peer, invite, status, body)

    # -- final responses

    def answer(self, leg_id: LegId, sdp: bytes, extra: str) -> None:
        """Send 200; at once, or when a description of ours under way has been acknowledged."""
        leg, peer, invite = self._arrived_leg(leg_id)
        if leg.queued_answer is not None:
            raise LocalError(f"leg {leg_id} has been answered already")
        if self._must_wait(leg):
            leg.queued_answer = (sdp, extra)
            return
        self._answer(leg, peer, invite, sdp, extra)

    @staticmethod
    def _must_wait(leg: Leg) -> bool:
        """Whether another exchange of descriptions must end before the 2xx may go out."""
        unacknowledged = bool(leg.reliable_message) and leg.reliable_has_sdp
        return unacknowledged or leg.their_offer is not None or leg.offer is not None

    def _answer(
        self, leg: Leg, peer: Peer, invite: ServerTransaction, sdp: bytes, extra: str
    ) -> None:
        core, request = self._core, invite.request
        if leg.reliable_message:
            leg.overtaken_rseq = peer.rseq
        leg.reliable_message = b""
        leg.queued_progress.clear()
        core.clear_timer(
            leg,
            LegTimer.TRYING,
            LegTimer.KEEP_RINGING,
            LegTimer.RESEND_RELIABLE,
            LegTimer.NO_PRACK,
        )
        session = session_timer.agree(request, core.session_expires_s)
        self.send_success(
            leg, peer, invite, sdp, extra + session_timer.response_lines(session, request)
        )
        leg.state = LegState.ANSWERED
        core.start_session(leg, peer, session)

    def send_success(
        self, leg: Leg, peer: Peer, invite: ServerTransaction, sdp: bytes, extra: str
    ) -> None:
        """Send the 2xx to an INVITE or re-INVITE, and again until ACK comes."""
        core = self._core
        meaning = peer.step(Side.OURS, Carrier.SUCCESS, has_sdp=True)
        if meaning is Meaning.GLARE:
            raise LocalError("an offer of ours is pending: wait for its answer")
        # What an earlier reliable 1xx said stands; another description here would be misread.
        body = (leg.local_sdp or b"") if meaning is Meaning.REPEAT else sdp
        leg.local_sdp = body
        leg.late_offer = meaning is Meaning.OFFER
        core.respond(invite, 200, extra=self._dialog_lines(invite.request) + extra, body=body)
        leg.invite_in = invite
        leg.answer_message = invite.message
        leg.answered_cseq = invite.request.cseq[0]
        leg.answer_interval = T1
        core.set_timer(leg, LegTimer.RESEND_ANSWER, T1)
        core.set_timer(leg, LegTimer.NO_ACK, LINGER)

    def _dialog_lines(self, request: Request) -> str:
        core = self._core
        routes = copied("Record-Route", request.all("record-route"))
        return f"{routes}{core.contact_line}{core.allow_line}{SUPPORTED_LINE}"

    def reject(self, leg_id: LegId, status: int, reason: str, extra: str) -> None:
        """Refuse the call."""
        leg, _, invite = self._arrived_leg(leg_id)
        if status not in _FAILURES:
            raise LocalError(f"status {status} is no refusal: give 300 to 699")
        self._refuse(leg, invite, status, reason=reason, extra=extra)

    def _refuse(
        self, leg: Leg, invite: ServerTransaction, status: int, *, reason: str = "", extra: str = ""
    ) -> None:
        self._core.respond(invite, status, reason=reason, extra=extra)
        if leg.their_offer is not None:
            self._core.respond(leg.their_offer, 487)
        self._core.forget(leg)

    # -- the end of the INVITE

    def cancelled(self, invite: ServerTransaction, reason: str) -> None:
        """Take CANCEL for `invite`, itself answered; too late if the INVITE has been answered."""
        leg = self._core.legs.get(invite.leg)
        if leg is None or invite.state is not State.PROCEEDING:
            return
        if leg.their_offer is invite:
            leg.their_offer = None
            self._core.respond(invite, 487)
            if leg.peer is not None:
                leg.peer.withdraw()
            self._core.events.append(OfferWithdrawn(leg=leg.id))
        elif leg.state is LegState.ARRIVED:
            self.give_up(leg, reason)

    def give_up(self, leg: Leg, reason: str) -> None:
        """End an unanswered call that its caller no longer wants."""
        if leg.invite_in is not None:
            self._refuse(leg, leg.invite_in, 487)
            self._core.events.append(Cancelled(leg=leg.id, reason=reason))

    def acknowledged(self, leg: Leg, ack: Request) -> None:
        """Take the ACK to our 2xx; one that comes again, or late, changes nothing."""
        if leg.peer is None or not leg.answer_message or ack.cseq[0] != leg.answered_cseq:
            return
        if self.has_left(leg, leg.peer):
            return
        core = self._core
        sdp = ack.sdp
        meaning = leg.peer.step(Side.THEIRS, Carrier.ACK, has_sdp=sdp is not None)
        self.settle(leg)
        if leg.state is LegState.ANSWERED:
            leg.state = LegState.CONFIRMED
            if meaning is Meaning.MISSING:
                # Whoever cancels and is answered all the same says ACK so, and BYE (§9.1).
                core.set_timer(leg, LegTimer.NO_ANSWER, BYE_AGAIN_S)
            else:
                answer = sdp if meaning is Meaning.ANSWER else None
                core.events.append(Confirmed(leg=leg.id, sdp=answer))
        elif leg.late_offer:
            core.events.append(OfferAnswered(leg=leg.id, sdp=sdp, was_asked=True))
        leg.late_offer = False
        if leg.wants_bye is not None and leg.state is LegState.CONFIRMED:
            core.hang_up(leg, leg.peer, leg.wants_bye)

    def leave(self, leg_id: LegId) -> None:
        """Let go of a call whose 2xx nobody has acknowledged, as its caller has another's.

        Not as RFC 3261 §13.3.1.4 has it, by BYE when 32 s are over: a BYE to somebody who talks
        with another is at best refused. An INVITE that comes again is still absorbed. Should their
        ACK be on its way all the same, they have our answer too, and would hear nobody.
        """
        leg = self._core.leg(leg_id)
        if leg.state is not LegState.ANSWERED:
            raise LocalError(f"leg {leg_id} is {leg.state}: hang up")
        self._core.refuse_their_offer(leg)
        self._core.clear_timer(leg, LegTimer.RESEND_ANSWER, LegTimer.NO_ACK)
        leg.wants_bye = ""
        self._core.set_timer(leg, LegTimer.LEFT, T4)

    def has_left(self, leg: Leg, peer: Peer) -> bool:
        """Tell whether we have let go of a leg of which we hear now; hang it up then."""
        if LegTimer.LEFT not in leg.timers:
            return False
        self._core.abandon(leg, peer)
        self._core.forget(leg)
        return True

    def left(self, leg: Leg, _timer: LegTimer) -> None:
        """Forget a leg that we have let go of: nothing of theirs is under way any more."""
        self._core.forget(leg)

    def settle(self, leg: Leg) -> None:
        """Stop sending our 2xx again."""
        leg.answer_message = b""
        self._core.clear_timer(leg, LegTimer.RESEND_ANSWER, LegTimer.NO_ACK)

    # -- timers

    def fire(self, leg: Leg, timer: LegTimer) -> None:
        """Run one timer of the answering half."""
        core, peer, invite = self._core, leg.peer, leg.invite_in
        if peer is None or invite is None:
            return
        match timer:
            case LegTimer.RESEND_ANSWER:
                core.transactions.outgoing.append((leg.answer_message, invite.peer))
                leg.answer_interval = min(2 * leg.answer_interval, T2)
                core.set_timer(leg, timer, leg.answer_interval)
            case LegTimer.NO_ACK:
                if leg.wants_bye is not None:
                    core.hang_up(leg, peer, leg.wants_bye)
                else:
                    core.drop(leg, peer, EndedBy.FAULT, "no_ack")
            case LegTimer.NO_ANSWER:
                core.events.append(Confirmed(leg=leg.id, sdp=None))
            case LegTimer.RESEND_RELIABLE:
                core.transactions.outgoing.append((leg.reliable_message, invite.peer))
                leg.reliable_interval *= 2
                core.set_timer(leg, timer, leg.reliable_interval)
            case LegTimer.NO_PRACK:
                # RFC 3262 §3: refuse with a 5xx.
                core.respond(invite, 504)
                core.end(leg, EndedBy.FAULT, "no_prack")
            case LegTimer.KEEP_RINGING:
                if "100rel" not in invite.request.tokens("require"):
                    core.respond(invite, 183, extra=self._dialog_lines(invite.request))
                    core.set_timer(leg, timer, RING_AGAIN_S)
            case _:
                pass


def check_invite(request: Request, min_se_s: int) -> None:
    """Raise RemoteError for an INVITE, new or within a dialog, that we cannot take."""
    if required_unsupported(request):
        raise RemoteError(420, "Bad Extension")
    if request.body and request.sdp is None:
        disposition = request.first("content-disposition").replace(" ", "").lower()
        if "handling=optional" not in disposition:
            raise RemoteError(415, "Unsupported Media Type")
    accept = request.elements("accept")
    if accept and not any(_accepts_sdp(kind) for kind in accept):
        raise RemoteError(406, "Not Acceptable")
    if session_timer.is_too_small(request, min_se_s):
        raise RemoteError(422, "Session Interval Too Small")


def _accepts_sdp(kind: str) -> bool:
    return kind.partition(";")[0].strip().lower() in ("application/sdp", "application/*", "*/*")
