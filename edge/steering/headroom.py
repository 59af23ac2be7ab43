"""How many calls that it has not answered yet an edge lets its Kamailio give it. PURE.

Owns the rule; measuring and telling are the shell's (`edge.duties.headroom`), counting is
Kamailio's.

A window of calls, as TCP has one of bytes: a further call comes when one before it has got its
answer. So an edge that can do less, for whatever cause, is given less at once, without anybody
having to find out how much that is; and one that is given too much has never more before it than
the window. What Kamailio refuses beyond that it refuses at once: 503 with Retry-After, on which
carriers try the next site.

The laws:

- In peace the window is far above what is under way at a time, and nobody is refused.
- Datagrams that wait long in the socket in two looks one after the other, or calls that take long
  to be answered: the window is too large, and shrinks. It grows again as soon as they do not.
- A window that is used up while nothing waits is too small: the store is far. It grows as long as
  a call is answered soon, and falls back when it has not been needed for a while.
- Never under `LEAST`: an edge that is kept waiting with so few is kept from working by others, and
  refusing calls would not help it.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

WINDOW_S: Final = 0.25
"""Between two looks."""
LONG_S: Final = 0.12
"""Datagrams that wait longer than this, on average, are too many; SIP's first retransmission
from Kamailio is at 0.2 s."""
SOON_S: Final = 1.0
"""A call that is answered in so long is no sign of too many: the store is far, or everybody who has
a part in a call is a little late. More at once are then more a second, as others go together."""
LATE_S: Final = 2.0
LEAST: Final = 32.0
PEACE: Final = 128.0
"""What an edge that does 300 a second works off before Kamailio takes it for dead (0.5 s)."""
MOST: Final = 1024.0
_USED: Final = 0.5
"""A window is used up when at least this share of it is seen under way: some more are in the
socket."""
_MORE, _BACK = 1.25, 1.1
_AT_ONCE: Final = 0.7
"""The window never shrinks below this share in one look."""
_UNNEEDED: Final = 40
"""Looks without need of a large window, after which it is given up."""


class Window(Struct, frozen=True, kw_only=True):
    """What the edge has met since the last look."""

    seconds: float
    calls: int
    """New ones that it took."""
    wait_s: float
    """How long datagrams had waited for it, on average."""
    unanswered: int = 0
    """Calls that it has and has not answered yet."""

    @property
    def answer_s(self) -> float:
        """How long a call takes to be answered: what is there, by how many come (Little's law)."""
        return self.unanswered * self.seconds / self.calls if self.calls else 0.0


class Headroom(Struct, frozen=True, kw_only=True):
    """How many calls may be unanswered at once, and what that rests on."""

    at_once: float = PEACE
    bad: int = 0
    """Looks in a row in which too many waited."""
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
        if seen.wait_s > LONG_S or seen.answer_s > LATE_S:
            share = max(_AT_ONCE, min(LONG_S / (seen.wait_s or LONG_S), 0.9))
            at_once = max(LEAST, share * self.at_once) if self.bad else self.at_once
            return Headroom(at_once=at_once, bad=self.bad + 1)
        if self.is_limiting:
            return Headroom(at_once=min(PEACE, _BACK * self.at_once))
        if seen.unanswered >= _USED * self.at_once and seen.answer_s <= SOON_S:
            return Headroom(at_once=min(MOST, _MORE * self.at_once))
        if seen.unanswered >= _USED * PEACE or self.at_once == PEACE:
            return Headroom(at_once=self.at_once)
        unneeded = self.unneeded + 1
        at_once = PEACE if unneeded >= _UNNEEDED else self.at_once
        return Headroom(at_once=at_once, unneeded=unneeded)
