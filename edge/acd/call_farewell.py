"""Whether a goodbye ended a talk, or a line that was dead before it. PURE.

Whoever hears nothing more hangs up, and by that goodbye alone nobody can tell it from any other.
Three things together tell that it ended nothing, since the talk had been cut off:

- One side of a talk has said goodbye, and nobody was on hold.
- The other has not answered ours, as a proxy says that would have passed theirs on: it could not
  reach their telephone, or that knew of no such call. Of somebody whose proxy is silent too nobody
  knows whether they have said goodbye before: so if their site is out of reach, or was until
  lately, whatever a proxy on this side of the cut says.
- They had been unheard for `UNHEARD_MS` by then, as the relay knows, had been heard before, and
  were to be heard by their own last word.

Silence alone may be a telephone that sends nothing; a goodbye that nobody answers may be a line
that died after it. The laws:

- The relay keeps the talk until the other has answered our goodbye, which takes milliseconds. It is
  asked only about one who has not by the time the agent is let go, or who was gone before.
- The record waits for that, and, if the other was unheard, until their leg is over. The agent never
  does.
- Who was heard, and of whom nothing is known, has been told goodbye: the end stands.
- A caller who has neither answered that they are joined nor been heard since has met nobody, also
  if their telephone answers our goodbye: it may have hung up before, as they waited. Of these the
  relay is asked always.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd.call import Call, CallerLeg, Farewell
from edge.acd.call_events import By, Side
from edge.acd.call_parts import Step
from state.model import Now, Outcome

CALLER_HUNG_UP = "caller_hung_up"
AGENT_HUNG_UP = "agent_hung_up"
CALLER_UNREACHABLE = "caller_unreachable"
"""The agent's goodbye did not reach them."""
CALLER_UNHEARD = "caller_unheard"
"""Nor had they been heard for a while when the agent said it: their line was dead."""
AGENT_UNHEARD = "agent_unheard"
"""The caller hung up on an agent whose line was dead."""

UNHEARD_MS: Final = 3000
"""For so long at least. The relay tells whole seconds, which are taken for as late as they may
mean, so a silence of 4 s is always one; after so much whoever hears nobody hangs up. Who speaks is
heard 50 times a second."""

RELAY_TELLS_MS: Final = 1000
"""In steps of so much, each taken for its end."""
UNMET_MS: Final = UNHEARD_MS - RELAY_TELLS_MS
"""By then an agent who hears nobody from the beginning has hung up, by what the relay tells."""

_OTHER = {CALLER_HUNG_UP: Side.AGENT, AGENT_HUNG_UP: Side.CALLER}
_UNHEARD = {Side.AGENT: AGENT_UNHEARD, Side.CALLER: CALLER_UNHEARD}
_GOODBYES = frozenset({*_OTHER, CALLER_UNREACHABLE})
"""What may prove to have ended nothing; who has the caller's ACK may have said otherwise since."""


def said(outcome: Outcome, cause: str, *, talks: bool) -> Farewell | None:
    """Return what is to be found out of a call that ends so; None: nothing. `talks`: not held."""
    if not talks or outcome is not Outcome.ANSWERED or cause not in _OTHER:
        return None
    return Farewell(to=_OTHER[cause])


def to_one_joined(call: Call, at: Now | None) -> Call:
    """Return a call whose caller has been joined since then, and has never answered to that."""
    told = call.farewell
    return call if told is None else replace(call, farewell=replace(told, joined_at=at))


def leg_over(call: Call, event: ev.CallerEnded | ev.AgentEnded) -> Call:
    """Return the call after the end of the leg of one of the two."""
    told = call.farewell
    side = Side.CALLER if isinstance(event, ev.CallerEnded) else Side.AGENT
    if told is None or told.to is not side:
        return call
    if event.by is not By.UNHEARD or event.is_out_of_reach:
        return call
    return replace(call, farewell=replace(told, is_unanswered=True))


def last_heard(call: Call, event: ev.LastHeard, _now: Now) -> Step:
    """Take in until when the relay has heard the two."""
    told, verdict = call.farewell, call.verdict
    if told is None or verdict is None:
        return call, ()
    until_ms = event.until_ms.get(told.to)
    if until_ms is None:
        return replace(call, farewell=None), ()
    is_unmet = _never_met(told, until_ms, verdict.at)
    if not is_unmet and verdict.at.wall_ms - until_ms < UNHEARD_MS:
        return replace(call, farewell=None), ()
    return replace(call, farewell=replace(told, was_unheard=True, is_unmet=is_unmet)), ()


def _never_met(told: Farewell, until_ms: int, at: Now) -> bool:
    """Tell whether the caller has not been heard since the relay has joined the two."""
    if told.to is not Side.CALLER or told.joined_at is None:
        return False
    is_before = until_ms <= told.joined_at.wall_ms + RELAY_TELLS_MS
    return is_before and at.wall_ms - until_ms >= UNMET_MS


def settled(call: Call) -> Step:
    """Ask the relay if need be, let it go, and decide, as far as can be by now."""
    told = call.farewell
    if told is None:
        return call, ()
    is_over = _is_over(call, told.to)
    if not told.is_asked:
        is_late = call.is_released and not is_over
        if told.is_unanswered or told.joined_at is not None or is_late:
            asked = replace(call, farewell=replace(told, is_asked=True))
            return asked, (ef.AskLastHeard(), ef.CloseMedia())
        return (replace(call, farewell=None), (ef.CloseMedia(),)) if is_over else (call, ())
    if not told.was_unheard or not is_over:
        return call, ()
    verdict = call.verdict
    if (told.is_unanswered or told.is_unmet) and verdict is not None and verdict.cause in _GOODBYES:
        verdict = replace(verdict, outcome=Outcome.LOST, cause=_UNHEARD[told.to])
    return replace(call, farewell=None, verdict=verdict), ()


def _is_over(call: Call, side: Side) -> bool:
    if side is Side.CALLER:
        return call.caller is CallerLeg.OVER
    return call.attempt not in call.closing
