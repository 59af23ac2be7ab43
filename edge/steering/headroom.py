"""How many calls that it has not answered yet an edge lets its Kamailio give it. PURE.

Owns the rule; measuring and telling are the shell's (`edge.duties.headroom`), counting is
Kamailio's.

A window of calls, as TCP has one of bytes: a further call comes when one before it has got its
answer. So an edge that can do less, for whatever cause, is given less at once, without anybody
having to find out how much that is; and one that is given too much has never more before it than
the window. What Kamailio refuses beyond that it refuses at once: 503 with Retry-After, on which
carriers try the next site.

How wide it should be is told by how long an answer takes, as TCP Vegas and LEDBAT tell it by the
round trip. What an answer takes at least, because store and relay are that far, is no sign of too
many; what it takes beyond that it has waited for other calls, and a window that is wider makes them
wait longer and serves no more.

The laws:

- In peace the window is far above what is under way at a time, and nobody is refused.
- Calls that wait for others longer than `QUEUED_S` in two looks one after the other: the window is
  too wide, and shrinks by a share of itself. It never does for one look.
- A window that is used up while calls wait for others no longer than that may be too narrow: it
  grows by `STEP` in each look. One that is wider than in peace falls back when it has not been
  needed for a while.
- Never under `LEAST`: an edge that is kept waiting with so few is kept from working by others, and
  refusing calls would not help it.
- What an answer takes at least is learnt where no call of ours is in the way: while the window is
  not used up, and at `LEAST`. So it follows a store that moves away under load, and never what the
  window itself has made calls wait, which would widen it for ever. Nor what neighbours make them
  wait who keep the edge from working: then datagrams wait in the socket, as for no store.
- Where it is long and calls still wait for others, the window is halved every half minute: answers
  come sooner then if the store is near again.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

WINDOW_S: Final = 0.25
"""Between two looks."""
NEAR_S: Final = 0.02
"""What an answer takes at least, as long as nothing is known."""
QUEUED_S: Final = 0.1
"""So long a call may wait for others. An edge says 100 after 0.15 s, and Kamailio repeats an INVITE
after 0.2 s: both is more work for the same call."""
LEAST: Final = 48.0
PEACE: Final = 128.0
"""What an edge that does 300 a second works off before Kamailio takes it for dead (0.5 s)."""
MOST: Final = 1024.0
STEP: Final = 8.0
_USED: Final = 0.5
"""A window is used up when at least this share of it is seen under way: some more are in the
socket."""
_BACK: Final = 1.1
_MUCH: Final = 0.7
_LITTLE: Final = 0.95
"""The window shrinks to no less than the one share of itself in a look, and no more than the other.
"""
_AWAKE_S: Final = 0.05
"""Datagrams that wait no longer than this in the socket are read by an edge that can work."""
_LEARNS: Final = 0.25
"""What an answer takes at least goes up by this share of the difference in a look."""
_SURELY: Final = 12
"""So many late looks before the one at `LEAST` whose answers tell what one takes at least: a
neighbour is not late for three seconds in every look, a far store is."""
_DOUBTED: Final = 120
"""Looks in which the window was used up, after which a least time that is long is doubted."""
_UNNEEDED: Final = 40
"""Looks without need of a large window, after which it is given up."""


class Window(Struct, frozen=True, kw_only=True):
    """What the edge has met since the last look."""

    seconds: float
    answered: int
    answer_s: float
    """How long those took, from when their INVITE came to the socket; if none was answered, how
    long the oldest has been waiting; 0: there is none."""
    unanswered: int
    """Calls that it has and has not answered yet."""
    wait_s: float
    """How long datagrams had waited in the socket, on average."""

    @property
    def under_way(self) -> float:
        """How many calls were on their way to an answer: as seen now, or on average (Little)."""
        return max(self.unanswered, self.answered * self.answer_s / self.seconds)


class Headroom(Struct, frozen=True, kw_only=True):
    """How many calls may be unanswered at once, and what that rests on."""

    at_once: float = PEACE
    least_s: float = NEAR_S
    """What an answer takes at least."""
    late: int = 0
    """Looks in a row in which calls waited too long for others."""
    used: int = 0
    """Looks in a row in which the window was used up, since the last doubt."""
    unneeded: int = 0

    @property
    def is_limiting(self) -> bool:
        """Whether fewer are let in than in peace."""
        return self.at_once < PEACE

    @property
    def calls(self) -> int:
        """How many may be unanswered at once."""
        return round(self.at_once)

    def after(self, seen: Window) -> Headroom:
        """Return what holds after one more look."""
        is_used = seen.under_way >= _USED * self.at_once
        learnt = replace(self, least_s=_learnt(self, seen, is_used=is_used))
        if seen.answer_s - learnt.least_s > QUEUED_S:
            return _late(learnt, seen.answer_s)
        if not is_used:
            return _rested(learnt)
        at_once = min(MOST, learnt.at_once + STEP)
        return replace(learnt, at_once=at_once, late=0, used=learnt.used + 1, unneeded=0)


def _learnt(before: Headroom, seen: Window, *, is_used: bool) -> float:
    """Return what an answer takes at least, learnt where other calls are not in the way."""
    least_s, is_longer = before.least_s, seen.answer_s > before.least_s
    if not seen.answered or (is_longer and seen.wait_s > _AWAKE_S):
        return least_s
    if not is_longer or (before.at_once == LEAST and before.late >= _SURELY):
        return seen.answer_s
    return least_s if is_used else least_s + _LEARNS * (seen.answer_s - least_s)


def _late(before: Headroom, answer_s: float) -> Headroom:
    """Shrink, from the second look on, and no more often than shrinking can have shown."""
    late = replace(before, late=before.late + 1, used=before.used + 1, unneeded=0)
    if not before.late or before.late % (1 + int(before.least_s / WINDOW_S)):
        return late
    if before.least_s > QUEUED_S and before.used >= _DOUBTED:
        return replace(late, at_once=max(LEAST, before.at_once / 2), used=0)
    share = max(_MUCH, min((before.least_s + QUEUED_S) / answer_s, _LITTLE))
    return replace(late, at_once=max(LEAST, share * before.at_once))


def _rested(before: Headroom) -> Headroom:
    """Go back to what holds in peace: soon from below, after a while from above."""
    rested = replace(before, late=0, used=0, unneeded=before.unneeded + 1)
    if before.at_once <= PEACE:
        return replace(rested, at_once=min(PEACE, _BACK * before.at_once), unneeded=0)
    return rested if rested.unneeded < _UNNEEDED else replace(rested, at_once=PEACE, unneeded=0)
