"""PURE. The states of a case, and the steps between them: one table, and nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

HOUR_MS: Final = 3_600_000


class Kind(StrEnum):
    """What a case is about."""

    COMPLAINT = "complaint"
    REQUEST = "request"
    INCIDENT = "incident"
    PRIVACY = "privacy"


class State(StrEnum):
    """How far a case is."""

    OPEN = "open"
    IN_WORK = "in_work"
    WAITING = "waiting"
    RESOLVED = "resolved"
    CLOSED = "closed"


class Step(StrEnum):
    """What moves a case."""

    START = "start"
    WAIT = "wait"
    RESUME = "resume"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    CLOSE = "close"


STEPS: Final[Mapping[tuple[State, Step], State]] = MappingProxyType(
    {
        (State.OPEN, Step.START): State.IN_WORK,
        (State.OPEN, Step.CLOSE): State.CLOSED,
        (State.IN_WORK, Step.WAIT): State.WAITING,
        (State.IN_WORK, Step.RESOLVE): State.RESOLVED,
        (State.WAITING, Step.RESUME): State.IN_WORK,
        (State.WAITING, Step.RESOLVE): State.RESOLVED,
        (State.RESOLVED, Step.REOPEN): State.IN_WORK,
        (State.RESOLVED, Step.CLOSE): State.CLOSED,
    }
)
ENDED: Final = frozenset({State.RESOLVED, State.CLOSED})
DUE_MS: Final[Mapping[Kind, int]] = MappingProxyType(
    {
        Kind.COMPLAINT: 72 * HOUR_MS,
        Kind.REQUEST: 120 * HOUR_MS,
        Kind.INCIDENT: 8 * HOUR_MS,
        Kind.PRIVACY: 30 * 24 * HOUR_MS,  # GDPR article 12(3): a month
    }
)


def step(state: State, taken: Step) -> State | None:
    """Return the state that follows, or None where the step does not exist."""
    return STEPS.get((state, taken))


def steps_from(state: State) -> tuple[Step, ...]:
    """Return the steps that exist in `state`."""
    return tuple(taken for (before, taken) in STEPS if before is state)


def is_overdue(state: State, due_ms: int, now_ms: int) -> bool:
    """Return whether it should have been ended by now."""
    return state not in ENDED and now_ms >= due_ms
