"""The SIP user agent core, sans I/O: datagrams and `now` in; events, datagrams and a deadline out.

RFC 3261 (core, sections 8, 12-15, 17), RFC 6026 (2xx to INVITE), RFC 3262 (PRACK),
RFC 3311 (UPDATE), RFC 4028 (session timers), RFC 3515 (REFER), RFC 6086 (INFO), RFC 3326 (Reason).

It touches no socket, clock or random source: `now` is seconds on any monotonic clock, `token` gives
a new unguessable word each time it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from edge.sip.alarms import Alarms
from edge.sip.asking import Asking
from edge.sip.builder import (
    OURS,
    Identity,
    Outgoing,
    header_lines,
    in_brackets,
    names_contact,
    one_line,
)
from edge.sip.core import Core
from edge.sip.dialog import Dialog
from edge.sip.events import Address, Event, LegId, TransactionId
from edge.sip.goodbye import Goodbyes
from edge.sip.info import Info
from edge.sip.leg import InvitePlan
from edge.sip.outside import Outside, allowed
from edge.sip.overtaking import Overtaking
from edge.sip.own_offers import OwnOffers
from edge.sip.receiver import Receiver
from edge.sip.refer import Refer
from edge.sip.session_timer import MIN_SE
from edge.sip.uac import Uac
from edge.sip.uas import Uas
from edge.sip.within import Within


class SipStack:
    """One UDP address's worth of SIP. A command that a leg's state forbids raises `LocalError`.

    `handles` names the methods outside dialogs that come out as `RequestReceived`; OPTIONS may be
    among them. `session_expires_s` makes calls that come in live by a session timer of ours even if
    the caller asked for none; `min_se_s` is the shortest interval that we accept (RFC 4028).
    `bye_timeout_s` shortens the 32 s for which an unanswered BYE is sent again, `cancel_timeout_s`
    those after which a cancelled INVITE that nobody ends is over, for networks where silence means
    that nobody is there. With `goodbye_hold_s` their BYEs are answered when the user
    says so (`answer_goodbye`), after so long at the latest.
    """

    def __init__(  # noqa: PLR0913 - what is configurable about a user agent
        self,
        *,
        local: Address,
        product: str,
        token: Callable[[], str],
        contact_user: str = "everline",
        handles: Iterable[str] = (),
        session_expires_s: int | None = None,
        min_se_s: int = MIN_SE,
        max_invite_age_s: float | None = None,
        bye_timeout_s: float | None = None,
        cancel_timeout_s: float | None = None,
        goodbye_hold_s: float | None = None,
    ) -> None:
        handled = frozenset(handles)
        self._core = Core(
            identity=Identity(
                local=local,
                product=one_line(product, "product"),
                contact_user=contact_user,
                allow=allowed(handled),
            ),
            token=token,
            min_se_s=max(min_se_s, MIN_SE),
            session_expires_s=session_expires_s,
            bye_timeout_s=bye_timeout_s,
            cancel_timeout_s=cancel_timeout_s,
        )
        self._uas = Uas(self._core)
        self._uac = Uac(self._core)
        self._goodbyes = Goodbyes(self._core, goodbye_hold_s)
        self._own_offers = OwnOffers(self._core, self._uas)
        self._within = Within(self._core, self._uas, self._own_offers, self._goodbyes)
        overtaking = Overtaking(self._core, self._within.ended)
        self._asking = Asking(self._core)
        self._info = Info(self._core)
        self._refer = Refer(self._core)
        self._outside = Outside(self._core, handled)
        self._alarms = Alarms(
            self._core,
            uas=self._uas,
            uac=self._uac,
            own_offers=self._own_offers,
            asking=self._asking,
            goodbyes=self._goodbyes,
            overtaking=overtaking,
        )
        self._receiver = Receiver(
            self._core,
            uas=self._uas,
            within=self._within,
            own_offers=self._own_offers,
            info=self._info,
            refer=self._refer,
            outside=self._outside,
            goodbyes=self._goodbyes,
            overtaking=overtaking,
            max_invite_age_s=max_invite_age_s,
        )

    # -- the wire

    def receive(
        self, datagram: bytes, source: Address, now: float, *, age_s: float = 0.0
    ) -> list[Event]:
        """Take one datagram, which has waited `age_s` since it reached this machine."""
        self._core.now = now
        self._receiver.take(datagram, source, age_s)
        events, self._core.events = self._core.events, []
        return events

    def handle_timers(self, now: float) -> list[Event]:
        """Run whatever is due."""
        self._core.now = now
        self._alarms.fire()
        events, self._core.events = self._core.events, []
        return events

    @property
    def next_deadline(self) -> float | None:
        """When `handle_timers` wants to be called, or None."""
        return self._core.timers.next_deadline()

    def take_outgoing(self) -> list[tuple[bytes, Address]]:
        """Take the datagrams to be sent, in order."""
        layer = self._core.transactions
        outgoing, layer.outgoing = layer.outgoing, []
        return outgoing

    # -- a call that comes in (UAS)

    def progress(
        self,
        leg: LegId,
        status: int,
        now: float,
        *,
        sdp: bytes | None = None,
        reliable: bool = False,
    ) -> None:
        """Send a 1xx."""
        self._core.now = now
        self._uas.progress(leg, status, sdp, reliable=reliable)

    def answer(
        self, leg: LegId, sdp: bytes, now: float, *, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send 200 with our answer, or our offer if theirs is to come with ACK."""
        self._core.now = now
        self._uas.answer(leg, sdp, header_lines(headers))

    def reject(
        self,
        leg: LegId,
        status: int,
        now: float,
        *,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Refuse the call; nothing more is heard of the leg."""
        self._core.now = now
        self._uas.reject(leg, status, one_line(reason, "reason"), header_lines(headers))

    # -- a call that goes out (UAC)

    def invite(  # noqa: PLR0913 - an INVITE has this many parts
        self,
        *,
        request_uri: str,
        from_uri: str,
        to_uri: str,
        next_hop: Address,
        sdp: bytes | None,
        now: float,
        headers: Mapping[str, str] | None = None,
        sip_call_id: str | None = None,
        credentials: tuple[str, str] | None = None,
        session_expires_s: int | None = None,
        timer_b_s: float | None = None,
    ) -> LegId:
        """Call somebody, without `sdp` for their offer; `timer_b_s`: how long until 408."""
        self._core.now = now
        least = self._core.min_se_s
        plan = InvitePlan(
            request_uri=one_line(request_uri, "request_uri"),
            from_=in_brackets(one_line(from_uri, "from_uri")),
            to=in_brackets(one_line(to_uri, "to_uri")),
            next_hop=next_hop,
            sdp=sdp,
            extra=header_lines(headers),
            session_expires_s=None if session_expires_s is None else max(session_expires_s, least),
            min_se_s=MIN_SE,
            timer_b_s=timer_b_s,
        )
        call_id = one_line(sip_call_id or self._core.token(), "sip_call_id")
        return self._uac.invite(plan, call_id, credentials)

    def acknowledge(self, leg: LegId, sdp: bytes, now: float) -> None:
        """Answer the offer that their 2xx, or their reliable 1xx, brought."""
        self._core.now = now
        held = self._core.leg(leg)
        if held.owing_ack is not None and held.peer is not None:
            self._own_offers.acknowledge(held, held.peer, sdp)
        else:
            self._uac.acknowledge(leg, sdp)

    def cancel(self, leg: LegId, now: float, *, reason: str = "") -> None:
        """Give up an unanswered call; `Ended` with cause `cancelled` comes when it is over."""
        self._core.now = now
        self._uac.cancel(leg, one_line(reason, "reason"))

    # -- any established leg

    def bye(self, leg: LegId, now: float, *, reason: str = "") -> None:
        """Hang up; `Ended` comes when the other side has answered, or did not."""
        self._core.now = now
        self._within.bye(leg, one_line(reason, "reason"))

    def leave(self, leg: LegId, now: float) -> None:
        """Let go of a call whose 200 was never acknowledged; no `Ended` comes.

        Nothing is sent, but BYE if the ACK comes all the same.
        """
        self._core.now = now
        self._uas.leave(leg)

    def answer_goodbye(self, goodbye: TransactionId, now: float) -> None:
        """Answer the BYE that has ended a leg; one that has been answered is left alone."""
        self._core.now = now
        self._goodbyes.answer(goodbye)

    def answer_goodbyes_of(self, sip_call_ids: Iterable[str]) -> None:
        """Answer also BYEs in dialogs of these Call-IDs: a former life has seen them end.

        With a question mark for each byte that is no UTF-8, as records have them.
        """
        self._goodbyes.of_old = frozenset(sip_call_ids)

    def reinvite(self, leg: LegId, sdp: bytes | None, now: float) -> None:
        """Make a new offer, or ask for theirs. It waits for an ACK under way, and after 491."""
        self._core.now = now
        self._own_offers.offer(leg, "INVITE", sdp)

    def update(self, leg: LegId, sdp: bytes, now: float) -> None:
        """Make a new offer by UPDATE, where the other side allows it; in early dialogs too."""
        self._core.now = now
        self._own_offers.offer(leg, "UPDATE", sdp)

    def answer_offer(self, leg: LegId, sdp: bytes, now: float) -> None:
        """Answer `OfferReceived`."""
        self._core.now = now
        self._within.answer_offer(leg, sdp)

    def refuse_offer(self, leg: LegId, status: int, now: float) -> None:
        """Refuse `OfferReceived`."""
        self._core.now = now
        self._within.refuse_offer(leg, status)

    def info(self, leg: LegId, content_type: str, body: bytes, now: float) -> None:
        """Send INFO."""
        self._core.now = now
        self._info.send(leg, one_line(content_type, "content_type"), body)

    def ask(self, leg: LegId, now: float) -> None:
        """Ask whether the other side still has the dialog; the leg ends if it says no."""
        self._core.now = now
        self._asking.ask(leg)

    def refer(self, leg: LegId, refer_to: str, now: float, *, wants_progress: bool = True) -> None:
        """Ask the other side to call `refer_to`; `Notified` says how it goes.

        Without `wants_progress`, only whether it is accepted (RFC 4488).
        """
        self._core.now = now
        self._refer.refer(leg, refer_to, wants_progress=wants_progress)

    def accept_refer(self, transaction: TransactionId, now: float) -> bool:
        """Accept `ReferReceived`; False: they want to hear no more of it."""
        self._core.now = now
        return self._refer.accept(transaction)

    def notify_refer(self, leg: LegId, status: int, now: float, *, final: bool) -> None:
        """Say how an accepted REFER gets on."""
        self._core.now = now
        self._refer.notify(leg, status, final=final)

    def refuse_refer(
        self, transaction: TransactionId, status: int, now: float, *, reason: str = ""
    ) -> None:
        """Refuse `ReferReceived`."""
        self._core.now = now
        self._refer.refuse(transaction, status, reason)

    # -- dialogs as values

    def dialog(self, leg: LegId) -> Dialog:
        """Return the dialog of an established leg as it stands now, to be written down."""
        _, peer = self._core.confirmed(leg)
        return peer.dialog

    def told(self, leg: LegId) -> bytes | None:
        """Return the session description that the other side was told last; None: none is known."""
        return self._core.leg(leg).local_sdp

    def adopt(self, dialog: Dialog, now: float, *, sdp: bytes | None = None) -> LegId:
        """Go on with a dialog that another stack wrote down, under the leg id it had there.

        `sdp`: what that stack said last of its session, to be said again where the session is
        refreshed by re-INVITE. The other side still sends to the old Contact: a `reinvite` or
        `update` moves it here.
        """
        self._core.now = now
        return self._core.adopt(dialog, sdp)

    # -- outside dialogs

    def request(  # noqa: PLR0913 - a request has this many parts
        self,
        *,
        method: str,
        request_uri: str,
        from_uri: str,
        to_uri: str,
        next_hop: Address,
        now: float,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        credentials: tuple[str, str] | None = None,
        timeout_s: float | None = None,
        sip_call_id: str | None = None,
        cseq: int = 1,
        content_type: str = "text/plain",
    ) -> TransactionId:
        """Send a request outside any dialog. REGISTER keeps its `sip_call_id` and raises `cseq`."""
        self._core.now = now
        request = Outgoing(
            method=one_line(method, "method"),
            uri=one_line(request_uri, "request_uri"),
            routes=(),
            from_=f"{in_brackets(one_line(from_uri, 'from_uri'))};tag={self._core.token()}",
            to=in_brackets(one_line(to_uri, "to_uri")),
            call_id=one_line(sip_call_id or self._core.token(), "sip_call_id"),
            cseq=cseq,
            extra=header_lines(headers, ours=OURS),
            contact=not names_contact(headers),
            body=body,
            content_type=one_line(content_type, "content_type"),
        )
        return self._outside.request(request, next_hop, credentials, timeout_s)

    def respond(  # noqa: PLR0913 - a response has this many parts
        self,
        transaction: TransactionId,
        status: int,
        now: float,
        *,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        """Answer `RequestReceived`."""
        self._core.now = now
        self._outside.respond(
            transaction,
            status,
            reason=one_line(reason, "reason"),
            extra=header_lines(headers, ours=OURS),
            body=body,
        )

    # -- taking stock

    @property
    def stale_invites(self) -> int:
        """New INVITEs that were dropped because they were older than `max_invite_age_s`."""
        return self._receiver.stale_invites

    def legs(self) -> int:
        """Return how many legs live."""
        return len(self._core.legs)

    def transactions(self) -> int:
        """Return how many transactions are not yet terminated."""
        return self._core.transactions.count()
