"""Asks the other side whether it still has a dialog: OPTIONS within it (RFC 3261 §11.2, §12.2.1.2).

Whoever takes up another process's dialogs needs it: a BYE that came while nobody was there to hear
it does not come again for ever.
"""

from __future__ import annotations

from edge.sip.core import Core, is_gone
from edge.sip.events import EndedBy, LegId
from edge.sip.leg import Leg, LegTimer, Peer
from edge.sip.message import Response
from edge.sip.transaction import ClientTransaction

AGAIN_S = 5.0
"""After nobody has answered: until they are asked again."""
NO_DIALOG = 481


class Asking:
    """What is under way to find out who is still there."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def ask(self, leg_id: LegId) -> None:
        """Ask; a 481 ends the leg. Silence ends nothing, since the way there may be cut."""
        self._ask(*self._core.confirmed(leg_id))

    def fire(self, leg: Leg, _timer: LegTimer) -> None:
        """Ask again."""
        if leg.peer is not None and leg.has_dialog:
            self._ask(leg, leg.peer)

    def _ask(self, leg: Leg, peer: Peer) -> None:
        def done(_leg: Leg, _transaction: ClientTransaction, response: Response | None) -> None:
            if not leg.has_dialog:
                return
            if response is not None and response.status == NO_DIALOG:
                # They have ended it: they hung up, and nobody was there to hear it.
                self._core.drop(leg, peer, EndedBy.REMOTE, "gone")
            elif is_gone(response):
                self._core.set_timer(leg, LegTimer.ASK_AGAIN, AGAIN_S)

        self._core.send(leg, peer, "OPTIONS", done)
