"""What can happen to a call, as frozen values.

Session descriptions are opaque bytes here. Legs are named by role, not by SIP: there is one caller,
and each agent who is rung for this call is an `Attempt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NewType, TypeAlias

from msgspec import Struct

from edge.acd.call_writes import Write
from state.model import AgentId, Decision, Outcome, Queue

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
    BOTH = "both"
    """We had said goodbye, and theirs came before they had answered ours."""
    UNHEARD = "unheard"
    """They were gone when we asked, or said goodbye: if they had hung up, nobody has heard it."""
    FAULT = "fault"
    """A request or a session timer ran out, or there was no ACK."""


# ---- the caller's leg ----------------------------------------------------------------------------


class CallerEnded(Struct, frozen=True, kw_only=True):
    """The caller's leg is over; nothing more is to be sent on it."""

    by: By
    cause: str = ""
    """A constant word, for the record, when it is a fault, or they gave up before we answered."""
    is_out_of_reach: bool = False
    """Their leg goes by a site that is, or was until lately: nobody knows if they said goodbye."""
    is_claimed: bool = False
    """They have another edge's answer too, as that one says: it is ours that they do not keep."""


class CallerReinvited(Struct, frozen=True, kw_only=True):
    """The caller has answered our re-INVITE, or in ACK the offer that theirs has asked us for."""

    sdp: bytes | None = None
    was_asked: bool = False
    """The latter. A re-INVITE of ours may be waiting for that ACK, and is not answered yet."""


class CallerReinviteRefused(Struct, frozen=True, kw_only=True):
    """The caller has refused our re-INVITE, or has not answered it."""

    status: int


# ---- the agent's leg -----------------------------------------------------------------------------


class AgentProgress(Struct, frozen=True, kw_only=True):
    """The agent's telephone rings."""

    attempt: Attempt
    status: int


class AgentAnswered(Struct, frozen=True, kw_only=True):
    """The agent has answered; it may cross our CANCEL."""

    attempt: Attempt
    sdp: bytes


class AgentRejected(Struct, frozen=True, kw_only=True):
    """Our INVITE to the agent ended without an answer; the leg is gone. 408: nobody took it."""

    attempt: Attempt
    status: int
    reason: str = ""
    """The reason phrase: by it the gate's refusals are told from a telephone's."""


class AgentEnded(Struct, frozen=True, kw_only=True):
    """A leg that was answered or cancelled is over; nothing more is to be sent on it."""

    attempt: Attempt
    by: By
    cause: str = ""
    is_out_of_reach: bool = False
    """As in `CallerEnded`."""


class AgentReinvited(Struct, frozen=True, kw_only=True):
    """The agent has answered our re-INVITE, or in ACK the offer that theirs has asked us for."""

    attempt: Attempt
    sdp: bytes | None = None
    holds: bool = False
    """As in `OfferMade`."""
    was_asked: bool = False
    """As in `CallerReinvited`."""


class AgentReinviteRefused(Struct, frozen=True, kw_only=True):
    """The agent has refused our re-INVITE, or has not answered it."""

    attempt: Attempt
    status: int


class AgentSilent(Struct, frozen=True, kw_only=True):
    """Nothing is heard of the agent, who cannot be reached: they are gone.

    Their home site is out of reach (`edge.acd.gone`), or their telephone is silent in every way
    (`edge.acd.fallen_silent`). The leg is still to be ended.
    """

    attempt: Attempt
    is_caller_silent: bool = False
    """So is the caller, whose way is out of reach too: nobody is there (`edge.acd.gone`)."""


# ---- transfers ---------------------------------------------------------------------------------


class CallerSilent(Struct, frozen=True, kw_only=True):
    """Nothing is heard of a caller, whose telephone is silent in every way: they are gone.

    The leg is still to be ended.
    """

    attempt: Attempt
    """Whose agent was talking with them; of one who waits, the last."""


class PassedToAgent(Struct, frozen=True, kw_only=True):
    """The agent who talks passes the caller on to another, and has been told that we try."""

    target: AgentId


class PassedToQueue(Struct, frozen=True, kw_only=True):
    """The agent who talks puts the caller into a queue."""

    queue: Queue


class PassedToConsulted(Struct, frozen=True, kw_only=True):
    """The agent who talks hands the caller over to one whom they have consulted, who is there."""


class ConsultedGiven(Struct, frozen=True, kw_only=True):
    """The store has given the consulted agent, `decision.winner`, to the caller."""

    decision: Decision
    is_there: bool = True
    """Their leg is up; else they have hung up meanwhile."""


class TargetRefused(Struct, frozen=True, kw_only=True):
    """The target of a transfer cannot be had: nobody has been rung. `status`: SIP's word for it."""

    status: int


# ---- what the people want of the session: hold, resume, another address --------------------------


class OfferMade(Struct, frozen=True, kw_only=True):
    """A re-INVITE or UPDATE with an offer; without `sdp` they want ours.

    Of the agent's side only for the attempt that is current: refuse the others at once.
    """

    side: Side
    sdp: bytes | None = None
    holds: bool = False
    """It asks the other not to speak: they are put on hold."""


class Confirmed(Struct, frozen=True, kw_only=True):
    """The ACK to our 200 came; `sdp` is the answer if the offer was ours (they sent none)."""

    side: Side
    sdp: bytes | None = None
    holds: bool = False
    """As in `OfferMade`."""


class Renegotiated(Struct, frozen=True, kw_only=True):
    """The media relay has an answer to `Renegotiate`."""

    side: Side
    sdp: bytes
    is_offer: bool = False
    """They asked for it: their answer comes with the ACK, as `CallerReinvited` of a caller."""


class RenegotiationFailed(Struct, frozen=True, kw_only=True):
    """The media relay will not have the offer; the session stays as it was."""

    side: Side


# ---- media ---------------------------------------------------------------------------------------


class MediaOpened(Struct, frozen=True, kw_only=True):
    """`OpenMedia` is done: `sdp` is for the 200."""

    sdp: bytes


class MediaFailed(Struct, frozen=True, kw_only=True):
    """`OpenMedia` failed: 488 when the caller's offer is no use, 503 when the relay is none."""

    status: int
    cause: str


class AgentMediaReady(Struct, frozen=True, kw_only=True):
    """`PrepareAgent` is done: `sdp` is for the INVITE."""

    attempt: Attempt
    sdp: bytes


class MediaJoined(Struct, frozen=True, kw_only=True):
    """`JoinMedia` is done: `sdp` is for the caller's re-INVITE."""

    attempt: Attempt
    sdp: bytes
    is_needed: bool = True
    """Whether the two do not hear each other before the caller has accepted that."""


class AgentMediaRefused(Struct, frozen=True, kw_only=True):
    """`JoinMedia` cannot be done with the session description that this agent answered."""

    attempt: Attempt


class MediaRequeued(Struct, frozen=True, kw_only=True):
    """`RequeueMedia` is done: music plays, `sdp` is for the caller's re-INVITE."""

    sdp: bytes
    is_needed: bool = True
    """Whether the caller does not hear it before they have accepted that."""


class MediaLost(Struct, frozen=True, kw_only=True):
    """The media relay no longer has this call, or has gone."""

    cause: str = "media_lost"


class LastHeard(Struct, frozen=True, kw_only=True):
    """`AskLastHeard` is done, or cannot be."""

    until_ms: Mapping[Side, int] = {}
    """Until when each was heard at the latest, by the wall clock; of those who were heard at all,
    and were to be heard by their own last word."""


# ---- the store, the clock, the operator ----------------------------------------------------------


class Reserved(Struct, frozen=True, kw_only=True):
    """The store has granted an agent, `decision.winner`, to this call."""

    decision: Decision


class Written(Struct, frozen=True, kw_only=True):
    """The write has landed."""

    write: Write


class WriteRefused(Struct, frozen=True, kw_only=True):
    """The write was refused, for certain: a record is not what it was, or is not there."""

    write: Write


class TicketLost(Struct, frozen=True, kw_only=True):
    """The mirror shows that this call's ticket is another's, or that ours has been closed."""


class Claimed(Struct, frozen=True, kw_only=True):
    """Another edge says that this call's caller has acknowledged it (`edge.acd.yielding`)."""


class GreetingOver(Struct, frozen=True, kw_only=True):
    """The greeting has been played."""


class RingTimeout(Struct, frozen=True, kw_only=True):
    """The timer RING has run out."""


class ReleaseTimeout(Struct, frozen=True, kw_only=True):
    """The timer RELEASE has run out."""


class TurnedAway(Struct, frozen=True, kw_only=True):
    """The queue serves this caller no longer."""

    outcome: Outcome
    cause: str
    is_asked: bool = False
    """Whether they are asked if they want to be called back, and else go on waiting."""
    step: int = 0
    """By which step of the queue."""


class Answer(StrEnum):
    """What a caller says to the offer to be called back."""

    TAKES = "takes"
    WAITS = "waits"
    """Nothing, or another key."""
    NOT_ASKED = "not_asked"
    """Nothing could be played to them, or nobody listens for keys."""


class OfferOver(Struct, frozen=True, kw_only=True):
    """The caller has heard the question whether they want to be called back, and its time is up."""

    answer: Answer


class NoticeOver(Struct, frozen=True, kw_only=True):
    """The caller has heard that they will be called back."""


class Stop(Struct, frozen=True, kw_only=True):
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
    | AgentReinvited
    | AgentReinviteRefused
    | AgentSilent
    | CallerSilent
    | PassedToAgent
    | PassedToQueue
    | PassedToConsulted
    | ConsultedGiven
    | TargetRefused
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
    | LastHeard
    | Written
    | WriteRefused
    | TicketLost
    | Claimed
    | Reserved
    | GreetingOver
    | RingTimeout
    | ReleaseTimeout
    | TurnedAway
    | OfferOver
    | NoticeOver
    | Stop
)
