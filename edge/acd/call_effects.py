"""What a call wants done, as frozen values.

The shell carries effects out in their order; media effects of one call one after the other. A word
in `reason` is for the Reason header field (RFC 3326).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from edge.acd.call_events import Attempt, Side
from edge.acd.call_writes import Write
from state.model import AgentId, Outcome


class Prompt(StrEnum):
    """What the caller hears while nobody talks."""

    GREETING = "greeting"
    MUSIC = "music"


class Timer(StrEnum):
    """The call's timers; one of each at most."""

    RING = "ring"
    """Gives `RingTimeout`."""
    RELEASE = "release"
    """Gives `ReleaseTimeout`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Carry the write out, after those asked for before; tell `Written` or `WriteRefused`.

    While the store is away, or the outcome of an attempt unknown, send the same plan again.
    """

    write: Write


# ---- the caller's leg ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCaller:
    """Answer the INVITE with 200."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectCaller:
    """Answer the INVITE with a failure; that is the end of the leg, no `CallerEnded` follows."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinviteCaller:
    """Offer the caller a changed session: `CallerReinvited` or `CallerReinviteRefused`."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUpCaller:
    """Say BYE to the caller; `CallerEnded` follows."""

    reason: str


# ---- the agent's leg -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteAgent:
    """Ring the agent, with the token of the reservation."""

    attempt: Attempt
    agent: AgentId
    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAgent:
    """Stop ringing; `AgentEnded` follows, or an `AgentAnswered` that crossed it."""

    attempt: Attempt
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUpAgent:
    """Say BYE to the agent; `AgentEnded` follows."""

    attempt: Attempt
    reason: str


# ---- offers by the people ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Renegotiate:
    """Put the offer to the media relay: `Renegotiated` or `RenegotiationFailed`."""

    side: Side
    sdp: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOffer:
    """Answer the re-INVITE or UPDATE."""

    side: Side
    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseOffer:
    """Refuse the re-INVITE or UPDATE; the session stays as it was."""

    side: Side
    status: int


# ---- media ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMedia:
    """Take the caller into the relay: `MediaOpened` or `MediaFailed`. No `sdp`: make an offer."""

    sdp: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """Play to the caller, instead of what played; after a greeting comes `GreetingOver`."""

    prompt: Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareAgent:
    """Get a session description to offer to the agent: `AgentMediaReady` or `MediaLost`."""

    attempt: Attempt
    agent: AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinMedia:
    """Join the two and stop the music: `MediaJoined`, `AgentMediaRefused` or `MediaLost`."""

    attempt: Attempt
    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RequeueMedia:
    """Take the agent out and play music again: `MediaRequeued` or `MediaLost`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleMedia:
    """Give the relay what this side answered to an offer of ours; nothing comes back."""

    side: Side
    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseMedia:
    """Take the whole call out of the relay. Comes once, and last of the media effects."""


# ---- timers and the end --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimer:
    """Start, or start anew."""

    timer: Timer
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTimer:
    """Stop it, if it runs."""

    timer: Timer


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Nothing of the call is left here: forget it.

    `outcome` is what its record says; None: the record, if any, is another's to write.
    """

    outcome: Outcome | None
    cause: str


Effect: TypeAlias = (
    Store
    | AnswerCaller
    | RejectCaller
    | ReinviteCaller
    | HangUpCaller
    | InviteAgent
    | CancelAgent
    | HangUpAgent
    | Renegotiate
    | AnswerOffer
    | RefuseOffer
    | OpenMedia
    | Play
    | PrepareAgent
    | JoinMedia
    | RequeueMedia
    | SettleMedia
    | CloseMedia
    | StartTimer
    | StopTimer
    | Finished
)
