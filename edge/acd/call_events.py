"""What can happen to a call, as frozen values.

Session descriptions are opaque bytes here. Legs are named by role, not by SIP: there is one caller,
and each agent who is rung for this call is an `Attempt`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, TypeAlias

from edge.acd.call_writes import Write
from state.model import Decision, Outcome

Attempt = NewType("Attempt", int)
"""Counts the agents rung for one call: 1, 2, ..."""

NO_ATTEMPT = Attempt(0)


class Side(StrEnum):
    """Which of the two people."""

    CALLER = "caller"
    AGENT = "agent"


class By(StrEnum):
    """Whose doing the end of a leg was."""

    THEM = "them"
    """They hung up, or cancelled."""
    US = "us"
    """We ended it, and it is over."""
    FAULT = "fault"
    """A request or a session timer ran out, or there was no ACK."""


# ---- the caller's leg ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerEnded:
    """The caller's leg is over; nothing more is to be sent on it."""

    by: By
    cause: str = ""
    """A constant word, for the record, when it is a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerReinvited:
    """The caller has answered our re-INVITE."""

    sdp: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerReinviteRefused:
    """The caller has refused our re-INVITE, or has not answered it."""

    status: int


# ---- the agent's leg -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProgress:
    """The agent's telephone rings."""

    attempt: Attempt
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAnswered:
    """The agent has answered; it may cross our CANCEL."""

    attempt: Attempt
    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRejected:
    """Our INVITE to the agent ended without an answer; the leg is gone. 408: nobody took it."""

    attempt: Attempt
    status: int
    reason: str = ""
    """The reason phrase: by it the gate's refusals are told from a telephone's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEnded:
    """A leg that was answered or cancelled is over; nothing more is to be sent on it."""

    attempt: Attempt
    by: By
    cause: str = ""


# ---- what the people want of the session: hold, resume, another address --------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferMade:
    """A re-INVITE or UPDATE with an offer; without `sdp` they want ours.

    Of the agent's side only for the attempt that is current: refuse the others at once.
    """

    side: Side
    sdp: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The ACK to our 200 came; `sdp` is the answer if the offer was ours (they sent none)."""

    side: Side
    sdp: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renegotiated:
    """The media relay has an answer to `Renegotiate`."""

    side: Side
    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RenegotiationFailed:
    """The media relay will not have the offer; the session stays as it was."""

    side: Side


# ---- media ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaOpened:
    """`OpenMedia` is done: `sdp` is for the 200."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFailed:
    """`OpenMedia` failed: 488 when no codec is common, 503 when the relay or its ports are out."""

    status: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentMediaReady:
    """`PrepareAgent` is done: `sdp` is for the INVITE."""

    attempt: Attempt
    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaJoined:
    """`JoinMedia` is done: `sdp` is for the caller's re-INVITE."""

    attempt: Attempt
    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentMediaRefused:
    """`JoinMedia` cannot be done with the session description that this agent answered."""

    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRequeued:
    """`RequeueMedia` is done: music plays, `sdp` is for the caller's re-INVITE."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLost:
    """The media relay no longer has this call, or has gone."""

    cause: str = "media_lost"


# ---- the store, the clock, the operator ----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """The store has granted an agent, `decision.winner`, to this call."""

    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The write has landed."""

    write: Write


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRefused:
    """The write was refused, for certain: a record is not what it was, or is not there."""

    write: Write


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketLost:
    """The mirror shows that this call's ticket is another's, or that ours has been closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GreetingOver:
    """The greeting has been played."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingTimeout:
    """The timer RING has run out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTimeout:
    """The timer RELEASE has run out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedAway:
    """The queue serves this caller no longer."""

    outcome: Outcome
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The edge has to let go of the call."""

    cause: str = "edge_stopped"


Event: TypeAlias = (
    CallerEnded
    | CallerReinvited
    | CallerReinviteRefused
    | AgentProgress
    | AgentAnswered
    | AgentRejected
    | AgentEnded
    | OfferMade
    | Confirmed
    | Renegotiated
    | RenegotiationFailed
    | MediaOpened
    | MediaFailed
    | AgentMediaReady
    | MediaJoined
    | AgentMediaRefused
    | MediaRequeued
    | MediaLost
    | Written
    | WriteRefused
    | TicketLost
    | Reserved
    | GreetingOver
    | RingTimeout
    | ReleaseTimeout
    | TurnedAway
    | Stop
)
