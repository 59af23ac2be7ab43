"""How many more calls a second an edge lets its Kamailio send it. PURE.

Owns the rule; measuring and telling are the shell's (`edge.duties.headroom`).

The sign of overload is that datagrams wait in the edge's socket: below what the edge can do they
wait a millisecond or two, above it longer and longer, whatever the cause. Calls that come in then
wait for all that stand before them, Kamailio sends its INVITEs again, and soon the edge is busy
with calls that nobody wants any more. So the edge says early how many it takes, and Kamailio
refuses the rest at once: 503 with Retry-After, on which carriers try the next site.

The laws:

- In peace there is a limit, too, far above what comes: a crowd that is let in for half a second
  before anybody looks takes the edge seconds to work off. It grows by a quarter in each window in
  which it is used and nothing waits.
- Datagrams that wait in two windows one after the other: what is taken while others wait is what
  the edge can do; of that it lets in less the longer they wait, so that what waits is worked off
  within a second or two. From then on the limit grows by little and little only.
- What it can do is learnt anew only while the wait grows. A wait that stays, or shrinks, is what is
  being worked off, or neighbours on the same cores: what is taken then is what was let in, and says
  nothing of what could be.
- What was learnt so is forgotten when the limit has not been needed for a while.
- Never under `LEAST_PER_S`: an edge that cannot take so few is kept from working by others, and
  refusing calls would not help it.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

WINDOW_S: Final = 0.25
LONG_S: Final = 0.05
"""Datagrams that wait longer than this, on average, have come too many; SIP's first retransmission
from Kamailio is at 0.2 s."""
LEAST_PER_S: Final = 60.0
PEACE_PER_S: Final = 200.0
"""About half of what one edge takes on a core of its own."""
_WORKED_OFF_S: Final = 1.0
_LITTLE, _MUCH = 1.02, 1.25
_NEWS: Final = 0.4
"""How much a window counts in what the edge can do, against all before it."""
_UNNEEDED: Final = 40
"""Windows without need of the limit, after which what was learnt is forgotten."""
_USED: Final = 0.8
"""A limit is needed while at least this share of it comes."""


class Window(Struct, frozen=True, kw_only=True):
    """What the edge has met in a short while."""

    seconds: float
    calls: int
    """New ones that it took."""
    wait_s: float
    """How long datagrams had waited for it, on average."""


class Headroom(Struct, frozen=True, kw_only=True):
    """How many calls a second may come, and what that rests on."""

    per_s: float = PEACE_PER_S
    able_per_s: float | None = None
    """How many the edge can take, as it has shown when more came; None: it has not lately."""
    wait_s: float = 0.0
    """In the last window."""
    bad: int = 0
    """Windows in a row in which datagrams waited."""
    unneeded: int = 0

    @property
    def is_limiting(self) -> bool:
        """Whether more has come lately than the edge can take."""
        return self.able_per_s is not None

    @property
    def calls(self) -> int:
        """How many may come in the next window."""
        return max(1, round(self.per_s * WINDOW_S))

    def after(self, seen: Window) -> Headroom:
        """Return what holds after one more window."""
        if seen.wait_s > LONG_S:
            return self._after_waiting(seen)
        is_needed = seen.calls / seen.seconds >= _USED * self.per_s
        unneeded = 0 if is_needed else self.unneeded + 1
        if unneeded >= _UNNEEDED:
            return Headroom()
        able_per_s = per_s = self.per_s if self.able_per_s is None else self.able_per_s
        if is_needed:
            per_s = able_per_s = per_s * (_LITTLE if self.is_limiting else _MUCH)
        return Headroom(
            per_s=per_s, able_per_s=able_per_s if self.is_limiting else None, unneeded=unneeded
        )

    def _after_waiting(self, seen: Window) -> Headroom:
        if self.bad == 0 and not self.is_limiting:
            return replace(self, bad=1, unneeded=0, wait_s=seen.wait_s)
        able_per_s = max(LEAST_PER_S, self._able_after(seen))
        share = max(0.0, 1.0 - seen.wait_s / _WORKED_OFF_S)
        per_s = max(LEAST_PER_S, share * able_per_s)
        return Headroom(per_s=per_s, able_per_s=able_per_s, wait_s=seen.wait_s, bad=self.bad + 1)

    def _able_after(self, seen: Window) -> float:
        taken_per_s = seen.calls / seen.seconds
        if self.able_per_s is None:
            return taken_per_s
        if seen.wait_s <= self.wait_s:
            return self.able_per_s
        return (1 - _NEWS) * self.able_per_s + _NEWS * taken_per_s
