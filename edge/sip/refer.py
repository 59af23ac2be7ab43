"""REFER and the NOTIFYs of the subscription that it implies (RFC 3515), within a dialog."""

from __future__ import annotations

import re

from edge.sip.builder import REASONS, in_brackets, one_line
from edge.sip.core import Core, retry_later
from edge.sip.errors import LocalError, RemoteError
from edge.sip.events import LegId, Notified, ReferReceived, TransactionId
from edge.sip.headers import parse_name_addr
from edge.sip.leg import Leg, LegState, Peer
from edge.sip.message import Response
from edge.sip.transaction import ClientTransaction, ServerTransaction

SIPFRAG = "message/sipfrag;version=2.0"
LIFE_S = 180
"""How long a subscription is said to last."""
LAST_S = 1.0
"""How long a goodbye waits for the answer to a last NOTIFY."""
_STATUS = re.compile(rb"\s*SIP/2\.0\s+([1-6][0-9]{2})(?:\s|$)")


class Refer:
    """Transfers, from either side."""

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- theirs

    def received(self, leg: Leg, _peer: Peer, transaction: ServerTransaction) -> None:
        """Take REFER."""
        if not leg.has_dialog:
            # It overtook the 2xx that makes the dialog, or its ACK.
            retry_later(self._core, transaction)
            return
        request = transaction.request
        targets = request.all("refer-to")
        if len(targets) != 1:
            raise RemoteError(400, "REFER wants one Refer-To")
        transaction.leg = leg.id
        self._core.events.append(
            ReferReceived(
                leg=leg.id,
                transaction=transaction.id,
                refer_to=parse_name_addr(targets[0]).uri,
            )
        )

    def accept(self, transaction_id: TransactionId) -> bool:
        """Say 202, and NOTIFY that it is being tried; False: they want no NOTIFYs (RFC 4488)."""
        transaction, leg = self._pending(transaction_id)
        if transaction.request.first("refer-sub").partition(";")[0].strip().lower() == "false":
            extra = f"{self._core.contact_line}Refer-Sub: false\r\n"
            self._core.respond(transaction, 202, extra=extra)
            return False
        self._core.respond(transaction, 202, extra=self._core.contact_line)
        leg.refer_ids.append(transaction.request.cseq[0])
        self.notify(leg.id, 100, final=False)
        return True

    def refuse(self, transaction_id: TransactionId, status: int, reason: str = "") -> None:
        """Refuse REFER. `reason` becomes the reason phrase."""
        transaction, _ = self._pending(transaction_id)
        self._core.respond(transaction, status, reason=one_line(reason, "reason"))

    def _pending(self, transaction_id: TransactionId) -> tuple[ServerTransaction, Leg]:
        transaction = self._core.transactions.server_by_id.get(transaction_id)
        if transaction is None or transaction.request.method != "REFER" or transaction.message:
            raise LocalError(f"no REFER {transaction_id} waits for an answer")
        return transaction, self._core.leg(LegId(transaction.leg))

    def notify(self, leg_id: LegId, status: int, *, final: bool) -> None:
        """Say how the oldest REFER that we accepted gets on."""
        leg, peer = self._core.confirmed(leg_id)
        if not leg.refer_ids:
            raise LocalError(f"leg {leg_id} has no REFER to report on")
        number = leg.refer_ids[0]
        if final:
            leg.refer_ids.pop(0)
            leg.telling_last += 1
        state = "terminated;reason=noresource" if final else f"active;expires={LIFE_S}"
        self._core.send(
            leg,
            peer,
            "NOTIFY",
            self._told_last if final else _ignore,
            extra=f"Event: refer;id={number}\r\nSubscription-State: {state}\r\n",
            body=f"SIP/2.0 {status} {REASONS.get(status, 'Result')}\r\n".encode(),
            content_type=SIPFRAG,
            timeout_s=LAST_S if final else None,
        )

    def _told_last(
        self, leg: Leg, _transaction: ClientTransaction, _response: Response | None
    ) -> None:
        """Say the goodbye that has waited for this; whether they took it does not matter."""
        leg.telling_last -= 1
        is_due = leg.wants_bye is not None and not leg.telling_last
        if is_due and leg.state in {LegState.CONFIRMED, LegState.OFFERED} and leg.peer is not None:
            self._core.hang_up(leg, leg.peer, leg.wants_bye or "")

    # -- ours

    def refer(self, leg_id: LegId, refer_to: str, *, wants_progress: bool = True) -> None:
        """Ask the other side to call `refer_to`."""
        leg, peer = self._core.confirmed(leg_id)
        target = in_brackets(one_line(refer_to, "refer_to"))
        leg.refer_out += wants_progress

        def done(_leg: Leg, _transaction: ClientTransaction, response: Response | None) -> None:
            if wants_progress:
                self._referred(leg, peer, response)
            else:
                self._told(leg, 408 if response is None else response.status)
                self._core.end_if_gone(leg, peer, response)

        by = self._core.identity.contact
        extra = f"Refer-To: {target}\r\nReferred-By: <{by}>\r\n"
        if not wants_progress:
            extra += "Refer-Sub: false\r\n"
        self._core.send(leg, peer, "REFER", done, extra=extra)

    def _referred(self, leg: Leg, peer: Peer, response: Response | None) -> None:
        status = 408 if response is None else response.status
        if status >= 300 and leg.refer_out:  # noqa: PLR2004
            leg.refer_out -= 1
            self._told(leg, status)
        self._core.end_if_gone(leg, peer, response)

    def _told(self, leg: Leg, status: int) -> None:
        if leg.has_dialog:
            self._core.events.append(Notified(leg=leg.id, status=status, final=True))

    def notified(self, leg: Leg, _peer: Peer, transaction: ServerTransaction) -> None:
        """Take NOTIFY."""
        request = transaction.request
        if request.first("event").partition(";")[0].strip().lower() != "refer":
            raise RemoteError(489, "Bad Event")
        if not leg.refer_out:
            raise RemoteError(481, "Subscription does not exist")
        final = request.first("subscription-state").strip().lower().startswith("terminated")
        found = _STATUS.match(request.body)
        if found is None and not final:
            raise RemoteError(400, "NOTIFY without a status line")
        if final:
            leg.refer_out -= 1
        self._core.respond(transaction, 200)
        status = int(found[1]) if found else 0
        self._core.events.append(Notified(leg=leg.id, status=status, final=final))


def _ignore(_leg: Leg, _transaction: ClientTransaction, _response: Response | None) -> None:
    """Do nothing: a NOTIFY that fails ends nothing but its own subscription."""
