"""How a call ends whose two people have been joined, while the caller's re-INVITE is not through.

Audio passes from the moment in which the relay has joined them: the re-INVITE moves it nowhere. Its
answer comes within a few milliseconds, or never: the caller has come by way of a proxy that is gone
by now. The two may talk for minutes then, and hang up. Who has been joined for `TALK_AFTER_S` has
therefore talked, whatever became of the re-INVITE, and whatever ends it: also when it runs out, or
this edge lets go. Not so where the relay had forgotten the caller: then the re-INVITE does move the
audio, and is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edge.acd import call_endings as endings
from edge.acd import call_events as ev
from edge.acd import call_farewell as farewell
from edge.acd import call_parts as parts
from edge.acd import call_transfer as transfer
from edge.acd.call import Call, State
from edge.acd.call_parts import Step
from state.model import Now

TALK_AFTER_S: Final = 0.5
"""T1 of RFC 3261: by then an answer is overdue. An agent who hangs up sooner has not answered."""


def caller_left(call: Call, event: ev.CallerEnded, now: Now) -> Step:
    """End a call whose caller hangs up."""
    if not _talks(call, now):
        return endings.caller_left(call, event, now)
    call, connected = _connected(call, now)
    call, ended = endings.caller_done(call, event, now)
    return call, (*connected, *ended)


def agent_left(call: Call, event: ev.AgentEnded, now: Now) -> Step:
    """End it when the agent hangs up, or put back the caller of one who is lost."""
    if not (parts.is_present(call, event.attempt) and _talks(call, now)):
        return transfer.left_while_served(call, event, now)
    joined_at = call.joined_at
    call, connected = _connected(call, now)
    call, ended = endings.agent_done(call, event, now)
    return farewell.to_one_joined(call, joined_at), (*connected, *ended)


def cut(move: Callable[..., Step]) -> Callable[..., Step]:
    """Return a move that may end the call as one by which a talk is cut off, if there was one."""

    def moved(call: Call, event: ev.Event, now: Now) -> Step:
        after, effects = move(call, event, now)
        if after.state is not State.ENDING or not _talks(call, now):
            return after, effects
        call, connected = _connected(call, now)
        after, effects = move(call, event, now)
        return after, (*connected, *effects)

    return moved


def _talks(call: Call, now: Now) -> bool:
    if call.joined_at is None or call.hears_nothing:
        return False
    return now.mono_s - call.joined_at.mono_s >= TALK_AFTER_S


def _connected(call: Call, now: Now) -> Step:
    return parts.connected(call, call.joined_at or now, now)
