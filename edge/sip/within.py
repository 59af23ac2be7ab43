"""Requests within a dialog: BYE, re-INVITE, UPDATE (RFC 3261 §12.2, §14, §15).

Also session refreshes (RFC 4028) and what happens when two offers meet (RFC 3261 §14.1, §14.2).
"""

from __future__ import annotations

from msgspec.structs import replace

from edge.sip import session_timer
from edge.sip.asking import BYE_AGAIN_S, NO_DIALOG
from edge.sip.core import SUPPORTED_LINE, Core, is_gone, retry_later
from edge.sip.dialog import refreshed
from edge.sip.errors import LocalError, RemoteError
from edge.sip.events import (
    CROSSED,
    Confirmed,
    EndedBy,
    LegId,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
)
from edge.sip.goodbye import Goodbyes
from edge.sip.leg import Leg, LegState, LegTimer, OwnOffer, Peer
from edge.sip.message import Response
from edge.sip.offer_answer import Carrier, Meaning, Side
from edge.sip.transaction import ClientTransaction, ServerTransaction
from edge.sip.uas import Uas, check_invite

MAX_ATTEMPTS = 8
"""How often an offer of ours is made before glare counts as a refusal."""
SESSION_TOO_SMALL = 422
TERMINATED = 487
BUSY_S = 0.5
"""How soon to look again whether an offer that has to wait may go out."""


class Within:
    """Offers, refreshes and the end of a call, from either side."""

    def __init__(self, core: Core, uas: Uas, goodbyes: Goodbyes) -> None:
        self._core = core
        self._uas = uas
        self._goodbyes = goodbyes

    # -- theirs

    def ended(self, leg: Leg, peer: Peer, transaction: ServerTransaction) -> None:
        """Take BYE."""
        core = self._core
        reason = transaction.request.first("reason")
        if leg.state is LegState.ARRIVED or peer is not leg.peer:
            core.respond(transaction, 200)
            if leg.state is LegState.ARRIVED:
                self._uas.give_up(leg, reason)
            else:
                leg.early.pop(peer.dialog.remote_tag, None)
            return
        goodbye = self._goodbyes.take(transaction)
        if leg.state is LegState.ENDING:
            core.end(leg, EndedBy.LOCAL, CROSSED, reason, goodbye)
            return
        core.refuse_their_offer(leg)
        core.end(leg, EndedBy.REMOTE, "bye", reason, goodbye)

    def reinvited(self, leg: Leg, peer: Peer, transaction: ServerTransaction) -> None:
        """Take a re-INVITE."""
        core, request = self._core, transaction.request
        transaction.leg = leg.id
        check_invite(request, core.min_se_s)
        if leg.state is LegState.ARRIVED or leg.their_offer is not None or leg.late_offer:
            retry_later(core, transaction)
            return
        if leg.peer is not peer or leg.state is LegState.OFFERED or leg.owing_ack is not None:
            raise RemoteError(491, "Request Pending")
        sdp = request.sdp
        if self._is_offering(leg):
            raise RemoteError(491, "Request Pending")
        if self._uas.has_left(leg, peer):
            raise RemoteError(481, "Call/Transaction Does Not Exist")
        if leg.answer_message:
            # They would not ask again had they not got our 2xx: its ACK is lost or late.
            self._uas.settle(leg)
            if leg.state is LegState.ANSWERED:
                leg.state = LegState.CONFIRMED
                core.events.append(Confirmed(leg=leg.id, sdp=None))
            if leg.wants_bye is not None:
                core.hang_up(leg, peer, leg.wants_bye)
                raise RemoteError(481, "Call/Transaction Does Not Exist")
        meaning = peer.step(Side.THEIRS, Carrier.INVITE, has_sdp=sdp is not None)
        if meaning is Meaning.GLARE:
            raise RemoteError(491, "Request Pending")
        peer.dialog = refreshed(peer.dialog, request)
        leg.their_offer = transaction
        core.respond(transaction, 100)
        core.events.append(OfferReceived(leg=leg.id, method="INVITE", sdp=sdp))

    def updated(self, leg: Leg, peer: Peer, transaction: ServerTransaction) -> None:
        """Take UPDATE (RFC 3311 §5.2): a refresh is answered at once, an offer is the user's."""
        core, request = self._core, transaction.request
        check_invite(request, core.min_se_s)
        sdp = request.sdp
        if sdp is not None:
            if leg.their_offer is not None or peer.exchange.by is Side.THEIRS:
                retry_later(core, transaction)
                return
            # Before the exchange takes note of it: an offer that is refused is not pending.
            early = peer is not leg.peer
            if early or peer.step(Side.THEIRS, Carrier.UPDATE, has_sdp=True) is Meaning.GLARE:
                raise RemoteError(491, "Request Pending")
        peer.dialog = refreshed(peer.dialog, request)
        if sdp is None:
            core.respond(transaction, 200, extra=self._lines(leg, peer, transaction))
        else:
            leg.their_offer = transaction
            core.events.append(OfferReceived(leg=leg.id, method="UPDATE", sdp=sdp))

    def _lines(self, leg: Leg, peer: Peer, transaction: ServerTransaction) -> str:
        """Write what a 2xx to a target refresh says, and start the session timer anew."""
        core, request = self._core, transaction.request
        before = peer.dialog.session
        session = session_timer.agree(
            request, before.interval_s if before else core.session_expires_s
        )
        if leg.state is not LegState.ARRIVED:
            core.start_session(leg, peer, session)
        lines = session_timer.response_lines(session, request)
        return f"{core.contact_line}{core.allow_line}{SUPPORTED_LINE}{lines}"

    def answer_offer(self, leg_id: LegId, sdp: bytes) -> None:
        """Answer their offer; to a re-INVITE without one, this is ours."""
        core = self._core
        leg = core.leg(leg_id)
        peer, transaction = leg.peer, leg.their_offer
        if peer is not None and leg.owing_ack is not None:
            self.acknowledge(leg, peer, sdp)
            return
        if peer is None or transaction is None:
            raise LocalError(f"leg {leg_id} has no offer to answer")
        leg.their_offer = None
        method = transaction.request.method
        if method == "INVITE":
            before = peer.dialog.session
            asked = before.interval_s if before else core.session_expires_s
            session = session_timer.agree(transaction.request, asked)
            lines = session_timer.response_lines(session, transaction.request)
            try:
                self._uas.send_success(leg, peer, transaction, sdp, lines)
            except LocalError:
                # They have left an exchange open that they had begun: this one cannot be answered.
                peer.withdraw()
                core.respond(transaction, 500)
                raise
            core.start_session(leg, peer, session)
            return
        leg.local_sdp = sdp
        if method == "PRACK":
            peer.step(Side.OURS, Carrier.PRACK_SUCCESS, has_sdp=True)
            core.respond(transaction, 200, body=sdp)
            self._uas.go_on(leg)
        else:
            peer.step(Side.OURS, Carrier.UPDATE_SUCCESS, has_sdp=True)
            core.respond(transaction, 200, extra=self._lines(leg, peer, transaction), body=sdp)

    def refuse_offer(self, leg_id: LegId, status: int) -> None:
        """Refuse their offer: the session stays as it was."""
        core = self._core
        leg = core.leg(leg_id)
        if leg.peer is None or leg.their_offer is None:
            raise LocalError(f"leg {leg_id} has no offer to refuse")
        if not 400 <= status < 700:  # noqa: PLR2004
            raise LocalError(f"status {status} is no refusal: give 400 to 699")
        transaction, leg.their_offer = leg.their_offer, None
        leg.peer.withdraw()
        core.respond(transaction, status)
        if transaction.request.method == "PRACK":
            self._uas.go_on(leg)

    # -- ours

    def bye(self, leg_id: LegId, reason: str) -> None:
        """Hang up; before the ACK to our 2xx, as soon as that has come (RFC 3261 §15).

        After a last NOTIFY once it is answered: a BYE that overtakes it takes its dialog away.
        """
        core = self._core
        leg = core.leg(leg_id)
        if leg.peer is None or not leg.has_dialog or leg.wants_bye is not None:
            how = {LegState.ARRIVED: "reject", LegState.CALLING: "cancel"}.get(leg.state)
            hint = f": use {how}" if how else ": it is ending"
            raise LocalError(f"leg {leg_id} is {leg.state}{hint}")
        if leg.state is LegState.ANSWERED or leg.telling_last:
            leg.wants_bye = reason
            return
        core.hang_up(leg, leg.peer, reason)

    def offer(self, leg_id: LegId, method: str, sdp: bytes | None) -> None:
        """Make an offer by re-INVITE or UPDATE."""
        core = self._core
        leg = core.leg(leg_id)
        peer = leg.peer or (next(iter(leg.early.values())) if len(leg.early) == 1 else None)
        early = leg.state in (LegState.ARRIVED, LegState.CALLING) and method == "UPDATE"
        if peer is None or not (leg.has_dialog or early):
            raise LocalError(f"leg {leg_id} is {leg.state}: no dialog to make an offer in")
        if method == "UPDATE" and not peer.dialog.can_update:
            raise LocalError(f"the other side of leg {leg_id} does not allow UPDATE: use reinvite")
        refreshes = leg.offer is not None and leg.offer.refresh
        is_users = leg.offer is not None and not refreshes
        if is_users or leg.queued_offer is not None or leg.their_offer is not None:
            raise LocalError(f"leg {leg_id} has an offer pending: wait for its answer")
        if leg.wants_bye is not None or leg.state is LegState.OFFERED:
            raise LocalError(f"leg {leg_id} is {leg.state}: it takes no offer now")
        own = OwnOffer(method, sdp)
        if (leg.answer_message or refreshes) and leg.has_dialog:
            leg.queued_offer = own
        elif not peer.exchange.is_stable or (
            early and (peer.exchange.late or leg.reliable_message)
        ):
            raise LocalError(f"leg {leg_id} has an offer pending: wait for its answer")
        else:
            self._send_offer(leg, peer, own)

    def go_on(self, leg: Leg) -> None:
        """Send what waited for an ACK, or for a refresh of ours.

        A refresh that waits itself, having met an offer of theirs, is not needed besides.
        """
        peer, own = leg.peer, leg.queued_offer
        if own is None or peer is None or leg.state is not LegState.CONFIRMED:
            return
        if self._is_offering(leg):
            return
        leg.queued_offer = None
        self._core.clear_timer(leg, LegTimer.RETRY_OFFER)
        if self._is_busy(leg, peer):
            leg.offer = own
            self._core.set_timer(leg, LegTimer.RETRY_OFFER, BUSY_S)
        else:
            self._send_offer(leg, peer, own)

    @staticmethod
    def _is_busy(leg: Leg, peer: Peer) -> bool:
        """Whether an exchange of theirs has to end before an offer of ours may go out."""
        is_open = leg.their_offer is not None or bool(leg.answer_message)
        return is_open or not peer.exchange.is_stable

    def _send_offer(self, leg: Leg, peer: Peer, own: OwnOffer) -> None:
        core = self._core
        session = peer.dialog.session
        lines = f"{core.allow_line}{SUPPORTED_LINE}"
        if session is not None:
            who = "uac" if session.we_refresh else "uas"
            least = max(leg.min_se_s, session_timer.MIN_SE)
            lines += session_timer.request_lines(session.interval_s, least, refresher=who)
        core.send(leg, peer, own.method, self._offered, extra=lines, body=own.sdp or b"")
        carrier = Carrier.INVITE if own.method == "INVITE" else Carrier.UPDATE
        peer.step(Side.OURS, carrier, has_sdp=own.sdp is not None)
        leg.offer = own
        own.attempts += 1

    def _offered(self, leg: Leg, transaction: ClientTransaction, response: Response | None) -> None:
        core, peer = self._core, leg.peer
        if response is not None and response.is_success and transaction.request.method == "INVITE":
            again = transaction.acks.get(response.to.tag)
            if again is not None:
                core.transactions.outgoing.append(again)
                return
            if peer is not None and leg.offer is None:
                # The leg is over, or ending: the 2xx wants its ACK all the same.
                if leg.owing_ack is not transaction:
                    core.send_ack(leg, peer, transaction, None)
                return
        if peer is None:
            peer = next(iter(leg.early.values()), None)
        own = leg.offer
        if peer is None or own is None or leg.owing_ack is not None:
            return
        if response is not None and response.is_success:
            self._accepted(leg, peer, own, transaction, response)
        else:
            self._refused(leg, peer, own, response)

    def _accepted(
        self,
        leg: Leg,
        peer: Peer,
        own: OwnOffer,
        transaction: ClientTransaction,
        response: Response,
    ) -> None:
        core = self._core
        sdp = response.sdp
        invite = own.method == "INVITE"
        carrier = Carrier.SUCCESS if invite else Carrier.UPDATE_SUCCESS
        meaning = peer.step(Side.THEIRS, carrier, has_sdp=sdp is not None)
        peer.dialog = refreshed(peer.dialog, response)
        before = peer.dialog.session
        try:
            session = session_timer.agreed(response, before.interval_s if before else None)
        except RemoteError:
            session = before
        if leg.has_dialog:
            core.start_session(leg, peer, session)
        leg.refresh_failures = 0
        if invite and meaning is Meaning.OFFER:
            leg.owing_ack = transaction
            core.events.append(OfferReceived(leg=leg.id, method="200", sdp=sdp))
            return
        leg.offer = None
        if own.sdp is not None:
            leg.local_sdp = own.sdp
        if invite:
            core.send_ack(leg, peer, transaction, None)
        if not own.refresh:
            core.events.append(OfferAnswered(leg=leg.id, sdp=sdp))
        self._uas.go_on(leg)
        self.go_on(leg)

    def acknowledge(self, leg: Leg, peer: Peer, sdp: bytes) -> None:
        """Answer, in ACK, the offer that a re-INVITE of ours without one was answered with."""
        if leg.owing_ack is None:
            raise LocalError(f"leg {leg.id} has no offer that waits for ACK")
        transaction, leg.owing_ack, leg.offer = leg.owing_ack, None, None
        peer.step(Side.OURS, Carrier.ACK, has_sdp=True)
        self._core.send_ack(leg, peer, transaction, sdp)

    def _refused(self, leg: Leg, peer: Peer, own: OwnOffer, response: Response | None) -> None:
        core = self._core
        peer.withdraw()
        status = 408 if response is None else response.status
        if status == 491 and own.attempts < MAX_ATTEMPTS:  # noqa: PLR2004
            # RFC 3261 §14.1: the owner of the Call-ID waits 2.1 to 4 s, the other up to 2 s.
            pause = 2.1 + 1.9 * core.chance() if peer.dialog.caller else 2.0 * core.chance()
            core.set_timer(leg, LegTimer.RETRY_OFFER, round(pause, 2))
            return
        session = peer.dialog.session
        if (
            response is not None
            and status == SESSION_TOO_SMALL
            and session is not None
            and own.attempts < MAX_ATTEMPTS
        ):
            try:
                leg.min_se_s = session_timer.number_of(response.first("min-se"))
            except RemoteError:
                leg.min_se_s = session.interval_s
            longer = replace(session, interval_s=max(session.interval_s, leg.min_se_s))
            peer.dialog = replace(peer.dialog, session=longer)
            self._send_offer(leg, peer, own)
            return
        if status == TERMINATED and leg.has_dialog:
            # We cancel none: they hang up in place of an answer, and their BYE is on its way.
            core.set_timer(leg, LegTimer.TERMINATED, BYE_AGAIN_S)
            return
        if status == NO_DIALOG and leg.has_dialog:
            # They have hung up, as a rule in this moment: it is their BYE that says so.
            leg.offer = None
            core.set_timer(leg, LegTimer.GONE, BYE_AGAIN_S)
            return
        gone = is_gone(response) and leg.has_dialog
        self._give_up(leg, peer, own, status, is_silence=response is None, gone=gone)

    def _give_up(  # noqa: PLR0913 - all that is told of it
        self, leg: Leg, peer: Peer, own: OwnOffer, status: int, *, is_silence: bool, gone: bool
    ) -> None:
        """Take our offer for refused."""
        core = self._core
        leg.offer = None
        if own.refresh:
            self._refresh_failed(leg, peer, gone=gone)
            self.go_on(leg)
            return
        core.events.append(OfferRefused(leg=leg.id, status=status, timeout=is_silence))
        if gone:
            core.drop(leg, peer, EndedBy.FAULT, "gone")
        else:
            self._uas.go_on(leg)

    # -- session timers

    def _refresh_failed(self, leg: Leg, peer: Peer, *, gone: bool) -> None:
        core, session = self._core, peer.dialog.session
        leg.refresh_failures += 1
        if gone or session is None or leg.refresh_failures > 1:
            core.drop(leg, peer, EndedBy.FAULT, "session_expired")
        else:
            core.set_timer(leg, LegTimer.SESSION, session.interval_s / 4)

    def fire(self, leg: Leg, timer: LegTimer) -> None:
        """Run one timer of an established leg."""
        core, peer = self._core, leg.peer
        if peer is None:
            return
        busy = self._is_busy(leg, peer)
        if timer is LegTimer.RETRY_OFFER and leg.offer is not None:
            own = leg.offer if leg.queued_offer is None else leg.queued_offer
            leg.offer, leg.queued_offer = own, None
            if busy:
                core.set_timer(leg, timer, BUSY_S)
            else:
                self._send_offer(leg, peer, own)
        elif timer is LegTimer.TERMINATED and leg.offer is not None:
            self._give_up(leg, peer, leg.offer, TERMINATED, is_silence=False, gone=False)
        elif timer is LegTimer.SESSION:
            session = peer.dialog.session
            if session is None or not session.we_refresh:
                core.drop(leg, peer, EndedBy.FAULT, "session_expired")
            elif busy or leg.offer is not None:
                core.set_timer(leg, timer, BUSY_S)
            else:
                self._refresh(leg, peer)

    def _refresh(self, leg: Leg, peer: Peer) -> None:
        if peer.dialog.can_update or leg.local_sdp is None:
            own = OwnOffer("UPDATE", None, refresh=True)
        else:
            own = OwnOffer("INVITE", leg.local_sdp, refresh=True)
        self._send_offer(leg, peer, own)

    @staticmethod
    def _is_offering(leg: Leg) -> bool:
        return leg.offer is not None and LegTimer.RETRY_OFFER not in leg.timers
