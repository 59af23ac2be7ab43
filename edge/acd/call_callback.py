"""The moves by which a caller who has waited long is offered to be called back. PURE.

The caller hears a question, and takes the offer by a key; who does not waits on, at their place,
until the next step that sends callers away. Who takes it hears that they will be called back, and
then the call ends: their place is kept as for everybody who is sent away (`edge.acd.ending`).

The laws:

- The question takes nobody's turn: the caller stays in the line while they hear it, and an agent
  who becomes free meanwhile is theirs, whatever they press.
- From the key on they are in no line, so that nobody is rung for one who has been told goodbye. An
  agent who was on the way by then is given back.
- Whoever took the offer is to be called back, also if they hang up, or a fault ends the call,
  before they have heard it out: that stands in the ticket.
- Who cannot be asked, since nothing can be played or nobody listens for keys, is sent away to be
  called back without being asked.
"""

from __future__ import annotations

from msgspec.structs import replace

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_parts as parts
from edge.acd import call_writes as wr
from edge.acd.call import Asked, Call
from edge.acd.call_endings import end
from edge.acd.call_events import Answer
from edge.acd.call_parts import Step
from edge.acd.ending import CALLBACK_TAKEN
from state.model import Now, Outcome


def turned_away(call: Call, event: ev.TurnedAway, now: Now) -> Step:
    """End a call whose caller has waited for too long, or ask whether they want to be called back.

    Once at each step; who has taken the offer is as good as gone.
    """
    asked = call.asked
    if asked.takes:
        return call, ()
    if not event.is_asked:
        return end(call, event.outcome, event.cause, now)
    if asked.is_under_way or event.step <= asked.step:
        return call, ()
    asked = Asked(step=event.step, cause=event.cause, is_under_way=True)
    return replace(call, asked=asked), (ef.Play(prompt=ef.Prompt.OFFER),)


def answered(call: Call, event: ev.OfferOver, now: Now) -> Step:
    """Take the answer of a caller who waits."""
    asked = call.asked
    if not asked.is_under_way:
        return call, ()
    match event.answer:
        case Answer.WAITS:
            return _over(call), (ef.Play(prompt=ef.Prompt.MUSIC),)
        case Answer.NOT_ASKED:
            return end(_over(call), Outcome.CALLBACK, asked.cause, now)
        case Answer.TAKES:
            call = replace(call, asked=replace(asked, is_under_way=False, takes=True))
            call, taken = parts.write(call, wr.TakeCallback(at=now))
            return call, (taken, ef.Play(prompt=ef.Prompt.NOTICE))


def answered_while_rung(call: Call, _event: ev.OfferOver, _now: Now) -> Step:
    """Play music again: an agent is on the way. Who is not answered by them may be asked again."""
    if not call.asked.is_under_way:
        return call, ()
    return not_answered(call, _event, _now)[0], (ef.Play(prompt=ef.Prompt.MUSIC),)


def not_answered(call: Call, event: ev.OfferOver, _now: Now) -> Step:
    """Forget the question: an agent has answered, or is about to."""
    call = _over(call)
    if event.answer is Answer.WAITS:
        return call, ()
    return replace(call, asked=replace(call.asked, step=call.asked.step - 1)), ()


def notice_over(call: Call, _event: ev.NoticeOver, now: Now) -> Step:
    """End the call of a caller who has been told that they will be called back."""
    if not call.asked.takes:
        return call, ()
    return end(call, Outcome.CALLBACK, CALLBACK_TAKEN, now)


def _over(call: Call) -> Call:
    return replace(call, asked=replace(call.asked, is_under_way=False))
