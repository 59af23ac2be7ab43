"""A call machine in a state of one's choice, and what came of an event."""

from __future__ import annotations

from edge.acd import call_effects as ef
from edge.acd.call import State
from edge.acd.call_events import Attempt
from tests.acd.stage import Stage

FIRST, SECOND = Attempt(1), Attempt(2)
WAITING = [State.GREETING, State.QUEUED, State.RINGING, State.JOINING]
ANSWERED_STATES = [*WAITING, State.CONNECTED]


def at(state: State, *, greeting: bool = True) -> Stage:
    return Stage(greeting=greeting).bring_to(state)


def kinds(effects: tuple[ef.Effect, ...]) -> list[type]:
    return [type(effect) for effect in effects]
