"""INFO within a dialog (RFC 6086), from either side."""

from __future__ import annotations

from edge.sip.core import Core
from edge.sip.events import InfoReceived, LegId
from edge.sip.leg import Leg, Peer
from edge.sip.message import Response
from edge.sip.transaction import ClientTransaction, ServerTransaction


class Info:
    """What is said beside the session."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def received(self, leg: Leg, _peer: Peer, transaction: ServerTransaction) -> None:
        """Take INFO."""
        request = transaction.request
        content_type = request.first("content-type")
        self._core.events.append(
            InfoReceived(leg=leg.id, content_type=content_type, body=request.body)
        )
        self._core.respond(transaction, 200)

    def send(self, leg_id: LegId, content_type: str, body: bytes) -> None:
        """Send INFO."""
        leg, peer = self._core.confirmed(leg_id)

        def done(_leg: Leg, _transaction: ClientTransaction, response: Response | None) -> None:
            self._core.end_if_gone(leg, peer, response)

        self._core.send(leg, peer, "INFO", done, body=body, content_type=content_type)
