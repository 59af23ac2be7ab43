"""Requests within a dialog: BYE, and their re-INVITE and UPDATE (RFC 3261 §12.2, §14, §15).

Also what becomes of their offer when it meets one of ours (RFC 3261 §14.2): ours are in
`own_offers`.
"""

from __future__ import annotations

from edge.sip import session_timer
from edge.sip.core import SUPPORTED_LINE, Core, retry_later
from edge.sip.dialog import refreshed
from edge.sip.errors import LocalError, RemoteError
from edge.sip.events import CROSSED, Confirmed, EndedBy, LegId, OfferReceived
from edge.sip.goodbye import Goodbyes
from edge.sip.leg import Leg, LegState, LegTimer, Peer
from edge.sip.offer_answer import Carrier, Meaning, Side
from edge.sip.own_offers import OwnOffers, is_offering
from edge.sip.transaction import ServerTransaction
from edge.sip.uas import TRYING_AFTER_S, Uas, check_invite


class Within:
    """Their offers and refreshes, and the end of a call from either side."""

    def __init__(self, core: Core, uas: Uas, own_offers: OwnOffers, goodbyes: Goodbyes) -> None:
        self._core = core
        self._uas = uas
        self._own_offers = own_offers
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
        if is_offering(leg):
            raise RemoteError(491, "Request Pending")
        if leg.answer_message:
            # They would not ask again had they not got our 2xx (RFC 3261 §14.1).
            self.acknowledged(leg, peer)
        meaning = peer.step(Side.THEIRS, Carrier.INVITE, has_sdp=sdp is not None)
        if meaning is Meaning.GLARE:
            raise RemoteError(491, "Request Pending")
        peer.dialog = refreshed(peer.dialog, request)
        leg.their_offer = transaction
        core.set_timer(leg, LegTimer.TRYING, TRYING_AFTER_S)
        core.events.append(OfferReceived(leg=leg.id, method="INVITE", sdp=sdp))

    def acknowledged(self, leg: Leg, peer: Peer) -> None:
        """Take what they say for the ACK to our 2xx, which is lost or late: they have got that.

        RemoteError 481 if the leg is over with it.
        """
        if self._uas.has_left(leg, peer):
            raise RemoteError(481, "Call/Transaction Does Not Exist")
        self._uas.settle(leg)
        if leg.state is LegState.ANSWERED:
            leg.state = LegState.CONFIRMED
            self._core.events.append(Confirmed(leg=leg.id, sdp=None))
        if leg.wants_bye is not None:
            self._core.hang_up(leg, peer, leg.wants_bye)
            raise RemoteError(481, "Call/Transaction Does Not Exist")

    def updated(self, leg: Leg, peer: Peer, transaction: ServerTransaction) -> None:
        """Take UPDATE (RFC 3311 §5.2): a refresh is answered at once, an offer is the user's."""
        core, request = self._core, transaction.request
        check_invite(request, core.min_se_s)
        sdp = request.sdp
        if sdp is not None:
            if leg.their_offer is not None or peer.exchange.by is Side.THEIRS:
                retry_later(core, transaction)
                return
            early = peer is not leg.peer
            # Before the exchange takes note of it: an offer that is refused is not pending.
            is_void = early and leg.state is not LegState.CALLING
            if is_void or peer.step(Side.THEIRS, Carrier.UPDATE, has_sdp=True) is Meaning.GLARE:
                raise RemoteError(491, "Request Pending")
            leg.early_offerer = peer if early else None
        peer.dialog = refreshed(peer.dialog, request)
        if sdp is None:
            core.respond(transaction, 200, extra=self._lines(leg, peer, transaction))
        else:
            leg.their_offer = transaction
            is_early = leg.early_offerer is not None
            core.events.append(
                OfferReceived(leg=leg.id, method="UPDATE", sdp=sdp, is_early=is_early)
            )

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
        peer, transaction = leg.peer or leg.early_offerer, leg.their_offer
        if peer is not None and leg.owing_ack is not None:
            self._own_offers.acknowledge(leg, peer, sdp)
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
            if leg.early_offerer is peer:
                # Their 2xx to the INVITE need not say it again (RFC 6337 §3.1.1).
                peer.preview = transaction.request.sdp
                leg.early_offerer = None
            core.respond(transaction, 200, extra=self._lines(leg, peer, transaction), body=sdp)

    def refuse_offer(self, leg_id: LegId, status: int) -> None:
        """Refuse their offer: the session stays as it was."""
        core = self._core
        leg = core.leg(leg_id)
        peer = leg.peer or leg.early_offerer
        if peer is None or leg.their_offer is None:
            raise LocalError(f"leg {leg_id} has no offer to refuse")
        if not 400 <= status < 700:  # noqa: PLR2004
            raise LocalError(f"status {status} is no refusal: give 400 to 699")
        transaction, leg.their_offer = leg.their_offer, None
        leg.early_offerer = None
        peer.withdraw()
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
