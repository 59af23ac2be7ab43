"""One caller's call, as the edge that holds it sees it: a frozen value.

Owns what is remembered between two events. What an event does is in `edge.acd.call_state`.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.call_events import NO_ATTEMPT, Attempt, Side
from edge.acd.call_writes import Leaving
from edge.acd.ending import AgentPart, Holds
from state.model import AgentId, CallId, Decision, Now, Outcome, Queue


class State(StrEnum):
    """Where a call stands."""

    ARRIVING = "arriving"
    """Not answered yet."""
    GREETING = "greeting"
    QUEUED = "queued"
    RINGING = "ringing"
    """An agent is reserved and is being rung; the caller hears music."""
    JOINING = "joining"
    """The agent has answered; the caller's re-INVITE is not through yet."""
    CONNECTED = "connected"
    TRANSFERRING = "transferring"
    """The agent has passed the caller on; the target is being reserved, the caller hears music."""
    RETURNING = "returning"
    """An agent whose leg is up is asked in by re-INVITE: the one who had passed the caller on and
    takes them back, as the transfer has failed; or one who was consulted, and is handed the caller.
    """
    ENDING = "ending"
    """The outcome is decided; legs and records are being closed."""
    ENDED = "ended"


PAST = frozenset({State.ENDING, State.ENDED})
"""In these nothing goes on any more that a next life could take up."""
WITH_MEDIA = frozenset(State) - PAST - {State.ARRIVING}
"""In these the relay should know the call."""


class CallerLeg(StrEnum):
    """How far the caller's leg is."""

    EARLY = "early"
    UP = "up"
    CLOSING = "closing"
    """BYE is on its way."""
    OVER = "over"


class AgentLeg(StrEnum):
    """How far the leg of the present attempt is. One that is being ended is in `Call.closing`."""

    NONE = "none"
    PREPARING = "preparing"
    """Waiting for a session description to offer; nothing has been sent."""
    RINGING = "ringing"
    UP = "up"


class Exchange(StrEnum):
    """Whose offer is open on the caller's leg. There can be one at a time (RFC 3264 §4)."""

    NONE = "none"
    OURS = "ours"
    THEIRS = "theirs"


class Rules(Struct, frozen=True, kw_only=True):
    """What the queue and the DID say about this call. Times in seconds."""

    greeting: bool
    ring_timeout_s: float = 15.0
    wrap_up_s: float = 5.0
    no_answer_pause_s: float = 10.0
    refused_pause_s: float = 1.0
    """For an agent whom the gate would not let us ring: time for the truth to get round."""
    release_s: float = 2.0
    """How long a call that ends waits for its legs before it lets go of the agent."""

    @classmethod
    def of(cls, queue: Queue, *, greeting: bool) -> Rules:
        """Return the rules of a queue."""
        return cls(
            greeting=greeting,
            ring_timeout_s=queue.ring_timeout_s,
            wrap_up_s=queue.wrap_up_s,
            no_answer_pause_s=queue.no_answer_pause_s,
        )


class Verdict(Struct, frozen=True, kw_only=True):
    """How the call ended, decided on entering ENDING."""

    outcome: Outcome
    cause: str
    part: AgentPart
    """The agent's, if one is held."""
    at: Now
    holds: int = 0
    held_s: float = 0.0
    leaving: Leaving | None = None
    talk: Holds | None = None
    """Of the talk that ended with the call; None: nobody talked."""


class Farewell(Struct, frozen=True, kw_only=True):
    """Of a talk that one side has ended by a goodbye: whether the other was there to hear it.

    Until that is known the record waits (`edge.acd.call_farewell`).
    """

    to: Side
    """The other."""
    is_unanswered: bool = False
    """Their leg is over, and nobody has answered our goodbye."""
    is_asked: bool = False
    """The relay is: before that, it still has the call."""
    was_unheard: bool = False
    """The relay had not heard them for a while before the goodbye."""
    joined_at: Now | None = None
    """Since when the two had been joined, if the caller had not answered to that yet."""
    is_unmet: bool = False
    """Nor had the caller been heard since."""


class Hold(Struct, frozen=True, kw_only=True):
    """How the agent of the present attempt holds the caller."""

    asks: bool = False
    """What the agent's open offer is for: to hold, or to talk again."""
    since: Now | None = None
    """None: they talk."""
    count: int = 0
    total_s: float = 0.0
    """Of holds that are over."""

    def turned(self, *, on: bool, now: Now) -> Hold:
        """Return it after the agent has begun or ended a hold."""
        if on is (self.since is not None):
            return self
        if self.since is None:
            return replace(self, since=now, count=self.count + 1)
        return replace(self, since=None, total_s=self.total_s + now.mono_s - self.since.mono_s)


class Transferor(Struct, frozen=True, kw_only=True):
    """The agent who has passed the caller on, until they are out or have the caller back."""

    attempt: Attempt
    decision: Decision
    """By which they were chosen."""
    is_up: bool = True
    """Their leg is."""


class Asked(Struct, frozen=True, kw_only=True):
    """Whether the caller has been asked to be called back, and what came of it."""

    step: int = 0
    """At which step of the queue they were asked last; 0: never."""
    cause: str = ""
    """Why they would be sent away."""
    is_under_way: bool = False
    """They hear the question, or have not answered it."""
    takes: bool = False
    """They want to be, and hear that they will."""


NEVER_ASKED = Asked()


class Call(Struct, frozen=True, kw_only=True):
    """A call at one moment."""

    id: CallId
    rules: Rules
    state: State = State.ARRIVING
    caller: CallerLeg = CallerLeg.EARLY
    is_acknowledged: bool = False
    """The caller has acknowledged our answer: it is ours that they have."""
    is_late: bool = False
    """A sister may have the call too (`edge.acd.yielding`): nobody is rung before the ACK."""
    needs_ack: bool = False
    """The offer was late: what the caller can do is not known before the ACK."""
    exchange: Exchange = Exchange.NONE
    owed_sdp: bytes | None = None
    """To be offered to the caller once the open exchange is over."""
    is_offer_needed: bool = True
    """Whether the caller has to accept what was last offered, or is owed, to hear anybody."""
    is_media_moving: bool = False
    """Between RequeueMedia and MediaRequeued."""
    is_joined: bool = False
    """The relay has joined the two."""
    joined_at: Now | None = None
    """When it said so; None: a former life of the edge was told."""
    hears_nothing: bool = False
    """The relay had forgotten the caller when the call was taken up, or a greeting had ended and no
    edge lived; until the caller has been told of media anew in an exchange of offer and answer."""
    hold: Hold = Hold()
    attempt: Attempt = NO_ATTEMPT
    agent_leg: AgentLeg = AgentLeg.NONE
    closing: frozenset[Attempt] = frozenset()
    """Attempts whose legs are being ended."""
    decision: Decision | None = None
    """The last one: by it the agent of the present attempt was chosen."""
    is_agent_held: bool = False
    """The decision's winner is reserved, and neither given back nor freed."""
    has_talked: bool = False
    """An agent has talked with the caller, and was lost; the caller waits for another."""
    talk_held: Hold = Hold()
    """`hold` as it stood when the present talk began."""
    asked: Asked = NEVER_ASKED
    transferor: Transferor | None = None
    is_passed_on: bool = False
    """An agent has passed the caller on, and nobody talks with them yet."""
    is_back: bool = False
    """The agent of the present attempt has passed the caller on, and takes them back."""
    is_ticket_lost: bool = False
    verdict: Verdict | None = None
    farewell: Farewell | None = None
    is_caller_gone: bool = False
    """Their line is dead: nobody will answer our goodbye, and nothing waits for that."""
    is_released: bool = False
    """The timer RELEASE has run out."""
    writes: int = 0
    """Asked for, and neither landed nor refused."""
    is_close_asked: bool = False
    is_closed: bool = False

    @property
    def is_waiting(self) -> bool:
        """Whether this call can take an agent now."""
        return (
            self.state is State.QUEUED
            and not self.awaits_ack
            and not self.is_media_moving
            and not self.asked.takes
        )

    @property
    def awaits_ack(self) -> bool:
        """Whether nobody is to be rung before the caller has acknowledged our answer."""
        return self.needs_ack or (self.is_late and not self.is_acknowledged)

    @property
    def agent(self) -> AgentId | None:
        """The agent of the present attempt."""
        if self.agent_leg is AgentLeg.NONE or self.decision is None:
            return None
        return self.decision.winner

    @property
    def has_legs(self) -> bool:
        """Whether a leg is left that is not over."""
        return (
            self.caller is not CallerLeg.OVER
            or self.agent_leg is not AgentLeg.NONE
            or bool(self.closing)
            or (self.transferor is not None and self.transferor.is_up)
        )

    def without_agent(self, *, still_closing: bool) -> Call:
        """Return the call with no present attempt; its leg may still have to end."""
        closing = self.closing | {self.attempt} if still_closing else self.closing
        return replace(
            self, agent_leg=AgentLeg.NONE, closing=closing, is_joined=False, joined_at=None
        )
