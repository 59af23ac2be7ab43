"""When an edge tells other sites that it has too much to do. PURE.

Owns how soon that is said and taken back. How many calls an edge may have at once, and whether that
is fewer than in peace, is `edge.steering.headroom`'s; what other sites do about it is the table's.

Its own Kamailio hears four times a second how much room there is. Other sites hear this alone, so
that the rows of all of them do not change, and the shared state is not written, with every breath.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

CROWDED_S: Final = 2.0
"""So long an edge lets in fewer calls than in peace until it says so: a pause of the host is no
load."""
AT_EASE_S: Final = 30.0
"""So long it does not, until it takes that back: what was kept away from it comes back at once."""


class Crowding(Struct, frozen=True, kw_only=True):
    """What is said, and since when the contrary has been so."""

    is_crowded: bool = False
    contrary_s: float | None = None
    """`Now.mono_s`; None: what is said is so."""

    def after(self, now_s: float, *, is_limiting: bool) -> Crowding:
        """Return what holds after one more look, at `now_s`."""
        if is_limiting == self.is_crowded:
            return Crowding(is_crowded=self.is_crowded)
        since_s = now_s if self.contrary_s is None else self.contrary_s
        if now_s - since_s >= (AT_EASE_S if self.is_crowded else CROWDED_S):
            return Crowding(is_crowded=is_limiting)
        return Crowding(is_crowded=self.is_crowded, contrary_s=since_s)
