"""Asks the other side whether it still has a dialog: OPTIONS within it (RFC 3261 §11.2, §12.2.1.2).

Whoever takes up another process's dialogs needs it: a BYE that came while nobody was there to hear
it does not come again for ever.
"""

from __future__ import annotations

from edge.sip.core import Core, is_gone
from edge.sip.events import Doubted, EndedBy, LegId, WasAsked
from edge.sip.leg import Leg, LegTimer, Peer
from edge.sip.message import Response
from edge.sip.transaction import ClientTransaction

AGAIN_S = 5.0
"""After nobody has answered: until they are asked again."""
NO_DIALOG = 481
UNREACHED = frozenset({408, 430, 477, 480})
"""What a proxy says that could not reach them: timed out, flow failed (RFC 5626 §11.2), nothing
could be sent to where they are (Kamailio's own), nobody knows where they are."""
BYE_AGAIN_S = 2.5
"""Who has no dialog may just be hanging up, and their BYE have met nobody. A proxy sends it again
after 2 s at most, before it gives it up after 5 (timer E)."""


class Asking:
    """What is under way to find out who is still there."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def ask(self, leg_id: LegId) -> None:
        """Ask; a 481 ends the leg, if no BYE follows. Silence ends nothing: the way may be cut."""
        self._ask(*self._core.confirmed(leg_id))

    def fire(self, leg: Leg, timer: LegTimer) -> None:
        """Ask again; or end the leg of who has ended it, and whom nobody was there to hear."""
        if leg.peer is None or not leg.has_dialog:
            return
        if timer is LegTimer.GONE:
            self._core.drop(leg, leg.peer, EndedBy.REMOTE, "gone")
        else:
            self._ask(leg, leg.peer)

    def _ask(self, leg: Leg, peer: Peer) -> None:
        def done(_leg: Leg, _transaction: ClientTransaction, response: Response | None) -> None:
            if not leg.has_dialog:
                return
            if response is not None and response.status == NO_DIALOG:
                self._core.set_timer(leg, LegTimer.GONE, BYE_AGAIN_S)
                self._core.events.append(Doubted(leg=leg.id))
                return
            if is_gone(response):
                self._core.set_timer(leg, LegTimer.ASK_AGAIN, AGAIN_S)
            is_there = response is not None and response.status not in UNREACHED
            self._core.events.append(WasAsked(leg=leg.id, is_there=is_there))

        self._core.send(leg, peer, "OPTIONS", done)
