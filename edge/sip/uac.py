"""Calls that go out: INVITE to ACK, with forks, early dialogs and CANCEL (RFC 3261 §9.1, §13.2)."""

from __future__ import annotations

from msgspec.structs import replace

from edge.sip import session_timer
from edge.sip.builder import Outgoing
from edge.sip.core import SUPPORTED_LINE, Core, reason_line
from edge.sip.dialog import Dialog, dialog_of_uac
from edge.sip.errors import LocalError, RemoteError
from edge.sip.events import Answered, EndedBy, LegId, Progress, Rejected
from edge.sip.leg import InvitePlan, Leg, LegState, LegTimer, Peer
from edge.sip.message import Response
from edge.sip.offer_answer import Carrier, Meaning, Side
from edge.sip.transaction import ClientTransaction

MOST_FORKS = 16
"""How many early dialogs one INVITE may have, and how many 2xx are answered: tags cost nothing."""
MAX_CHANGES = 3
"""How often 422 may raise the session interval of one INVITE."""


class Uac:
    """The calling half."""

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- INVITE

    def invite(self, plan: InvitePlan, call_id: str, credentials: tuple[str, str] | None) -> LegId:
        """Send INVITE and return the leg that it makes."""
        core = self._core
        leg_id = LegId(core.token())
        leg = Leg(leg_id, call_id, is_uas=False)
        leg.plan = plan
        leg.local = f"{plan.from_};tag={leg_id}"
        leg.credentials = credentials
        leg.local_sdp = plan.sdp
        core.legs[leg_id] = leg
        try:
            self._send(leg, plan, self._request(leg, plan))
        except LocalError:
            core.forget(leg)
            raise
        return leg_id

    def _request(self, leg: Leg, plan: InvitePlan) -> Outgoing:
        session = ""
        if plan.session_expires_s is not None:
            session = session_timer.request_lines(plan.session_expires_s, plan.min_se_s)
        return Outgoing(
            method="INVITE",
            uri=plan.request_uri,
            routes=(),
            from_=leg.local,
            to=plan.to,
            call_id=leg.call_id,
            cseq=leg.seq,
            extra=f"{self._core.allow_line}{SUPPORTED_LINE}{session}{plan.extra}",
            body=plan.sdp or b"",
            content_type="application/sdp",
        )

    def _send(self, leg: Leg, plan: InvitePlan, request: Outgoing) -> ClientTransaction:
        leg.seq += 1
        leg.can_cancel = False
        leg.early.clear()

        def on_response(transaction: ClientTransaction, response: Response | None) -> None:
            self._responded(leg, transaction, response)

        transaction = self._core.transactions.request(
            replace(request, cseq=leg.seq), plan.next_hop, self._core.now, on_response
        )
        leg.invite_out = transaction
        if plan.timer_b_s is not None:
            transaction.expire_in(plan.timer_b_s, self._core.now)
            self._core.timers.schedule(transaction)
        return transaction

    # -- responses

    def _responded(
        self, leg: Leg, transaction: ClientTransaction, response: Response | None
    ) -> None:
        if response is None:
            self._failed(leg, 408, "Request Timeout", None)
        elif not response.is_final:
            self._progressed(leg, transaction, response)
        elif response.is_success:
            self._succeeded(leg, transaction, response)
        elif not self._try_again(leg, transaction, response):
            self._failed(leg, response.status, response.reason, response)

    def _peer(self, leg: Leg, transaction: ClientTransaction, response: Response) -> Peer | None:
        """Return what we share with the sender of a response; None if it makes no dialog."""
        tag = response.to.tag
        peer = leg.early.get(tag)
        if peer is not None or not tag:
            return peer
        if len(leg.early) >= MOST_FORKS and not response.is_final:
            return None
        peer = Peer(self._dialog(leg, transaction, response))
        peer.step(Side.OURS, Carrier.INVITE, has_sdp=bool(transaction.request.body))
        leg.early[tag] = peer
        return peer

    def _progressed(self, leg: Leg, transaction: ClientTransaction, response: Response) -> None:
        first = not leg.can_cancel
        leg.can_cancel = True
        if leg.state is LegState.CANCELLING or (leg.state is LegState.GONE and leg.gave_up):
            if first:
                self._send_cancel(leg, transaction)
            return
        if leg.state is not LegState.CALLING or response.status == 100:  # noqa: PLR2004
            return
        try:
            peer = self._peer(leg, transaction, response)
        except RemoteError:
            return
        if peer is None:
            return
        reliable = "100rel" in response.tokens("require")
        sdp = response.sdp
        carrier = Carrier.RELIABLE if reliable else Carrier.PROVISIONAL
        if reliable and not self._is_next(peer, response):
            return
        meaning = peer.step(Side.THEIRS, carrier, has_sdp=sdp is not None)
        owes = False
        if meaning in (Meaning.ANSWER, Meaning.PREVIEW):
            peer.preview = sdp
        if reliable:
            rack = f"{peer.rseq} {response.cseq[0]} INVITE"
            if meaning is Meaning.OFFER:
                peer.unanswered_rseq = rack
                leg.owing = peer
                owes = True
            else:
                self._core.send(leg, peer, "PRACK", self._pracked, extra=f"RAck: {rack}\r\n")
        self._core.events.append(
            Progress(leg=leg.id, status=response.status, sdp=sdp, needs_prack_sdp=owes)
        )

    def _is_next(self, peer: Peer, response: Response) -> bool:
        """Whether a reliable 1xx is the next in order; others are dropped (RFC 3262 §4)."""
        text = response.first("rseq")
        rseq = (
            int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(2**32)) else 0
        )
        if not rseq or (peer.rseq and rseq != peer.rseq + 1):
            return False
        peer.rseq = rseq
        return True

    def _pracked(self, leg: Leg, transaction: ClientTransaction, response: Response | None) -> None:
        """PRACK has been answered; without an answer the INVITE itself will end."""
        _ = leg, transaction, response

    def _succeeded(self, leg: Leg, transaction: ClientTransaction, response: Response) -> None:
        core = self._core
        tag = response.to.tag
        again = transaction.acks.get(tag)
        if again is not None:
            core.transactions.outgoing.append(again)
            return
        if len(transaction.acks) >= MOST_FORKS:
            return
        if (
            leg.state is LegState.OFFERED
            and leg.peer is not None
            and leg.peer.dialog.remote_tag == tag
        ):
            return
        peer = self._peer_of_success(leg, transaction, response)
        # Not so one that has been refused and sent again, with proof of who we are or otherwise.
        is_current = transaction is leg.invite_out
        if peer is None:
            if is_current and leg.state in (LegState.CALLING, LegState.CANCELLING):
                self._failed(leg, 502, "2xx that makes no dialog", None)
            return
        if is_current and leg.state is LegState.CALLING:
            self._established(leg, peer, transaction, response)
            return
        # Another fork's, or it crossed our CANCEL: acknowledge, then hang up (§13.2.2.4).
        core.send_ack(leg, peer, transaction, None)
        if is_current and leg.state is LegState.CANCELLING:
            core.drop(leg, peer, EndedBy.LOCAL, "cancelled", leg.cancel_reason)
        else:
            core.abandon(leg, peer)

    def _peer_of_success(
        self, leg: Leg, transaction: ClientTransaction, response: Response
    ) -> Peer | None:
        """Return whom a 2xx is from, their dialog as it says; None if it makes none."""
        try:
            peer = self._peer(leg, transaction, response)
            confirmed = self._dialog(leg, transaction, response)
        except RemoteError:
            return None
        if peer is not None:
            peer.dialog = replace(
                confirmed,
                local_seq=max(peer.dialog.local_seq, confirmed.local_seq),
                remote_seq=peer.dialog.remote_seq,
            )
        return peer

    @staticmethod
    def _dialog(leg: Leg, transaction: ClientTransaction, response: Response) -> Dialog:
        return dialog_of_uac(
            response,
            local=leg.local,
            local_tag=leg.id,
            target=transaction.request.uri,
            hop=transaction.peer,
        )

    def _established(
        self, leg: Leg, peer: Peer, transaction: ClientTransaction, response: Response
    ) -> None:
        core, plan = self._core, leg.plan
        sdp = response.sdp
        if leg.their_offer is not None and leg.early_offerer is not None:
            core.refuse_their_offer(leg)
            leg.early_offerer.withdraw()
            leg.early_offerer = None
        meaning = peer.step(Side.THEIRS, Carrier.SUCCESS, has_sdp=sdp is not None)
        if meaning is Meaning.MISSING and peer.preview is None:
            core.send_ack(leg, peer, transaction, None)
            self._failed(leg, 488, "Answer without a session description", None)
            core.abandon(leg, peer)
            return
        leg.peer = peer
        leg.early.clear()
        leg.plan = None
        if meaning is Meaning.OFFER:
            leg.state = LegState.OFFERED
        else:
            leg.state = LegState.CONFIRMED
            core.send_ack(leg, peer, transaction, None)
        try:
            asked = plan.session_expires_s if plan is not None else None
            core.start_session(leg, peer, session_timer.agreed(response, asked))
        except RemoteError:
            core.start_session(leg, peer, None)
        is_said_before = meaning in (Meaning.NOTHING, Meaning.REPEAT, Meaning.MISSING)
        answer = peer.preview if is_said_before else sdp
        core.events.append(
            Answered(leg=leg.id, sdp=answer or b"", needs_ack_sdp=meaning is Meaning.OFFER)
        )

    def _try_again(self, leg: Leg, transaction: ClientTransaction, response: Response) -> bool:
        """Send the INVITE again where the refusal tells how (401, 407, 422)."""
        plan = leg.plan
        if leg.state is not LegState.CALLING or plan is None:
            return False
        retry = self._core.authorised(transaction, response, leg.credentials)
        if retry is not None:
            self._send(leg, plan, retry).proofs = transaction.proofs + 1
            return True
        if response.status == 422 and plan.session_expires_s is not None:  # noqa: PLR2004
            try:
                least = session_timer.number_of(response.first("min-se"))
            except RemoteError:
                return False
            if least > plan.session_expires_s and leg.seq <= MAX_CHANGES:
                plan = replace(plan, session_expires_s=least, min_se_s=least)
                leg.plan = plan
                self._send(leg, plan, self._request(leg, plan))
                return True
        return False

    def _failed(self, leg: Leg, status: int, reason: str, response: Response | None) -> None:
        core = self._core
        if leg.state is LegState.CANCELLING:
            leg.gave_up = response is None
            core.end(leg, EndedBy.LOCAL, "cancelled", leg.cancel_reason)
        elif leg.state is LegState.CALLING:
            headers = response.joined() if response is not None else {}
            timeout = response is None and status == 408  # noqa: PLR2004
            leg.gave_up = timeout
            if timeout and leg.invite_out is not None and leg.can_cancel:
                # It rang for too long: whoever rings still should stop.
                self._send_cancel(leg, leg.invite_out)
            core.events.append(
                Rejected(leg=leg.id, status=status, reason=reason, timeout=timeout, headers=headers)
            )
            core.forget(leg)

    # -- commands

    def acknowledge(self, leg_id: LegId, sdp: bytes) -> None:
        """Answer the offer that their 2xx (in ACK) or reliable 1xx (in PRACK) brought."""
        core = self._core
        leg = core.leg(leg_id)
        if leg.state is LegState.CALLING and leg.owing is not None:
            peer, rack = leg.owing, leg.owing.unanswered_rseq
            leg.owing = None
            peer.step(Side.OURS, Carrier.PRACK, has_sdp=True)
            leg.local_sdp = sdp
            core.send(leg, peer, "PRACK", self._pracked, extra=f"RAck: {rack}\r\n", body=sdp)
        elif leg.state is LegState.OFFERED and leg.peer is not None and leg.invite_out is not None:
            leg.peer.step(Side.OURS, Carrier.ACK, has_sdp=True)
            core.send_ack(leg, leg.peer, leg.invite_out, sdp)
            leg.state = LegState.CONFIRMED
        else:
            raise LocalError(f"leg {leg_id} is {leg.state}: no offer of theirs waits for ACK")

    def cancel(self, leg_id: LegId, reason: str) -> None:
        """Give up a call that is not answered; `Ended` comes when it is over."""
        core = self._core
        leg = core.leg(leg_id)
        if leg.state is not LegState.CALLING or leg.invite_out is None:
            raise LocalError(
                f"leg {leg_id} is {leg.state}: only an unanswered call can be cancelled"
            )
        leg.state = LegState.CANCELLING
        leg.cancel_reason = reason
        if leg.can_cancel:
            self._send_cancel(leg, leg.invite_out)

    def _send_cancel(self, leg: Leg, invite: ClientTransaction) -> None:
        """Send CANCEL, and again for 32 s, however soon the leg is over.

        Whoever rings at a site that comes back meanwhile should stop.
        """
        core = self._core
        core.transactions.cancel(invite, reason_line(leg.cancel_reason), core.now, _ignore)
        if leg.state is LegState.CANCELLING:
            core.set_timer(leg, LegTimer.CANCEL_LOST, core.cancel_timeout_s)

    def fire(self, leg: Leg, timer: LegTimer) -> None:
        """Run one timer of the calling half."""
        if timer is LegTimer.CANCEL_LOST:
            if leg.invite_out is not None:
                self._core.transactions.give_up(leg.invite_out, self._core.now)
            self._core.end(leg, EndedBy.LOCAL, "cancelled", leg.cancel_reason)


def _ignore(_transaction: ClientTransaction, _response: Response | None) -> None:
    """Do nothing: the answer to CANCEL says nothing, the INVITE's does."""
