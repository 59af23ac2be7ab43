"""Asks the other side whether it still has a dialog: OPTIONS within it (RFC 3261 §11.2, §12.2.1.2).

Whoever takes up another process's dialogs needs it: a BYE that came while nobody was there to hear
it does not come again for ever.
"""

from __future__ import annotations

from edge.sip.core import Core
from edge.sip.events import Doubted, EndedBy, LegId, WasAsked
from edge.sip.leg import Leg, LegTimer, Peer
from edge.sip.message import Response
from edge.sip.transaction import ClientTransaction

AGAIN_S = 5.0
"""After nobody has answered: until they are asked again."""
NO_DIALOG = 481
UNREACHED = frozenset({408, 430, 477})
"""What a proxy says that could not reach them: timed out, flow failed (RFC 5626 §11.2), nothing
could be sent to where they are (Kamailio's own). Not 480: so may a telephone that takes no calls
answer, as it would an INVITE (RFC 3261 §11.2, §21.4.18)."""
BYE_AGAIN_S = 2.5
"""Who has no dialog may just be hanging up, and their BYE have met nobody. A proxy sends it again
after 2 s at most, before it gives it up after 5 (timer E)."""


class Asking:
    """What is under way to find out who is still there."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._latest: dict[LegId, object] = {}
        """The question that was asked last, of each leg that owes the answer."""

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
        question = self._latest[leg.id] = object()

        def done(_leg: Leg, _transaction: ClientTransaction, response: Response | None) -> None:
            is_latest = self._latest.get(leg.id) is question
            if is_latest:
                del self._latest[leg.id]
            if not leg.has_dialog:
                return
            if response is not None and response.status == NO_DIALOG:
                self._core.set_timer(leg, LegTimer.GONE, BYE_AGAIN_S)
                self._core.events.append(Doubted(leg=leg.id))
                return
            is_there = response is not None and response.status not in UNREACHED
            if not is_there and not is_latest:
                # They have been asked anew since, and may be reached by now.
                return
            if not is_there:
                self._core.set_timer(leg, LegTimer.ASK_AGAIN, AGAIN_S)
            if response is not None:
                # Else not even the proxy before them has answered: nothing is known of them.
                self._core.events.append(WasAsked(leg=leg.id, is_there=is_there))

        self._core.send(leg, peer, "OPTIONS", done)
