"""What comes off the wire: checked, matched to its transaction or dialog, and given to its part.

Owns the order of RFC 3261 §8.2 and §12.2.2; what a request then does is the parts' affair.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from msgspec.structs import replace

from edge.sip.builder import SDP, write_response
from edge.sip.core import KNOWN_METHODS, Core, required_unsupported
from edge.sip.errors import LocalError, RemoteError
from edge.sip.events import Address, Discarded
from edge.sip.goodbye import Goodbyes
from edge.sip.info import Info
from edge.sip.leg import Leg, LegState, Peer
from edge.sip.message import KEEP_ALIVE, NotSipError, Request, Response, parse
from edge.sip.outside import Outside
from edge.sip.overtaking import Overtaking
from edge.sip.own_offers import OwnOffers
from edge.sip.refer import Refer
from edge.sip.transaction import ServerTransaction, State
from edge.sip.transaction_layer import response_address
from edge.sip.uas import Uas
from edge.sip.uri import parse_uri, scheme_of
from edge.sip.within import Within

MERGED = (482, "Loop Detected")
"""RFC 3261 §8.2.2.2: the request is here already, by another way."""
ASK_ELSEWHERE = (503, "Asked By Two Ways")
"""The same of an INVITE. Who hunts on has given the first way up; their CANCEL may be behind the
second, or never come: the proxy on the first way is frozen. By 482 a carrier gives the call up;
behind 503 another edge takes it, and who has the caller is settled by its record."""
_AFTER_THE_ANSWER = frozenset({"UPDATE", "INFO", "REFER", "OPTIONS"})
"""What tells of our 2xx, when nothing else could have told them of the dialog. A re-INVITE always
does, and BYE ends the call with or without its ACK."""


class Receiver:
    """The way in."""

    def __init__(  # noqa: PLR0913 - it hands on to every part
        self,
        core: Core,
        *,
        uas: Uas,
        within: Within,
        own_offers: OwnOffers,
        info: Info,
        refer: Refer,
        outside: Outside,
        goodbyes: Goodbyes,
        overtaking: Overtaking,
        max_invite_age_s: float | None,
    ) -> None:
        self._core = core
        self._transactions = core.transactions
        self._uas = uas
        self._within = within
        self._own_offers = own_offers
        self._outside = outside
        self._goodbyes = goodbyes
        self._overtaking = overtaking
        self._max_invite_age_s = max_invite_age_s
        self.stale_invites = 0
        self._methods: dict[str, Callable[[Leg, Peer, ServerTransaction], None]] = {
            "BYE": within.ended,
            "INVITE": within.reinvited,
            "UPDATE": within.updated,
            "PRACK": uas.pracked,
            "INFO": info.received,
            "REFER": refer.received,
            "NOTIFY": refer.notified,
            "OPTIONS": self._asked,
        }

    def take(self, datagram: bytes, source: Address, age_s: float) -> None:
        """Take one datagram, which has waited `age_s` since it reached this machine."""
        try:
            message = parse(datagram)
        except NotSipError as error:
            if str(error) != KEEP_ALIVE:
                self._discard(source, str(error))
            return
        if isinstance(message, Response):
            self._response(message, source)
        else:
            self._request(message, source, age_s)

    def _discard(self, source: Address, why: str) -> None:
        self._core.events.append(Discarded(source=source, why=why))

    def _response(self, response: Response, source: Address) -> None:
        try:
            response.check()
            wanted = self._transactions.take_response(response, self._core.now)
        except RemoteError as error:
            self._discard(source, f"response: {error.why}")
            return
        if wanted:
            return
        if self._answers_invite(response):
            leg = self._core.legs.get(response.from_.tag)
            if leg is None:
                with contextlib.suppress(RemoteError):
                    # Whose route makes no sense is beyond our reach.
                    self._core.end_orphan(response, source)
            elif (peer := _sender(leg, response)) is not None:
                self._core.acknowledge_unasked(peer, response)
                return
        self._discard(source, "response that no transaction wants")

    def _answers_invite(self, response: Response) -> bool:
        """Whether it answers an INVITE that was sent from here and of which nothing is known here.

        One that crossed the end of a leg does not: its transaction listens on (RFC 6026 §7.2).
        """
        if not 200 <= response.status < 300 or response.cseq[1] != "INVITE":  # noqa: PLR2004 - 2xx
            return False
        local, via = self._core.identity.local, response.via
        is_ours = (via.host.strip("[]"), via.port) == (local.host, local.port)
        return is_ours and bool(response.from_.tag and response.to.tag)

    def _request(self, request: Request, source: Address, age_s: float) -> None:
        core = self._core
        try:
            request.check()
            known = self._transactions.absorb(request, core.now)
        except RemoteError as error:
            self._refuse_statelessly(request, source, error)
            return
        if request.method == "ACK":
            if known is None or known.state is State.ACCEPTED:
                self._acknowledged(request, source)
            return
        if known is not None:
            return
        if request.method == "INVITE" and self._is_stale(request, age_s):
            self.stale_invites += 1
            self._discard(source, "INVITE that waited too long")
            return
        transaction = self._transactions.serve(request, source, core.now)
        try:
            if request.method == "CANCEL":
                self._cancelled(transaction)
            elif request.to.tag:
                self._within_dialog(transaction)
            else:
                self._new(transaction, source, age_s)
        except RemoteError as error:
            extra = self._hints(request, error.status)
            core.respond(transaction, error.status, reason=error.why, extra=extra)

    def _is_stale(self, request: Request, age_s: float) -> bool:
        """Whether the proxy will have gone elsewhere with this new call meanwhile."""
        limit = self._max_invite_age_s
        return limit is not None and age_s > limit and not request.to.tag

    def _refuse_statelessly(self, request: Request, source: Address, error: RemoteError) -> None:
        """Answer a request that is too broken for a transaction, if it says where to."""
        if request.method == "ACK" or not request.first("via"):
            self._discard(source, f"request: {error.why}")
            return
        try:
            peer = response_address(request, source)
            datagram = write_response(
                request, source, error.status, reason=error.why, product=self._core.identity.product
            )
        except (RemoteError, LocalError):
            self._discard(source, f"request: {error.why}")
            return
        self._transactions.outgoing.append((datagram, peer))
        self._discard(source, f"request answered {error.status}: {error.why}")

    def _hints(self, request: Request, status: int) -> str:
        """Write the field that tells the other side how to do better."""
        match status:
            case 405 | 501:
                return self._core.allow_line
            case 415 | 406:
                return f"Accept: {SDP}\r\n"
            case 420:
                return f"Unsupported: {', '.join(required_unsupported(request))}\r\n"
            case 422:
                return f"Min-SE: {self._core.min_se_s}\r\n"
            case _:
                return ""

    def _new(self, transaction: ServerTransaction, source: Address, age_s: float) -> None:
        if self._transactions.merged_with(transaction) is not None:
            is_call = transaction.request.method == "INVITE"
            raise RemoteError(*(ASK_ELSEWHERE if is_call else MERGED))
        request = transaction.request
        if request.method in KNOWN_METHODS:
            _check_request_uri(request.uri)
        if request.method == "INVITE":
            self._uas.arrived(transaction, source, age_s)
        else:
            self._outside.received(transaction, source)

    def _cancelled(self, transaction: ServerTransaction) -> None:
        invite = self._transactions.invite_of(transaction.request)
        if invite is None:
            raise RemoteError(481, "Call/Transaction Does Not Exist")
        reason = transaction.request.first("reason")
        self._core.respond(transaction, 200, to_tag=invite.to_tag)
        self._uas.cancelled(invite, reason)

    def _leg_of(self, request: Request) -> tuple[Leg, Peer] | None:
        leg = self._core.legs.get(request.to.tag)
        if leg is None or leg.call_id != request.call_id:
            return None
        tag = request.from_.tag
        peer = leg.peer
        if peer is None or peer.dialog.remote_tag != tag:
            peer = leg.early.get(tag)
        return None if peer is None else (leg, peer)

    def _acknowledged(self, ack: Request, source: Address) -> None:
        found = self._leg_of(ack)
        if found is None:
            self._discard(source, "ACK for no call")
        else:
            self._uas.acknowledged(found[0], ack)
            self._own_offers.go_on(found[0])

    def _within_dialog(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        found = self._leg_of(request)
        if found is None:
            if self._goodbyes.is_known(transaction):
                return
            raise RemoteError(481, "Call/Transaction Does Not Exist")
        leg, peer = found
        number, method = request.cseq
        self._overtaking.settle(leg, number)
        if number <= peer.dialog.remote_seq:
            raise RemoteError(500, "CSeq out of order")
        if method == "BYE" and self._overtaking.keeps(leg, peer, transaction):
            return
        peer.dialog = replace(peer.dialog, remote_seq=number)
        self._overtaking.go_on(leg, number)
        is_over = leg.state is LegState.ENDING and method != "BYE"
        if is_over or leg.state is LegState.GONE:
            raise RemoteError(481, "Call/Transaction Does Not Exist")
        if required_unsupported(request):
            raise RemoteError(420, "Bad Extension")
        act = self._methods.get(method)
        if act is None:
            known = method in KNOWN_METHODS
            raise RemoteError(*((405, "Method Not Allowed") if known else (501, "Not Implemented")))
        stands_for_ack = leg.state is LegState.ANSWERED and self._stands_for_ack(leg, method)
        if stands_for_ack:
            self._within.acknowledged(leg, peer)
        act(leg, peer, transaction)
        if stands_for_ack:
            self._own_offers.go_on(leg)

    @staticmethod
    def _stands_for_ack(leg: Leg, method: str) -> bool:
        """Tell whether a request shows that our 2xx has come, as only that has told them our tag.

        Not if the ACK is to bring an answer.
        """
        return method in _AFTER_THE_ANSWER and not leg.is_named and not leg.late_offer

    def _asked(self, _leg: Leg, _peer: Peer, transaction: ServerTransaction) -> None:
        """Answer OPTIONS within a dialog."""
        self._core.respond(transaction, 200, extra=self._core.allow_line)


def _sender(leg: Leg, response: Response) -> Peer | None:
    """Return whom a leg is established with, if it is them whom a response comes from."""
    peer = leg.peer
    if peer is None or leg.call_id != response.call_id:
        return None
    return peer if peer.dialog.remote_tag == response.to.tag else None


def _check_request_uri(uri: str) -> None:
    """Raise RemoteError for a Request-URI that no request may have (RFC 3261 §19.1.5)."""
    if scheme_of(uri) != "tel" and parse_uri(uri).headers:
        raise RemoteError(400, "Request-URI with header fields")
