"""What each event does to a call: a table of states and events, and the moves it names.

The laws:

- All changes of state are here. `step` touches nothing: it returns the next value and what is to be
  done, and the shell does it.
- Every pair of state and event stands in the table: it acts, or is ignored for a stated reason.
- A call ends once. On entering ENDING the outcome is decided, both legs and the media are told, and
  nothing starts any more. It is ENDED when no leg is left and every record is written. Of a talk
  that one side has ended the media are told once the other has answered, or is given up.
- The agent is not kept waiting: if a leg does not end within `Rules.release_s`, the agent is let go
  before it does.
- An edge that has lost its ticket ends its legs and offers nobody. It may be told so wrongly, so it
  asks for the record all the same; the store refuses it to whom the ticket is not left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, get_args

from msgspec import Struct

from edge.acd import call_callback as callback
from edge.acd import call_endings as endings
from edge.acd import call_events as ev
from edge.acd import call_farewell as farewell
from edge.acd import call_joining as joining
from edge.acd import call_moves as moves
from edge.acd import call_transfer as transfer
from edge.acd.call import Call, Rules, State
from edge.acd.call_parts import Step
from state.model import CallId, Now


class Ignored(Struct, frozen=True):
    """The event does nothing in this state, because."""

    because: str


Move: TypeAlias = Callable[..., Step]
"""(call, event, now) -> the next call and the effects."""
Row: TypeAlias = Mapping[type[ev.Event], Move | Ignored]


def start(
    call: CallId, rules: Rules, sdp: bytes | None, now: Now, *, is_late: bool = False
) -> Step:
    """Return the call for an INVITE that has just come, and what to do first."""
    begun = Call(id=call, rules=rules, needs_ack=sdp is None, is_late=is_late)
    return moves.arrive(begun, sdp, now)


def step(call: Call, event: ev.Event, now: Now) -> Step:
    """Return what `event` makes of the call, and what is to be done."""
    move = TABLE[call.state][type(event)]
    if isinstance(move, Ignored):
        return call, ()
    after, effects = move(call, event, now)
    if after.state is not State.ENDING:
        return after, effects
    settled, more = endings.settle(after)
    return settled, (*effects, *more)


# ---- the table -----------------------------------------------------------------------------------

_ANSWERED = Ignored("the caller has been answered already")
_NOT_ANSWERED = Ignored("the caller has not been answered yet")
_NO_AGENT = Ignored("no agent has been rung yet")
_NO_MEDIA_YET = Ignored("no agent has been rung, so nothing was asked of the relay for one")
_STALE_MEDIA = Ignored("the relay answers what was asked for an agent who has left since")
_NOT_WAITING = Ignored("an agent is reserved for the call already")
_NO_RING = Ignored("the ring timer was stopped just as it ran out")
_NOT_ENDING = Ignored("nothing is being released")
_NOT_QUEUED = Ignored("the caller does not wait in the queue yet")
_OFFERED = Ignored("an agent is reserved: should they not answer, the queue decides anew")
_NOT_TALKING = Ignored("the agent and the caller do not talk")
_NOT_RETURNING = Ignored("the caller is not being brought back to an agent")
_NOT_TRANSFERRING = Ignored("no target of a transfer is being reserved")
_SERVED = Ignored("an agent has answered")
_RINGS = Ignored("the caller goes on hearing music while a telephone rings")
_GREETED = Ignored("the greeting was over already")
_ENDING = Ignored("the call is ending: its outcome stands and nothing starts any more")
_OVER = Ignored("the call is over")

_ALWAYS: Row = {
    ev.Written: endings.written,
    ev.WriteRefused: endings.write_refused,
    ev.TicketLost: endings.ticket_lost,
    ev.Claimed: endings.claimed,
    ev.Stop: endings.stop,
    ev.MediaLost: endings.media_lost,
    ev.ReleaseTimeout: _NOT_ENDING,
    ev.LastHeard: _NOT_ENDING,
    ev.AgentProgress: _RINGS,
    ev.AgentSilent: _NOT_TALKING,
    ev.CallerSilent: _NOT_TALKING,
    ev.AgentReinvited: _NOT_RETURNING,
    ev.AgentReinviteRefused: _NOT_RETURNING,
    ev.PassedToAgent: _NOT_TALKING,
    ev.PassedToQueue: _NOT_TALKING,
    ev.PassedToConsulted: _NOT_TALKING,
    ev.ConsultedGiven: _NOT_TRANSFERRING,
    ev.TargetRefused: _NOT_TRANSFERRING,
    ev.OfferOver: callback.not_answered,
    ev.NoticeOver: _SERVED,
}
_UNANSWERED_AGENTS: Row = {
    ev.AgentMediaReady: _NO_MEDIA_YET,
    ev.AgentMediaRefused: _NO_MEDIA_YET,
    ev.MediaJoined: _NO_MEDIA_YET,
    ev.MediaRequeued: _NO_MEDIA_YET,
    ev.AgentAnswered: _NO_AGENT,
    ev.AgentRejected: _NO_AGENT,
    ev.AgentEnded: _NO_AGENT,
    ev.RingTimeout: _NO_AGENT,
}
_ANSWERED_CALLER: Row = {
    ev.MediaOpened: _ANSWERED,
    ev.MediaFailed: _ANSWERED,
    ev.Confirmed: moves.confirmed,
    ev.CallerReinvited: moves.caller_reinvited,
    ev.CallerReinviteRefused: moves.caller_reinvite_refused,
    ev.OfferMade: moves.offer_made,
    ev.Renegotiated: moves.renegotiated,
    ev.RenegotiationFailed: moves.renegotiation_failed,
}
_EARLIER_AGENTS: Row = {
    ev.AgentAnswered: moves.answered_too_late,
    ev.AgentRejected: endings.agent_over,
    ev.AgentEnded: endings.agent_over,
}
_AGENT_MEDIA_STALE: Row = {
    ev.AgentMediaReady: _STALE_MEDIA,
    ev.AgentMediaRefused: _STALE_MEDIA,
    ev.MediaJoined: _STALE_MEDIA,
    ev.MediaRequeued: _STALE_MEDIA,
}

TABLE: Final[Mapping[State, Row]] = {
    State.ARRIVING: {
        **_ALWAYS,
        ev.TurnedAway: _NOT_QUEUED,
        ev.OfferOver: _NOT_QUEUED,
        ev.NoticeOver: _NOT_QUEUED,
        **_UNANSWERED_AGENTS,
        ev.MediaOpened: moves.media_opened,
        ev.MediaFailed: moves.media_failed,
        ev.CallerEnded: endings.caller_left,
        ev.Confirmed: _NOT_ANSWERED,
        ev.CallerReinvited: _NOT_ANSWERED,
        ev.CallerReinviteRefused: _NOT_ANSWERED,
        ev.OfferMade: _NOT_ANSWERED,
        ev.Renegotiated: _NOT_ANSWERED,
        ev.RenegotiationFailed: _NOT_ANSWERED,
        ev.GreetingOver: _NOT_ANSWERED,
        ev.Reserved: moves.reserved_at_once,
    },
    State.GREETING: {
        **_ALWAYS,
        ev.TurnedAway: _NOT_QUEUED,
        ev.OfferOver: _NOT_QUEUED,
        ev.NoticeOver: _NOT_QUEUED,
        **_ANSWERED_CALLER,
        **_UNANSWERED_AGENTS,
        ev.CallerEnded: endings.caller_left,
        ev.GreetingOver: moves.greeting_over,
        ev.Reserved: Ignored("the greeting is not over: the ticket was not to be matched"),
    },
    State.QUEUED: {
        **_ALWAYS,
        ev.TurnedAway: callback.turned_away,
        ev.OfferOver: callback.answered,
        ev.NoticeOver: callback.notice_over,
        **_ANSWERED_CALLER,
        **_EARLIER_AGENTS,
        **_AGENT_MEDIA_STALE,
        ev.CallerEnded: endings.waiting_caller_left,
        ev.CallerSilent: endings.caller_silent,
        ev.MediaRequeued: moves.media_requeued,
        ev.GreetingOver: _GREETED,
        ev.Reserved: moves.reserved,
        ev.RingTimeout: _NO_RING,
    },
    State.RINGING: {
        **_ALWAYS,
        ev.TurnedAway: _OFFERED,
        ev.OfferOver: callback.answered_while_rung,
        **_ANSWERED_CALLER,
        **_AGENT_MEDIA_STALE,
        ev.CallerEnded: endings.caller_left,
        ev.GreetingOver: _GREETED,
        ev.Reserved: _NOT_WAITING,
        ev.AgentMediaReady: moves.agent_media_ready,
        ev.MediaRequeued: transfer.media_moved,
        ev.AgentProgress: transfer.target_rings,
        ev.AgentAnswered: moves.agent_answered,
        ev.AgentRejected: moves.agent_rejected,
        ev.AgentEnded: transfer.left_while_served,
        ev.RingTimeout: moves.ring_timeout,
    },
    State.JOINING: {
        **_ALWAYS,
        ev.TurnedAway: _SERVED,
        **_ANSWERED_CALLER,
        **_EARLIER_AGENTS,
        **_AGENT_MEDIA_STALE,
        ev.WriteRefused: joining.cut(endings.write_refused),
        ev.TicketLost: joining.cut(endings.ticket_lost),
        ev.Claimed: joining.cut(endings.claimed),
        ev.Stop: joining.cut(endings.stop),
        ev.MediaLost: joining.cut(endings.media_lost),
        ev.CallerReinviteRefused: joining.cut(moves.caller_reinvite_refused),
        ev.CallerEnded: joining.caller_left,
        ev.GreetingOver: _GREETED,
        ev.Reserved: _NOT_WAITING,
        ev.AgentMediaRefused: moves.agent_media_refused,
        ev.MediaJoined: moves.media_joined,
        ev.AgentReinvited: moves.agent_reinvited,
        ev.AgentEnded: joining.agent_left,
        ev.RingTimeout: _NO_RING,
    },
    State.CONNECTED: {
        **_ALWAYS,
        ev.TurnedAway: _SERVED,
        **_ANSWERED_CALLER,
        **_EARLIER_AGENTS,
        **_AGENT_MEDIA_STALE,
        ev.CallerEnded: endings.caller_done,
        ev.GreetingOver: _GREETED,
        ev.Reserved: _NOT_WAITING,
        ev.AgentReinvited: moves.agent_reinvited,
        ev.AgentEnded: endings.agent_done,
        ev.AgentSilent: endings.agent_silent,
        ev.CallerSilent: endings.caller_silent,
        ev.RingTimeout: _NO_RING,
        ev.PassedToAgent: transfer.passed_to_agent,
        ev.PassedToQueue: transfer.passed_to_queue,
        ev.PassedToConsulted: transfer.passed_to_consulted,
    },
    State.TRANSFERRING: {
        **_ALWAYS,
        ev.TurnedAway: _SERVED,
        **_ANSWERED_CALLER,
        **_EARLIER_AGENTS,
        **_AGENT_MEDIA_STALE,
        ev.CallerEnded: endings.caller_left,
        ev.GreetingOver: _GREETED,
        ev.Reserved: transfer.target_reserved,
        ev.ConsultedGiven: transfer.consulted_given,
        ev.TargetRefused: transfer.target_refused,
        ev.MediaRequeued: transfer.media_moved,
        ev.OfferMade: transfer.transferor_offers,
        ev.AgentEnded: transfer.left_while_passing,
        ev.RingTimeout: _NO_RING,
    },
    State.RETURNING: {
        **_ALWAYS,
        ev.TurnedAway: _SERVED,
        **_ANSWERED_CALLER,
        **_EARLIER_AGENTS,
        **_AGENT_MEDIA_STALE,
        ev.CallerEnded: endings.caller_left,
        ev.GreetingOver: _GREETED,
        ev.Reserved: _NOT_WAITING,
        ev.AgentMediaReady: transfer.returning_media_ready,
        ev.MediaRequeued: transfer.media_moved,
        ev.OfferMade: transfer.transferor_offers,
        ev.AgentReinvited: transfer.reinvited,
        ev.AgentReinviteRefused: transfer.reinvite_refused,
        ev.AgentEnded: transfer.returning_left,
        ev.RingTimeout: _NO_RING,
    },
    State.ENDING: {
        **dict.fromkeys(get_args(ev.Event), _ENDING),
        ev.Written: endings.written,
        ev.WriteRefused: endings.write_refused_ending,
        ev.TicketLost: endings.ticket_lost_ending,
        ev.Claimed: endings.claimed_ending,
        ev.Confirmed: endings.confirmed_ending,
        ev.Reserved: moves.reserved_too_late,
        ev.CallerEnded: endings.caller_over,
        ev.AgentAnswered: moves.answered_too_late,
        ev.AgentRejected: endings.agent_over,
        ev.AgentEnded: endings.agent_over,
        ev.ReleaseTimeout: endings.release_timeout,
        ev.LastHeard: farewell.last_heard,
    },
    State.ENDED: dict.fromkeys(get_args(ev.Event), _OVER),
}
