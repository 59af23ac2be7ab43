"""BYEs that come before what their sender has said before them.

Over UDP, and through a proxy of several processes, two requests that are sent in one breath may
change places; CSeq tells that one is missing. A telephone that says REFER and hangs up with it has
passed somebody on, and has not hung up on them: so its BYE waits a moment for what is missing. It
has not been taken until then, so that the other is not out of order (RFC 3261 §12.2.2).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from msgspec.structs import replace

from edge.sip.leg import Leg, LegState, Peer

if TYPE_CHECKING:
    from edge.sip.core import Core
    from edge.sip.transaction import ServerTransaction

WAIT_S = 0.4
"""How long a BYE waits: not so long that it would be sent again (T1)."""
FEW = 3
"""How many requests may be missing. A larger gap is none: whoever has said nothing yet may begin
with any number (§8.1.1.5), and whoever goes on with another's dialog leaps."""

Ended = Callable[[Leg, Peer, "ServerTransaction"], None]


class Early:
    """A BYE that waits."""

    __slots__ = ("due", "leg", "number", "peer", "queued", "transaction")

    def __init__(self, leg: Leg, peer: Peer, transaction: ServerTransaction, due: float) -> None:
        self.leg = leg
        self.peer = peer
        self.transaction = transaction
        self.number = transaction.request.cseq[0]
        self.due = due
        self.queued = inf


class Overtaking:
    """One stack's. `ended` takes a BYE whose time has come."""

    def __init__(self, core: Core, ended: Ended) -> None:
        self._core = core
        self._ended = ended
        self._early: dict[str, Early] = {}
        """By leg."""

    def keeps(self, leg: Leg, peer: Peer, transaction: ServerTransaction) -> bool:
        """Keep a BYE before which something is missing; tell whether it is kept."""
        missing = transaction.request.cseq[0] - max(peer.dialog.remote_seq, 0) - 1
        is_up = leg.state is LegState.CONFIRMED and peer is leg.peer
        if not is_up or not 0 < missing <= FEW:
            return False
        early = Early(leg, peer, transaction, self._core.now + WAIT_S)
        self._early[leg.id] = early
        self._core.timers.schedule(early)
        return True

    def settle(self, leg: Leg, number: int) -> None:
        """Take the BYE that waits, if there is one and this later request shows that it is due."""
        early = self._early.get(leg.id)
        if early is not None and number >= early.number:
            self.fire(early)

    def go_on(self, leg: Leg, number: int) -> None:
        """Take note of a request that came: if it was the last one missing, BYE is next.

        Not at once: its user has not heard of it yet, and may answer it only while the leg lives.
        """
        early = self._early.get(leg.id)
        if early is not None and number + 1 == early.number:
            early.due = self._core.now
            self._core.timers.schedule(early)

    def fire(self, early: Early) -> None:
        """Take a BYE that has waited long enough."""
        del self._early[early.leg.id]
        early.due = inf
        peer = early.peer
        peer.dialog = replace(peer.dialog, remote_seq=early.number)
        if early.leg.state is LegState.GONE:
            self._core.respond(early.transaction, 200)
        else:
            self._ended(early.leg, peer, early.transaction)
