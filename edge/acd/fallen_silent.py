"""Whether somebody in a talk who has fallen silent is still there. PURE.

A line may die while every site lives: a telephone's battery, somebody's access to the Internet, a
carrier's gateway. No goodbye comes then, and the other one is left in silence. Silence alone proves
nothing, since telephones may send nothing while nobody speaks or while they are muted, and who does
not answer may be on a way that is broken elsewhere. So two things are asked of a line before it
counts as dead:

- The relay has had nothing of it since the last look, `LOOK_S` ago, and had something before.
- Then the telephone is asked within its dialog, and nothing but silence answers. Whoever answers,
  whatever it may be, is there, and is not asked again for `AGAIN_S`.

And nothing may have been heard of it by the look after that answer is known to be missing.

A goodbye of somebody who is *missing*, as they are silent and have not answered for `MISSING_S`,
ends no talk: they heard nobody, hung up, and their line is back. It is as if it were given up then.

Who holds, or is muted by their own word, is *silent by right*: nothing could be heard of them. They
are asked as seldom as who has answered, and have to fail to answer twice: who holds may be changing
networks, and nothing but an answer would tell. Who changes their word has said something.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

LOOK_S: Final = 3.0
"""From one look at a talk to the next: of what relaying costs meanwhile a twentieth."""
AGAIN_S: Final = 30.0
"""After a silent telephone has answered: until it is asked again."""
PATIENCE_S: Final = 4.0
"""Since a telephone was asked until it is given up. A proxy waits 5 s for its answer; of one whose
connection is closed it says so at once, and who changes networks may be heard again."""
PATIENCE_BY_RIGHT_S: Final = 12.0
"""Of one who is silent by right: by then they have been asked once more (`edge.sip.asking`)."""
MISSING_S: Final = 2.0
"""By then a question has been sent three times (timer E of RFC 3261: after 0.5 s and 1 s more)."""
LOST_S: Final = 40.0
"""A question of which nothing has come for so long is lost: any request is over by then (timer F of
RFC 3261), and the proxy that should have told how it went was away."""


class Asked(Enum):
    """Whether a silent telephone has been asked if it is there."""

    NOT = auto()
    UNDER_WAY = auto()
    THERE = auto()
    """It has answered."""
    UNANSWERED = auto()


class Line(Struct, frozen=True, kw_only=True):
    """What is known of one side of a talk: times are monotonic, in seconds."""

    packets: int
    """How many the relay has had of it."""
    since_s: float
    """When they were first so many, or they said last whether they speak."""
    is_by_right: bool = False
    """Whether they may be silent, by their own word."""
    asked: Asked = Asked.NOT
    asked_s: float = 0.0
    tried: str = ""
    """The host at which it has been asked to see if those there answer (`answering_hosts`)."""


class Next(Enum):
    """What to do about a line."""

    NOTHING = auto()
    ASK = auto()
    TRY = auto()
    """Ask it to see if those at its host answer at all: whatever it does says nothing of it."""
    GIVE_UP = auto()
    """It is dead."""


def looked(before: Line | None, packets: int, now_s: float, *, is_by_right: bool = False) -> Line:
    """Return a line after a look that has found so many packets of it.

    `is_by_right`: its owner may be silent.
    """
    if before is None:
        return Line(packets=packets, since_s=now_s, is_by_right=is_by_right)
    if before.packets == packets and before.is_by_right is is_by_right:
        return before
    return Line(packets=packets, since_s=now_s, is_by_right=is_by_right, tried=before.tried)


def asked(line: Line, now_s: float) -> Line:
    """Return a line whose telephone is being asked."""
    return replace(line, asked=Asked.UNDER_WAY, asked_s=now_s)


def tried(line: Line, host: str) -> Line:
    """Return a line whose telephone is being asked to see if those at its host answer."""
    return replace(line, tried=host)


def answered(line: Line, *, is_there: bool) -> Line:
    """Return a line whose telephone has answered, or has not; unless nobody has asked.

    Who answers late is there as well, whatever a proxy has said of them before.
    """
    if is_there and line.asked is not Asked.NOT:
        return replace(line, asked=Asked.THERE)
    if line.asked is not Asked.UNDER_WAY:
        return line
    return replace(line, asked=Asked.UNANSWERED)


def due(line: Line, now_s: float) -> Next:
    """Return what to do about a line, right after a look at it."""
    if line.asked is Asked.UNANSWERED:
        patience_s = PATIENCE_BY_RIGHT_S if line.is_by_right else PATIENCE_S
        return Next.NOTHING if now_s - line.asked_s < patience_s else Next.GIVE_UP
    silent_s = AGAIN_S if line.is_by_right else LOOK_S
    if not line.packets or now_s - line.since_s < silent_s:
        return Next.NOTHING
    again_s = _AGAIN_S.get(line.asked)
    if again_s is not None and now_s - line.asked_s < again_s:
        return Next.NOTHING
    return Next.ASK


def is_missing(line: Line, now_s: float) -> bool:
    """Tell whether somebody is silent who should be heard, and has not answered for a while."""
    is_open = line.asked in {Asked.UNDER_WAY, Asked.UNANSWERED}
    return is_open and not line.is_by_right and now_s - line.asked_s >= MISSING_S


_AGAIN_S: Final = {Asked.THERE: AGAIN_S, Asked.UNDER_WAY: LOST_S}
