"""What a call wants done, as frozen values.

The shell carries effects out in their order; media effects of one call one after the other. A word
in `reason` is for the Reason header field (RFC 3326).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from edge.acd.call_events import Attempt, Side
from edge.acd.call_writes import Write
from state.model import AgentId, Outcome


class Prompt(StrEnum):
    """What the caller hears while nobody talks."""

    GREETING = "greeting"
    MUSIC = "music"
    OFFER = "offer"
    """Whether they want to be called back. After it comes `OfferOver`."""
    NOTICE = "notice"
    """That they will be. After it comes `NoticeOver`."""


class Timer(StrEnum):
    """The call's timers; one of each at most."""

    RING = "ring"
    """Gives `RingTimeout`."""
    RELEASE = "release"
    """Gives `ReleaseTimeout`."""


class Store(Struct, frozen=True, kw_only=True):
    """Carry the write out, after those asked for before; tell `Written` or `WriteRefused`.

    While the store is away, or the outcome of an attempt unknown, send the same plan again.
    """

    write: Write


# ---- the caller's leg ----------------------------------------------------------------------------


class AnswerCaller(Struct, frozen=True, kw_only=True):
    """Answer the INVITE with 200."""

    sdp: bytes


class RejectCaller(Struct, frozen=True, kw_only=True):
    """Answer the INVITE with a failure; that is the end of the leg, no `CallerEnded` follows."""

    status: int
    reason: str


class ReinviteCaller(Struct, frozen=True, kw_only=True):
    """Offer the caller a changed session: `CallerReinvited` or `CallerReinviteRefused`."""

    sdp: bytes


class HangUpCaller(Struct, frozen=True, kw_only=True):
    """Say BYE to the caller; `CallerEnded` follows."""

    reason: str


class LeaveCaller(Struct, frozen=True, kw_only=True):
    """Forget the caller's leg, whose answer nobody has: no `CallerEnded` follows.

    There is a BYE only if an ACK turns up all the same.
    """


# ---- the agent's leg -----------------------------------------------------------------------------


class InviteAgent(Struct, frozen=True, kw_only=True):
    """Ring the agent, with the token of the reservation."""

    attempt: Attempt
    agent: AgentId
    sdp: bytes


class CancelAgent(Struct, frozen=True, kw_only=True):
    """Stop ringing; `AgentEnded` follows, or an `AgentAnswered` that crossed it."""

    attempt: Attempt
    reason: str


class HangUpAgent(Struct, frozen=True, kw_only=True):
    """Say BYE to the agent; `AgentEnded` follows."""

    attempt: Attempt
    reason: str


class ReinviteAgent(Struct, frozen=True, kw_only=True):
    """Offer an agent whose leg is up a changed session.

    `AgentReinvited` or `AgentReinviteRefused` follows.
    """

    attempt: Attempt
    sdp: bytes


# ---- transfers ---------------------------------------------------------------------------------


class ReserveTarget(Struct, frozen=True, kw_only=True):
    """Reserve the agent to whom the caller is passed on: `Reserved` or `TargetRefused`."""

    agent: AgentId


class HandOver(Struct, frozen=True, kw_only=True):
    """Give the caller to the agent who is consulted: `ConsultedGiven` or `TargetRefused`."""


class TakeConsulted(Struct, frozen=True, kw_only=True):
    """From here on the leg of the agent who was consulted is that of `attempt`."""

    attempt: Attempt


class TakeBack(Struct, frozen=True, kw_only=True):
    """From here on the leg of attempt `was` is that of `attempt`."""

    attempt: Attempt
    was: Attempt


class TellTransferor(Struct, frozen=True, kw_only=True):
    """Tell the agent who passed the caller on how it gets on, as a SIP status; 2xx on are final."""

    attempt: Attempt
    status: int


# ---- offers by the people ------------------------------------------------------------------------


class Renegotiate(Struct, frozen=True, kw_only=True):
    """Put the offer to the media relay: `Renegotiated` or `RenegotiationFailed`."""

    side: Side
    sdp: bytes | None


class AnswerOffer(Struct, frozen=True, kw_only=True):
    """Answer the re-INVITE or UPDATE."""

    side: Side
    sdp: bytes


class RefuseOffer(Struct, frozen=True, kw_only=True):
    """Refuse the re-INVITE or UPDATE; the session stays as it was."""

    side: Side
    status: int


# ---- media ---------------------------------------------------------------------------------------


class OpenMedia(Struct, frozen=True, kw_only=True):
    """Take the caller into the relay: `MediaOpened` or `MediaFailed`. No `sdp`: make an offer."""

    sdp: bytes | None


class Play(Struct, frozen=True, kw_only=True):
    """Play to the caller, instead of what played; after a greeting comes `GreetingOver`."""

    prompt: Prompt


class PrepareAgent(Struct, frozen=True, kw_only=True):
    """Get a session description to offer to the agent: `AgentMediaReady` or `MediaLost`."""

    attempt: Attempt
    agent: AgentId


class JoinMedia(Struct, frozen=True, kw_only=True):
    """Join the two and stop the music: `MediaJoined`, `AgentMediaRefused` or `MediaLost`."""

    attempt: Attempt
    sdp: bytes


class RequeueMedia(Struct, frozen=True, kw_only=True):
    """Take the agent out and play music again: `MediaRequeued` or `MediaLost`."""


class SettleMedia(Struct, frozen=True, kw_only=True):
    """Give the relay what this side answered to an offer of ours; nothing comes back."""

    side: Side
    sdp: bytes


class AskLastHeard(Struct, frozen=True, kw_only=True):
    """Ask the relay until when it has heard the two: `LastHeard`, whatever comes of it."""


class CloseMedia(Struct, frozen=True, kw_only=True):
    """Take the whole call out of the relay. Comes once, and last of the media effects."""


# ---- timers and the end --------------------------------------------------------------------------


class StartTimer(Struct, frozen=True, kw_only=True):
    """Start, or start anew."""

    timer: Timer
    seconds: float


class StopTimer(Struct, frozen=True, kw_only=True):
    """Stop it, if it runs."""

    timer: Timer


class Finished(Struct, frozen=True, kw_only=True):
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
    | LeaveCaller
    | InviteAgent
    | CancelAgent
    | HangUpAgent
    | ReinviteAgent
    | ReserveTarget
    | HandOver
    | TakeConsulted
    | TakeBack
    | TellTransferor
    | Renegotiate
    | AnswerOffer
    | RefuseOffer
    | OpenMedia
    | Play
    | PrepareAgent
    | JoinMedia
    | RequeueMedia
    | SettleMedia
    | AskLastHeard
    | CloseMedia
    | StartTimer
    | StopTimer
    | Finished
)
