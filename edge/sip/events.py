"""What the SIP stack tells the process that uses it: frozen values, nothing else.

A *leg* is our half of a call: one INVITE dialog, ours (UAC) or theirs (UAS). Session descriptions
are opaque bytes here: the stack enforces who may offer when (RFC 3264, RFC 6337), never what.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NewType

from msgspec import Struct, field

LegId = NewType("LegId", str)
TransactionId = NewType("TransactionId", str)


class Address(Struct, frozen=True):
    """An IPv4 or IPv6 host and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class EndedBy(StrEnum):
    """Whose doing the end of an established or early leg was."""

    REMOTE = "remote"
    """BYE received, or CANCEL before the answer."""
    LOCAL = "local"
    """We said BYE or CANCEL, and it is over."""
    FAULT = "fault"
    """No answer to a request of ours, no ACK, or a session timer ran out."""


class IncomingInvite(Struct, frozen=True, kw_only=True):
    """A new INVITE. Answer it with progress/answer/reject; 100 is sent if that takes a while."""

    leg: LegId
    source: Address
    request_uri: str
    from_uri: str
    to_uri: str
    from_tag: str
    sip_call_id: str
    sdp: bytes | None
    """None: a late offer is wanted, our answer carries the offer and ACK brings theirs."""
    headers: Mapping[str, str]
    """Header fields by lower-case long name, values joined by ', '."""
    waited_s: float = 0.0
    """Since it reached this machine, before it was read."""


class Confirmed(Struct, frozen=True, kw_only=True):
    """The ACK to our 2xx came. `sdp` is the answer to our offer when the offer was late.

    None then: they gave no answer, and have not hung up since either, as who cancels does.
    """

    leg: LegId
    sdp: bytes | None


class Cancelled(Struct, frozen=True, kw_only=True):
    """The caller gave up before we answered; 487 has been sent. The leg is gone."""

    leg: LegId
    reason: str


class Progress(Struct, frozen=True, kw_only=True):
    """A provisional response above 100 to our INVITE. Reliable ones have been PRACKed."""

    leg: LegId
    status: int
    sdp: bytes | None
    needs_prack_sdp: bool = False
    """We sent no offer and this reliable response brings theirs: call `acknowledge(leg, sdp)`."""


class Answered(Struct, frozen=True, kw_only=True):
    """The first 2xx to our INVITE; ACK has been sent unless `needs_ack_sdp`.

    Later 2xx of other forks are acknowledged and ended by the stack itself (RFC 3261 §13.2.2.4).
    """

    leg: LegId
    sdp: bytes
    needs_ack_sdp: bool = False
    """We sent no offer, so `sdp` is theirs: call `acknowledge(leg, sdp)`."""


class Rejected(Struct, frozen=True, kw_only=True):
    """Our INVITE ended without an answer. 408 with `timeout` set is ours; the leg is gone."""

    leg: LegId
    status: int
    reason: str
    timeout: bool
    headers: Mapping[str, str] = field(default_factory=dict)


class OfferReceived(Struct, frozen=True, kw_only=True):
    """re-INVITE, UPDATE or PRACK with an offer, or a re-INVITE without one (they want ours).

    Answer it with `answer_offer` or `refuse_offer`. An UPDATE without a body, which only refreshes
    the session, never gets here.
    """

    leg: LegId
    method: str
    """`200` for the offer that our own re-INVITE without one asked for: it cannot be refused."""
    sdp: bytes | None
    is_early: bool = False
    """By UPDATE before their 2xx to our INVITE (RFC 3311 §5.2): `Answered` brings it again."""


class OfferWithdrawn(Struct, frozen=True, kw_only=True):
    """Their re-INVITE was cancelled before we answered it: nothing is left to answer."""

    leg: LegId


class OfferAnswered(Struct, frozen=True, kw_only=True):
    """The answer to the offer that we made with `reinvite` or `update`."""

    leg: LegId
    sdp: bytes | None
    was_asked: bool = False
    """We made it in our 2xx, since they had asked for it; theirs has come in their ACK. An offer of
    ours that waited for that ACK goes out with it."""


class OfferRefused(Struct, frozen=True, kw_only=True):
    """The other side refused our offer and the session stays as it was.

    491 is not reported before the stack has retried it (RFC 3261 §14.1).
    """

    leg: LegId
    status: int
    timeout: bool


CROSSED: Final = "crossed"
"""The cause of an end where their BYE met ours: we had said it before theirs came."""


class Doubted(Struct, frozen=True, kw_only=True):
    """The other side has no such dialog (481): they are hanging up, and their BYE has met nobody.

    `Ended` follows within `BYE_AGAIN_S`, with that BYE or without.
    """

    leg: LegId


class WasAsked(Struct, frozen=True, kw_only=True):
    """Whether the other side has answered when it was asked if it still has the dialog.

    481 is told by `Doubted`; any other answer will do, but a proxy's who could not reach it. If
    none comes at all it is the proxy that is away, and nobody knows.
    """

    leg: LegId
    is_there: bool


class Ended(Struct, frozen=True, kw_only=True):
    """The leg is over and nothing of it is left but timers that end by themselves."""

    leg: LegId
    by: EndedBy
    cause: str
    """A constant word: `bye`, `crossed`, `bye_timeout`, `no_ack`, `no_prack`, `session_expired`,
    `cancelled`, `gone` (481 or 408: the other side knows nothing of it)."""
    reason: str = ""
    """The Reason header field that came with it (RFC 3326)."""
    goodbye: TransactionId | None = None
    """Their BYE waits for its 200: `answer_goodbye` gives it. None: it has been answered."""


class InfoReceived(Struct, frozen=True, kw_only=True):
    """INFO inside a dialog; 200 has been sent."""

    leg: LegId
    content_type: str
    body: bytes


class ReferReceived(Struct, frozen=True, kw_only=True):
    """REFER inside a dialog. Answer with `accept_refer` (202 and NOTIFYs) or `refuse_refer`."""

    leg: LegId
    transaction: TransactionId
    refer_to: str


class Notified(Struct, frozen=True, kw_only=True):
    """A NOTIFY for a REFER of ours: the status it reports, and whether it is the last."""

    leg: LegId
    status: int
    final: bool


class RequestReceived(Struct, frozen=True, kw_only=True):
    """A request outside any dialog whose method the stack was told to hand out. Use `respond`.

    Without being told, the stack answers OPTIONS with 200 and other methods with 405 or 501.
    """

    transaction: TransactionId
    method: str
    source: Address
    request_uri: str
    headers: Mapping[str, str]
    body: bytes


class ResponseReceived(Struct, frozen=True, kw_only=True):
    """The final response to a request of ours outside any dialog (OPTIONS, REGISTER, MESSAGE)."""

    transaction: TransactionId
    status: int
    reason: str
    timeout: bool
    headers: Mapping[str, str]
    body: bytes


class Discarded(Struct, frozen=True, kw_only=True):
    """Something that was not SIP, or that no transaction or dialog wanted: counted, never fatal."""

    source: Address
    why: str


Event = (
    IncomingInvite
    | Confirmed
    | Cancelled
    | Progress
    | Answered
    | Rejected
    | OfferReceived
    | OfferWithdrawn
    | OfferAnswered
    | OfferRefused
    | Doubted
    | WasAsked
    | Ended
    | InfoReceived
    | ReferReceived
    | Notified
    | RequestReceived
    | ResponseReceived
    | Discarded
)
