"""Our half of a call: what the stack remembers of it from the first INVITE to the last BYE.

A leg is mutable and belongs to one stack. What another process needs to go on is its `Dialog`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from math import inf
from typing import TYPE_CHECKING

from msgspec import Struct

from edge.sip.dialog import leapt
from edge.sip.events import LegId
from edge.sip.offer_answer import STABLE, Exchange, Meaning, Side, step

if TYPE_CHECKING:
    from edge.sip.dialog import Dialog
    from edge.sip.events import Address
    from edge.sip.offer_answer import Carrier
    from edge.sip.transaction import ClientTransaction, ServerTransaction


class LegState(StrEnum):
    """Where a leg is. `uas` and `uac` halves meet at CONFIRMED."""

    ARRIVED = "arrived"
    """UAS: INVITE here, no final answer."""
    ANSWERED = "answered"
    """UAS: 2xx sent, no ACK."""
    CALLING = "calling"
    """UAC: INVITE sent, no final answer."""
    CANCELLING = "cancelling"
    """UAC: we gave up and wait for the end of the INVITE."""
    OFFERED = "offered"
    """UAC: their 2xx brought an offer, and our user owes the answer that goes into ACK."""
    CONFIRMED = "confirmed"
    ENDING = "ending"
    """BYE sent."""
    GONE = "gone"


class LegTimer(Enum):
    """What a leg waits for, besides its transactions."""

    TRYING = auto()
    """Our answer to an INVITE is late: a 100 is due."""
    RESEND_ANSWER = auto()
    """Our 2xx to an INVITE goes out again until ACK comes (RFC 3261 §13.3.1.4)."""
    NO_ACK = auto()
    RESEND_RELIABLE = auto()
    """Our reliable 1xx goes out again until PRACK comes (RFC 3262 §3)."""
    NO_PRACK = auto()
    KEEP_RINGING = auto()
    """Our 1xx is repeated each minute (RFC 3261 §13.3.1.1)."""
    NO_ANSWER = auto()
    """Their ACK brought no answer to the offer in our 2xx; their BYE may be on its way."""
    LEFT = auto()
    """Nobody waits for their ACK any more; one that comes so late is answered by BYE."""
    CANCEL_LOST = auto()
    """A cancelled INVITE that nobody ends is over after 64*T1 (RFC 3261 §9.1), or sooner."""
    SESSION = auto()
    """Time to refresh the session, or to hang up because nobody did (RFC 4028 §10)."""
    RETRY_OFFER = auto()
    """Our offer met theirs (491), or was put off, and is made again (RFC 3261 §14)."""
    TERMINATED = auto()
    """They have ended our offer, which nobody cancelled (487); their BYE may be on its way."""
    ASK_AGAIN = auto()
    """Nobody has said yet whether the other side still has the dialog."""
    GONE = auto()
    """The other side has no dialog any more; their BYE may be on its way yet."""


class Peer:
    """What we share with one remote tag: a dialog, early or not, and its offer/answer state."""

    __slots__ = ("dialog", "exchange", "preview", "rseq", "unanswered_rseq")

    def __init__(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.exchange: Exchange = STABLE
        self.rseq = 0
        """RSeq of the last reliable 1xx, theirs or ours."""
        self.unanswered_rseq = ""
        """RAck of a reliable 1xx whose offer our user has not answered."""
        self.preview: bytes | None = None
        """Their last answer in a 1xx."""

    def withdraw(self) -> None:
        """Go back to where no offer is pending: the pending one was refused or cancelled."""
        self.exchange = STABLE

    def step(self, sender: Side, carrier: Carrier, *, has_sdp: bool) -> Meaning:
        """Take one message into account and return what it means for the session."""
        self.exchange, meaning = step(self.exchange, sender, carrier, has_sdp=has_sdp)
        return meaning


class InvitePlan(Struct, frozen=True, kw_only=True):
    """All that it takes to send the INVITE of a leg again (401, 407, 422)."""

    request_uri: str
    from_: str
    to: str
    next_hop: Address
    sdp: bytes | None
    extra: str
    session_expires_s: int | None
    min_se_s: int
    timer_b_s: float | None


@dataclass(slots=True)
class OwnOffer:
    """A re-INVITE or UPDATE of ours that is under way, or waits for its turn after glare."""

    method: str
    sdp: bytes | None
    attempts: int = 0
    put_off: int = 0
    """How often they have said that it may be made again later."""
    refresh: bool = False
    """A session refresh of the stack's own: the user hears nothing of it unless it fails."""


class Leg:
    """One leg."""

    __slots__ = (
        "answer_interval",
        "answer_message",
        "answered_cseq",
        "call_id",
        "can_cancel",
        "cancel_reason",
        "credentials",
        "due",
        "early",
        "early_offerer",
        "gave_up",
        "id",
        "invite_in",
        "invite_out",
        "is_named",
        "is_uas",
        "late_offer",
        "local",
        "local_sdp",
        "min_se_s",
        "offer",
        "overtaken_rseq",
        "owing",
        "owing_ack",
        "peer",
        "plan",
        "queued",
        "queued_answer",
        "queued_offer",
        "queued_progress",
        "refer_ids",
        "refer_out",
        "refresh_failures",
        "reliable_has_sdp",
        "reliable_interval",
        "reliable_message",
        "seq",
        "state",
        "telling_last",
        "their_offer",
        "timers",
        "wants_bye",
    )

    def __init__(  # noqa: PLR0915 - one assignment a field
        self, identity: LegId, call_id: str, *, is_uas: bool
    ) -> None:
        self.id = identity
        """Also our tag in its dialogs."""
        self.call_id = call_id
        self.is_uas = is_uas
        self.state = LegState.ARRIVED if is_uas else LegState.CALLING
        self.peer: Peer | None = None
        """The established dialog; for a UAS the only one there is."""
        self.early: dict[str, Peer] = {}
        """UAC: early dialogs by remote tag."""
        self.early_offerer: Peer | None = None
        """UAC: whose UPDATE in an early dialog brought `their_offer`."""
        self.owing: Peer | None = None
        """UAC: whose reliable 1xx brought an offer that our user has not answered."""
        self.plan: InvitePlan | None = None
        self.local = ""
        """UAC: our From value, tag included."""
        self.seq = 0
        """UAC: CSeq of the last INVITE that went out before there was a dialog."""
        self.credentials: tuple[str, str] | None = None
        self.invite_out: ClientTransaction | None = None
        self.invite_in: ServerTransaction | None = None
        self.is_named = False
        """UAS: a 1xx has told them our tag, so that they may speak in the dialog before our 2xx."""
        self.can_cancel = False
        """A provisional response has come (RFC 3261 §9.1)."""
        self.cancel_reason = ""
        self.gave_up = False
        """UAC: over without a final response, so that a late 1xx is to be cancelled."""
        self.local_sdp: bytes | None = None
        """The last description we sent: a refresh by re-INVITE says it again."""
        self.min_se_s = 0
        # Our 2xx to their INVITE or re-INVITE, until ACK.
        self.answer_message: bytes = b""
        self.answer_interval = 0.0
        self.answered_cseq = -1
        self.late_offer = False
        """That 2xx carried our offer, so that ACK brings the answer."""
        self.wants_bye: str | None = None
        """BYE is to be sent once ACK (RFC 3261 §15) or the answer to a last NOTIFY has come; the
        text is its Reason."""
        # Our reliable 1xx, until PRACK.
        self.reliable_message: bytes = b""
        self.reliable_interval = 0.0
        self.reliable_has_sdp = False
        self.overtaken_rseq = 0
        """RSeq of one that our answer has overtaken: its PRACK is still to come."""
        self.queued_progress: list[tuple[int, bytes | None]] = []
        self.queued_answer: tuple[bytes, str] | None = None
        self.offer: OwnOffer | None = None
        self.queued_offer: OwnOffer | None = None
        """Waits for the ACK of the INVITE under way."""
        self.owing_ack: ClientTransaction | None = None
        """Our re-INVITE without an offer: its 2xx brought theirs, ACK waits for our answer."""
        self.refresh_failures = 0
        self.their_offer: ServerTransaction | None = None
        self.refer_ids: list[int] = []
        """CSeq numbers of their REFERs that we accepted and owe NOTIFY."""
        self.telling_last = 0
        """How many last NOTIFYs of ours have not been answered."""
        self.refer_out = 0
        """How many REFERs of ours still await their last NOTIFY."""
        self.timers: dict[LegTimer, float] = {}
        self.due = inf
        self.queued = inf

    @property
    def has_dialog(self) -> bool:
        """Whether requests can be sent within it."""
        return self.peer is not None and self.state in (
            LegState.ANSWERED,
            LegState.OFFERED,
            LegState.CONFIRMED,
        )


def adopted(dialog: Dialog, sdp: bytes | None) -> tuple[Leg, Peer]:
    """Return a leg, and its peer, that go on with a dialog which another stack wrote down.

    `sdp`: what that stack said last of its session; None: nobody knows.
    """
    leg = Leg(LegId(dialog.local_tag), dialog.sip_call_id, is_uas=not dialog.caller)
    leg.state = LegState.CONFIRMED
    leg.local_sdp = sdp
    leg.peer = Peer(leapt(dialog))
    return leg, leg.peer
