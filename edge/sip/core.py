"""What the parts of the user agent share: legs, the way out, events, and requests within a dialog.

The parts (`uas`, `uac`, `within`, `own_offers`, `outside`) each own one kind of exchange and meet
only here.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from math import inf

from msgspec.structs import replace

from edge.sip.builder import Identity, Outgoing, write_response
from edge.sip.dialog import Dialog, dialog_of_uac, leapt
from edge.sip.digest import challenge_in, proof
from edge.sip.errors import LocalError
from edge.sip.events import Address, Ended, EndedBy, Event, LegId, TransactionId
from edge.sip.leg import Leg, LegState, LegTimer, Peer, adopted
from edge.sip.message import Request, Response
from edge.sip.session_timer import TAKEN_UP_S, SessionTimer
from edge.sip.timers import LINGER, TimerQueue
from edge.sip.transaction import ClientTransaction, ServerTransaction
from edge.sip.transaction_layer import TransactionLayer

SUPPORTED = frozenset({"100rel", "timer"})
SUPPORTED_LINE = "Supported: 100rel, timer\r\n"
ALLOWED = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY"
KNOWN_METHODS = frozenset(ALLOWED.split(", ")) | {"REGISTER", "SUBSCRIBE", "MESSAGE", "PUBLISH"}

MOST_PROOFS = 3
"""How often a request says who we are. A nonce may run out (`stale`) as it is used, not always."""

Done = Callable[[Leg, ClientTransaction, Response | None], None]
"""What to do with the final response to a request within a dialog; None: none came."""


class Core:
    """The state of one stack."""

    def __init__(  # noqa: PLR0913 - what the parts share of the options
        self,
        *,
        identity: Identity,
        token: Callable[[], str],
        min_se_s: int,
        session_expires_s: int | None,
        bye_timeout_s: float | None = None,
        cancel_timeout_s: float | None = None,
    ) -> None:
        self.identity = identity
        self.token = token
        self.min_se_s = min_se_s
        self.session_expires_s = session_expires_s
        self.bye_timeout_s = bye_timeout_s
        """How long BYE waits for its answer; None: timer F of the RFC, 32 s."""
        self.cancel_timeout_s = LINGER if cancel_timeout_s is None else cancel_timeout_s
        """How long a cancelled INVITE waits for its final answer (RFC 3261 §9.1: 64*T1)."""
        self.now = 0.0
        """The instant of the call into the stack that is under way."""
        self.timers = TimerQueue()
        self.transactions = TransactionLayer(identity, self.timers, token)
        self.legs: dict[str, Leg] = {}
        self.events: list[Event] = []
        self.allow_line = f"Allow: {identity.allow}\r\n"
        self.contact_line = f"Contact: <{identity.contact}>\r\n"

    def chance(self) -> float:
        """Return a number from 0 up to 1 that nobody can foresee."""
        return zlib.crc32(self.token().encode()) / 2**32

    # -- legs

    def leg(self, identity: LegId) -> Leg:
        """Return a leg. LocalError if it is over or never was."""
        leg = self.legs.get(identity)
        if leg is None:
            raise LocalError(f"no leg {identity}: it is over, or belongs to another stack")
        return leg

    def confirmed(self, identity: LegId) -> tuple[Leg, Peer]:
        """Return a leg that has a dialog to send requests in. LocalError otherwise."""
        leg = self.leg(identity)
        if leg.peer is None or not leg.has_dialog:
            raise LocalError(f"leg {identity} is {leg.state}: this needs an answered call")
        return leg, leg.peer

    def forget(self, leg: Leg) -> None:
        """Let go of a leg; its transactions end by themselves."""
        leg.state = LegState.GONE
        leg.timers.clear()
        leg.due = inf
        leg.plan = None
        leg.offer = leg.queued_offer = None
        self.legs.pop(leg.id, None)

    def end(
        self,
        leg: Leg,
        by: EndedBy,
        cause: str,
        reason: str = "",
        goodbye: TransactionId | None = None,
    ) -> None:
        """Say that a leg is over and forget it."""
        if leg.state is LegState.GONE:
            return
        self.events.append(Ended(leg=leg.id, by=by, cause=cause, reason=reason, goodbye=goodbye))
        self.forget(leg)

    def set_timer(self, leg: Leg, timer: LegTimer, seconds: float) -> None:
        """Wake `leg` for `timer` after `seconds`."""
        leg.timers[timer] = self.now + seconds
        leg.due = min(leg.timers.values())
        self.timers.schedule(leg)

    def clear_timer(self, leg: Leg, *timers: LegTimer) -> None:
        """Forget about `timers`."""
        for timer in timers:
            leg.timers.pop(timer, None)
        leg.due = min(leg.timers.values(), default=inf)

    # -- responses

    def respond(  # noqa: PLR0913 - a response has this many parts
        self,
        transaction: ServerTransaction,
        status: int,
        *,
        reason: str = "",
        extra: str = "",
        body: bytes = b"",
        content_type: str = "application/sdp",
        to_tag: str = "",
    ) -> None:
        """Answer a request through its transaction."""
        datagram = write_response(
            transaction.request,
            transaction.source,
            status,
            to_tag="" if status == 100 else to_tag or transaction.to_tag,  # noqa: PLR2004
            reason=reason,
            extra=extra,
            body=body,
            content_type=content_type,
            product=self.identity.product,
        )
        self.transactions.respond(transaction, status, datagram, self.now)
        if status >= 200:  # noqa: PLR2004
            # It lingers for 32 s only to send this again; at hundreds of calls/s that adds up.
            transaction.request.release()

    # -- requests within a dialog

    def send(  # noqa: PLR0913 - a request has this many parts
        self,
        leg: Leg,
        peer: Peer,
        method: str,
        done: Done,
        *,
        extra: str = "",
        body: bytes = b"",
        content_type: str = "application/sdp",
        timeout_s: float | None = None,
    ) -> ClientTransaction:
        """Send a request in a dialog, meet its challenges, call `done` with the final response.

        `timeout_s` in place of timer F.
        """
        dialog = replace(peer.dialog, local_seq=peer.dialog.local_seq + 1)
        peer.dialog = dialog
        uri, routes = dialog.target
        request = Outgoing(
            method=method,
            uri=uri,
            routes=routes,
            from_=dialog.local,
            to=dialog.remote,
            call_id=dialog.sip_call_id,
            cseq=dialog.local_seq,
            extra=extra,
            body=body,
            content_type=content_type,
            contact=method in ("INVITE", "UPDATE", "REFER", "NOTIFY"),
        )

        def on_response(transaction: ClientTransaction, response: Response | None) -> None:
            if response is not None and not response.is_final:
                return
            retry = self.authorised(transaction, response, leg.credentials)
            if retry is None:
                done(leg, transaction, response)
                return
            peer.dialog = replace(peer.dialog, local_seq=peer.dialog.local_seq + 1)
            again = replace(retry, cseq=peer.dialog.local_seq)
            following = self.transactions.request(again, transaction.peer, self.now, on_response)
            following.proofs = transaction.proofs + 1
            self._expire(following, timeout_s)

        first = self.transactions.request(request, dialog.next_hop, self.now, on_response)
        self._expire(first, timeout_s)
        return first

    def _expire(self, transaction: ClientTransaction, timeout_s: float | None) -> None:
        if timeout_s is not None:
            transaction.expire_in(timeout_s, self.now)
            self.timers.schedule(transaction)

    def send_ack(self, leg: Leg, peer: Peer, invite: ClientTransaction, sdp: bytes | None) -> None:
        """Acknowledge a 2xx to an INVITE of ours, and do so again whenever it comes again."""
        dialog = peer.dialog
        sent = self._acknowledge(dialog, invite.request.cseq, sdp)
        invite.acks[dialog.remote_tag] = sent
        if sdp is not None:
            leg.local_sdp = sdp

    def end_orphan(self, response: Response, source: Address) -> None:
        """Acknowledge, then hang up, a 2xx to an INVITE that a former life of this address sent.

        Whoever sent it repeats it for 32 s and then believes in a call that nobody has.
        """
        leg = Leg(LegId(response.from_.tag), response.call_id, is_uas=False)
        dialog = dialog_of_uac(
            response,
            local=response.first("from"),
            local_tag=response.from_.tag,
            target=f"sip:{source}",
            hop=source,
        )
        self._acknowledge(dialog, response.cseq[0], None)
        # That life may have said more in it: a PRACK while it rang.
        self.abandon(leg, Peer(leapt(dialog)))

    def acknowledge_unasked(self, peer: Peer, response: Response) -> None:
        """Acknowledge a 2xx in a dialog that goes on, to an INVITE that only a former life knew of.

        Whoever hears no ACK repeats it for 32 s and then hangs up (RFC 3261 §13.3.1.4).
        """
        self._acknowledge(peer.dialog, response.cseq[0], None)

    def _acknowledge(self, dialog: Dialog, cseq: int, sdp: bytes | None) -> tuple[bytes, Address]:
        """Send the ACK to a 2xx; return it, so that it can be sent again, and where it went."""
        uri, routes = dialog.target
        request = Outgoing(
            method="ACK",
            uri=uri,
            routes=routes,
            from_=dialog.local,
            to=dialog.remote,
            call_id=dialog.sip_call_id,
            cseq=cseq,
            extra="",
            body=sdp or b"",
            content_type="application/sdp",
            contact=False,
        )
        sent = (self.transactions.write(request), dialog.next_hop)
        self.transactions.outgoing.append(sent)
        return sent

    def hang_up(self, leg: Leg, peer: Peer, reason: str = "") -> None:
        """Send BYE and wait for its answer; `Ended` comes then."""
        leg.state = LegState.ENDING
        leg.timers.clear()
        leg.due = inf
        # What is said to our own offer now changes nothing: a 491 must not have it made again.
        leg.offer = leg.queued_offer = None
        self.refuse_their_offer(leg)
        self._bye(leg, peer, self._hung_up, reason)

    def drop(self, leg: Leg, peer: Peer, by: EndedBy, cause: str, reason: str = "") -> None:
        """Send BYE for a leg that is over already, whatever becomes of it."""
        self.refuse_their_offer(leg)
        self._bye(leg, peer, _ignore, reason)
        self.end(leg, by, cause, reason)

    def abandon(self, leg: Leg, peer: Peer) -> None:
        """Send BYE in a dialog that is none of the leg's own (another fork's)."""
        self._bye(leg, peer, _ignore)

    def _bye(self, leg: Leg, peer: Peer, done: Done, reason: str = "") -> None:
        extra, timeout_s = reason_line(reason), self.bye_timeout_s
        self.send(leg, peer, "BYE", done, extra=extra, timeout_s=timeout_s)

    def _hung_up(
        self, leg: Leg, _transaction: ClientTransaction, response: Response | None
    ) -> None:
        if response is None:
            self.end(leg, EndedBy.FAULT, "bye_timeout")
        else:
            # Any final answer means that nothing is left on their side; 481 and 408 (from a proxy
            # before them) that nobody was there any more to hear us.
            self.end(leg, EndedBy.LOCAL, "gone" if is_gone(response) else "bye")

    def end_if_gone(self, leg: Leg, peer: Peer, response: Response | None) -> None:
        """End the leg if a request's answer says that its dialog is no more (§12.2.1.2)."""
        if is_gone(response) and leg.has_dialog:
            self.drop(leg, peer, EndedBy.FAULT, "gone")

    def refuse_their_offer(self, leg: Leg) -> None:
        """Refuse an offer that a dying leg will not answer (RFC 3261 §15.1.2).

        One that came in a 2xx can only be acknowledged: else that 2xx comes again for 32 s.
        """
        if leg.their_offer is not None:
            self.respond(leg.their_offer, 487)
            leg.their_offer = None
        if leg.owing_ack is not None and leg.peer is not None:
            self.send_ack(leg, leg.peer, leg.owing_ack, None)
            leg.owing_ack = None

    def adopt(self, dialog: Dialog, sdp: bytes | None) -> LegId:
        """Let a dialog that another stack wrote down live here; `sdp`: what that one said last."""
        leg, peer = adopted(dialog, sdp)
        if leg.id in self.legs:
            raise LocalError(f"leg {leg.id} lives here already")
        self.legs[leg.id] = leg
        self.start_session(leg, peer, dialog.session)
        if dialog.session is not None and dialog.session.we_refresh:
            self.set_timer(leg, LegTimer.SESSION, TAKEN_UP_S * (1 + self.chance()))
        return leg.id

    def start_session(self, leg: Leg, peer: Peer, session: SessionTimer | None) -> None:
        """Start, restart or stop the session timer of a leg."""
        if peer.dialog.session != session:
            peer.dialog = replace(peer.dialog, session=session)
        if session is None:
            self.clear_timer(leg, LegTimer.SESSION)
        else:
            self.set_timer(leg, LegTimer.SESSION, session.act_after_s)

    def authorised(
        self,
        transaction: ClientTransaction,
        response: Response | None,
        credentials: tuple[str, str] | None,
    ) -> Outgoing | None:
        """Return the request with proof of who we are, if it was refused for want of that.

        None when that is in vain: what was proved was not believed, or was stale once too often.
        """
        if response is None or response.status not in (401, 407) or credentials is None:
            return None
        challenge = challenge_in(response)
        if challenge is None or transaction.proofs >= MOST_PROOFS:
            return None
        if transaction.proofs and not challenge.is_stale:
            return None
        request = transaction.request
        line = proof(challenge, credentials, request.method, request.uri, self.token())
        kept = "".join(
            f"{held}\r\n"
            for held in request.extra.split("\r\n")
            if held and not held.startswith(f"{challenge.header}:")
        )
        return replace(request, extra=kept + line)


def _ignore(_leg: Leg, _transaction: ClientTransaction, _response: Response | None) -> None:
    """Nobody waits for this answer."""


def reason_line(reason: str) -> str:
    """Write the Reason field (RFC 3326)."""
    return f"Reason: {reason}\r\n" if reason else ""


def is_gone(response: Response | None) -> bool:
    """Whether a final response, or its absence, means that the dialog is no more (§12.2.1.2)."""
    return response is None or response.status in (408, 481)


def retry_later(core: Core, transaction: ServerTransaction) -> None:
    """Refuse an offer that came before the last one was answered (RFC 3261 §14.2)."""
    seconds = int(core.chance() * 11)
    core.respond(transaction, 500, extra=f"Retry-After: {seconds}\r\n")


def required_unsupported(request: Request) -> list[str]:
    """Return the option tags that the request requires and we have not."""
    return sorted(request.tokens("require") - SUPPORTED)
