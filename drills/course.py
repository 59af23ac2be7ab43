"""How a drill went: what was made and undone, what was noted, how it ended. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from drills.fault import Fault
from drills.guards import Verdict


class FaultError(Exception):
    """A fault cannot be made. The text names it and the way out."""


class Made(Struct, frozen=True, kw_only=True):
    """A fault that was made, and when it was undone."""

    id: int
    fault: Fault
    at_ms: int
    """When its making began: some of it may have been there from then."""
    until_ms: int
    """By its time to live."""
    done_ms: int | None = None
    """When all of it was there; None: it is just being made, or somebody stopped that."""
    healed_ms: int | None = None
    by: str = ""
    """Who undid it: `timer`, or whoever asked. Where it could not be undone, who tried it last, and
    why that went wrong."""


class End(StrEnum):
    """How a drill ended."""

    COMPLETED = "completed"
    REFUSED = "refused"
    """A guard did not let it begin, or somebody stopped it before anything was broken."""
    NOT_STEADY = "not_steady"
    """The steady state was not there to begin with."""
    ABORTED = "aborted"
    """A limit was reached, or somebody stopped it; all was rolled back."""
    NOT_BACK = "not_back"
    """The steady state did not come back in time."""
    INTERRUPTED = "interrupted"
    """It was begun, and nobody lived to tell of its end. No evidence says so: there is none."""


NOT_BEGUN: Final = frozenset({End.REFUSED, End.NOT_STEADY})
"""Of a drill that ended so nothing was done, and nothing of what it expects was tested."""


PULLED: Final = "the safety lever was pulled"
ASKED: Final = "an operator aborted it"


class Note(Struct, frozen=True, kw_only=True):
    """One line of the journal."""

    at_ms: int
    who: str
    what: str


class Look(Struct, frozen=True, kw_only=True):
    """What was measured in one second."""

    at_ms: int
    values: Mapping[str, float]


class Course(Struct, frozen=True, kw_only=True):
    """How it went."""

    end: End
    why: str
    method: tuple[Fault, ...]
    """As it was aimed."""
    verdicts: tuple[Verdict, ...]
    notes: tuple[Note, ...]
    looks: tuple[Look, ...]
    made: tuple[Made, ...]
    began_ms: int | None
    """When the first fault was made."""
    healed_ms: int | None
    """When the last was undone."""
    back_s: float | None
    """From then, until the steady state was back; None: never."""
