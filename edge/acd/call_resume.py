"""Where a call goes on when another process takes it up: a state, and what it must hear first.

What was under way when the former process died is decided here: an answer that nobody can wait for
any more is taken for the event that loses least.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from edge.acd import call_effects as fx
from edge.acd.call import (
    NEVER_ASKED,
    AgentLeg,
    Asked,
    Call,
    CallerLeg,
    Exchange,
    Hold,
    Rules,
    State,
    Transferor,
)
from edge.acd.call_events import (
    NO_ATTEMPT,
    AgentEnded,
    AgentMediaRefused,
    AgentReinviteRefused,
    AgentRejected,
    Answer,
    Attempt,
    CallerReinvited,
    Event,
    GreetingOver,
    MediaLost,
    MediaRequeued,
    NoticeOver,
    OfferOver,
    TargetRefused,
)
from edge.acd.call_parts import Step
from state.model import CallId, Decision, Now

NO_HOLD = Hold()
SILENCE_S: Final = 1.0
"""Nobody takes a shorter one for silence: what is played to them comes after another, too."""
_JOINED = frozenset({State.JOINING, State.CONNECTED})
_AWAY = 503
_GATE = (503, "gate not loaded")
"""A refusal that is nobody's fault: see `edge.acd.refusal`."""


class Passing(Struct, frozen=True, kw_only=True):
    """What has to be known of transfers: as `Call` has it."""

    transferor: Transferor | None = None
    is_passed_on: bool = False
    is_back: bool = False
    talk_held: Hold = NO_HOLD

    @classmethod
    def of(cls, call: Call) -> Passing | None:
        """Return what is to be known of a call; None, of most: nothing."""
        is_usual = call.transferor is None and not call.is_passed_on and not call.is_back
        if is_usual and call.talk_held == NO_HOLD:
            return None
        return cls(
            transferor=call.transferor,
            is_passed_on=call.is_passed_on,
            is_back=call.is_back,
            talk_held=call.talk_held,
        )


NOTHING_PASSED = Passing()


def resumed(  # noqa: PLR0911, PLR0913  what the former life knew
    call: CallId,
    rules: Rules,
    state: State,
    *,
    attempt: Attempt = NO_ATTEMPT,
    decision: Decision | None = None,
    hold: Hold = NO_HOLD,
    has_talked: bool = False,
    asked: Asked = NEVER_ASKED,
    passing: Passing = NOTHING_PASSED,
    has_media: bool = True,
    is_joined: bool = False,
    offered_anew: bytes | None = None,
) -> tuple[Call, tuple[Event, ...]]:
    """Return the call that stood in `state`, and the events to give it at once.

    Only calls whose caller has been answered can be taken up, and of those that are ending none:
    ValueError. In the greeting: it has been heard, as far as anybody knows; whom it has left in
    silence (`is_silent`) is told anew of the media (`offered_anew`: the session description that
    they know), since only their answer tells that they are there to hear the music, and did not
    hang up before it came. Ringing: our INVITE is lost, so the caller waits on, at the old place.
    Who was being asked whether they want to be called back is asked again. Joining: the relay has
    joined the two already; unless nobody knew of it (`is_joined`), then they wait on. A transfer
    under way: the target cannot be had, so the caller goes back to who passed them on; and one who
    was being brought back waits on: nobody knows what the agent's telephone knows. Who waits, and
    is joined with an agent all the same, is to hear music again: `RequeueMedia` goes before the
    events. Without media a talk was cut off, whatever its people say since; who waits may wait on.
    """
    base = Call(
        id=call,
        rules=rules,
        caller=CallerLeg.UP,
        is_acknowledged=True,
        state=state,
        hold=hold,
        has_talked=has_talked,
        asked=asked,
        transferor=passing.transferor,
        is_passed_on=passing.is_passed_on,
        is_back=passing.is_back,
        talk_held=passing.talk_held,
        hears_nothing=not has_media or offered_anew is not None,
        is_media_moving=has_media and is_joined and state not in _JOINED,
    )
    match state:
        case State.GREETING:
            if offered_anew is None:
                return base, (GreetingOver(),)
            # The relay has them: who refuses to be told hears the music all the same, and is there.
            return base, (GreetingOver(), MediaRequeued(sdp=offered_anew, is_needed=False))
        case State.QUEUED:
            return _asked(base)
        case State.RINGING:
            ringing = _with_agent(base, AgentLeg.RINGING, attempt, decision)
            status, reason = _GATE
            return ringing, (AgentRejected(attempt=attempt, status=status, reason=reason),)
        case State.JOINING:
            joining = _with_agent(base, AgentLeg.UP, attempt, decision)
            return _joining(joining, is_joined=is_joined, has_media=has_media)
        case State.CONNECTED:
            talking = _with_agent(base, AgentLeg.UP, attempt, decision)
            return talking, () if has_media else (MediaLost(),)
        case State.TRANSFERRING:
            passing_on = replace(base, attempt=attempt, decision=decision, is_agent_held=True)
            return passing_on, (TargetRefused(status=_AWAY),)
        case State.RETURNING:
            returning = _with_agent(base, AgentLeg.UP, attempt, decision)
            return returning, (AgentReinviteRefused(attempt=attempt, status=_AWAY),)
        case State.ARRIVING | State.ENDING | State.ENDED:
            raise ValueError(f"a call that is {state} cannot be taken up")


def in_order(
    first: Sequence[Event], since: Iterable[Event], transferor: Transferor | None
) -> list[Event]:
    """Return what a call is to take as it goes on: what `resumed` says, and what came `since`.

    That whoever had passed the caller on is gone comes before all: a call that went back to them
    would wait for a leg that is over.
    """
    attempt = None if transferor is None else transferor.attempt
    gone: list[Event] = []
    others: list[Event] = []
    for event in since:
        is_theirs = isinstance(event, AgentEnded) and event.attempt == attempt
        (gone if is_theirs else others).append(event)
    return [*gone, *first, *others]


def _asked(call: Call) -> tuple[Call, tuple[Event, ...]]:
    """Return a call that waits: of its caller's answer to a question nothing will be heard.

    They are asked again. Who has said yes has heard that they will be called back.
    """
    if call.asked.takes:
        return call, (NoticeOver(),)
    if not call.asked.is_under_way:
        return call, ()
    asked = replace(call.asked, step=call.asked.step - 1)
    return replace(call, asked=asked), (OfferOver(answer=Answer.WAITS),)


def _joining(call: Call, *, is_joined: bool, has_media: bool) -> tuple[Call, tuple[Event, ...]]:
    if not has_media:
        return call, (MediaLost(),)
    if not is_joined:
        return call, (AgentMediaRefused(attempt=call.attempt),)
    return replace(call, exchange=Exchange.OURS), (CallerReinvited(),)


def is_silent(state: State, heard_until_ms: int | None, now: Now) -> bool:
    """Tell whether a caller who is taken up now has heard a greeting's end, and nothing since.

    `heard_until_ms`: when that end was due, by the wall clock of this host, which the former life
    went by as well; None: it could not say. Music goes on while no edge lives.
    """
    if state is not State.GREETING or heard_until_ms is None:
        return False
    return now.wall_ms - heard_until_ms > SILENCE_S * 1000


def called_back(call: CallId, rules: Rules, decision: Decision) -> Step:
    """Return the call of a caller who has answered our own, and what to do first: ring the agent.

    The agent was reserved before the caller was dialled.
    """
    begun = Call(
        id=call,
        rules=rules,
        state=State.RINGING,
        caller=CallerLeg.UP,
        is_acknowledged=True,
        attempt=Attempt(1),
        agent_leg=AgentLeg.PREPARING,
        decision=decision,
        is_agent_held=True,
    )
    play = fx.Play(prompt=fx.Prompt.MUSIC)
    return begun, (play, fx.PrepareAgent(attempt=begun.attempt, agent=decision.winner))


def _with_agent(
    call: Call,
    leg: AgentLeg,
    attempt: Attempt,
    decision: Decision | None,
) -> Call:
    return replace(
        call,
        attempt=attempt,
        agent_leg=leg,
        decision=decision,
        is_agent_held=True,
        is_joined=leg is AgentLeg.UP,
    )
