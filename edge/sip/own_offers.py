"""Offers of ours within a dialog, by re-INVITE or UPDATE (RFC 3261 §14.1, RFC 3311).

Also session refreshes (RFC 4028), and what becomes of an offer that has met one of theirs.
"""

from __future__ import annotations

from msgspec.structs import replace

from edge.sip import session_timer
from edge.sip.asking import BYE_AGAIN_S, NO_DIALOG
from edge.sip.core import SUPPORTED_LINE, Core, is_gone
from edge.sip.dialog import refreshed
from edge.sip.errors import LocalError, RemoteError
from edge.sip.events import EndedBy, LegId, OfferAnswered, OfferReceived, OfferRefused
from edge.sip.headers import seconds_in
from edge.sip.leg import Leg, LegState, LegTimer, OwnOffer, Peer
from edge.sip.message import Response
from edge.sip.offer_answer import Carrier, Meaning, Side
from edge.sip.transaction import ClientTransaction
from edge.sip.uas import Uas

GLARE = 491
PUTS_OFF = frozenset({500, 503})
"""With Retry-After."""
MAX_ATTEMPTS = 8
"""How often an offer of ours is made before glare counts as a refusal."""
MAX_PUT_OFF = 2
"""How often they may put it off: whoever waits for it hears nobody meanwhile."""
LONGEST_PUT_OFF_S = 10
"""RFC 3261 §14.2. Who is away for longer takes no offer now."""
SESSION_TOO_SMALL = 422
TERMINATED = 487
BUSY_S = 0.5
"""How soon to look again whether an offer that has to wait may go out."""


class OwnOffers:
    """Makes them, one at a time, and refreshes the session where that is ours to do."""

    def __init__(self, core: Core, uas: Uas) -> None:
        self._core = core
        self._uas = uas

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
        if is_offering(leg):
            return
        leg.queued_offer = None
        self._core.clear_timer(leg, LegTimer.RETRY_OFFER)
        if _is_busy(leg, peer):
            leg.offer = own
            self._core.set_timer(leg, LegTimer.RETRY_OFFER, BUSY_S)
        else:
            self._send_offer(leg, peer, own)

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
        pause_s = self._pause_s(peer, own, response)
        if pause_s is not None:
            core.set_timer(leg, LegTimer.RETRY_OFFER, pause_s)
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

    def _pause_s(self, peer: Peer, own: OwnOffer, response: Response | None) -> float | None:
        """Return after how long our offer may be made again; None: it is refused."""
        if response is None:
            return None
        if response.status == GLARE and own.attempts < MAX_ATTEMPTS:
            # RFC 3261 §14.1: the owner of the Call-ID waits 2.1 to 4 s, the other up to 2 s.
            chance = self._core.chance()
            return round(2.1 + 1.9 * chance if peer.dialog.caller else 2.0 * chance, 2)
        if response.status in PUTS_OFF and own.put_off < MAX_PUT_OFF:
            # An offer of theirs is under way (§14.2), or at whoever they speak for (§21.5.4).
            asked_s = seconds_in(response.first("retry-after"))
            if asked_s is not None and asked_s <= LONGEST_PUT_OFF_S:
                own.put_off += 1
                return max(asked_s, BUSY_S)
        return None

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
        busy = _is_busy(leg, peer)
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
        # What their Allow names somebody between us may refuse, or they themselves.
        updates = peer.dialog.can_update and not leg.refresh_failures
        if updates or leg.local_sdp is None:
            own = OwnOffer("UPDATE", None, refresh=True)
        else:
            own = OwnOffer("INVITE", leg.local_sdp, refresh=True)
        self._send_offer(leg, peer, own)


def is_offering(leg: Leg) -> bool:
    """Whether an offer of ours is under way: it is not one that waits, having met theirs."""
    return leg.offer is not None and LegTimer.RETRY_OFFER not in leg.timers


def _is_busy(leg: Leg, peer: Peer) -> bool:
    """Whether an exchange of theirs has to end before an offer of ours may go out."""
    is_open = leg.their_offer is not None or bool(leg.answer_message)
    return is_open or not peer.exchange.is_stable
