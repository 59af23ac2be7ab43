"""Requests outside any dialog other than INVITE: OPTIONS, REGISTER, and whatever else comes."""

from __future__ import annotations

from msgspec.structs import replace

from edge.sip.builder import Outgoing
from edge.sip.core import ALLOWED, KNOWN_METHODS, SUPPORTED_LINE, Core, required_unsupported
from edge.sip.errors import LocalError, RemoteError
from edge.sip.events import Address, RequestReceived, ResponseReceived, TransactionId
from edge.sip.headers import parse_name_addr
from edge.sip.message import Response
from edge.sip.transaction import ClientTransaction, ServerTransaction, State
from edge.sip.uri import scheme_of

_CALLS_ONLY = frozenset({"INVITE", "ACK", "CANCEL"})
_WITHIN_ONLY = frozenset({"BYE", "PRACK", "UPDATE", "INFO", "NOTIFY"})


class Outside:
    """One request, one final response."""

    def __init__(self, core: Core, handled: frozenset[str]) -> None:
        self._core = core
        self._handled = handled

    def received(self, transaction: ServerTransaction, source: Address) -> None:
        """Take a request that belongs to no dialog, or refuse it with RemoteError."""
        request = transaction.request
        method = request.method
        if method not in KNOWN_METHODS and method not in self._handled:
            raise RemoteError(501, "Not Implemented")
        if required_unsupported(request):
            raise RemoteError(420, "Bad Extension")
        if method in self._handled:
            for contact in request.elements("contact"):
                if contact != "*":
                    parse_name_addr(contact)
            self._core.events.append(
                RequestReceived(
                    transaction=transaction.id,
                    method=method,
                    source=source,
                    request_uri=request.uri,
                    headers=request.joined(),
                    body=request.body,
                )
            )
        elif method == "OPTIONS":
            self._core.respond(
                transaction,
                200,
                extra=f"{self._core.contact_line}{self._core.allow_line}"
                f"Accept: application/sdp\r\n{SUPPORTED_LINE}",
            )
        elif method in _WITHIN_ONLY:
            raise RemoteError(481, "Call/Transaction Does Not Exist")
        else:
            raise RemoteError(405, "Method Not Allowed")

    def respond(
        self, transaction_id: TransactionId, status: int, *, reason: str, extra: str, body: bytes
    ) -> None:
        """Answer a request that was handed out."""
        transaction = self._core.transactions.server_by_id.get(transaction_id)
        waits = transaction is not None and transaction.state is not State.COMPLETED
        if transaction is None or not waits or transaction.request.method not in self._handled:
            raise LocalError(f"no request {transaction_id} waits for an answer")
        kind = "text/plain" if "content-type" not in extra.lower() else ""
        self._core.respond(
            transaction, status, reason=reason, extra=extra, body=body, content_type=kind
        )

    def request(
        self,
        request: Outgoing,
        next_hop: Address,
        credentials: tuple[str, str] | None,
        timeout_s: float | None,
    ) -> TransactionId:
        """Send a request; `ResponseReceived` brings its final response under the id returned."""
        core = self._core
        if request.method in _CALLS_ONLY:
            raise LocalError(f"{request.method} is no request of its own: use invite and cancel")
        scheme_of(request.uri)
        transaction_id = TransactionId(core.token())

        def on_response(transaction: ClientTransaction, response: Response | None) -> None:
            if response is not None and not response.is_final:
                return
            again = core.authorised(transaction, response, credentials)
            if again is not None:
                again = replace(again, cseq=again.cseq + 1)
                following = core.transactions.request(again, next_hop, core.now, on_response)
                following.proofs = transaction.proofs + 1
                self._limit(following, timeout_s)
                return
            core.events.append(_reported(transaction_id, response))

        self._limit(core.transactions.request(request, next_hop, core.now, on_response), timeout_s)
        return transaction_id

    def _limit(self, transaction: ClientTransaction, timeout_s: float | None) -> None:
        if timeout_s is not None:
            transaction.expire_in(timeout_s, self._core.now)
            self._core.timers.schedule(transaction)


def _reported(transaction_id: TransactionId, response: Response | None) -> ResponseReceived:
    if response is None:
        return ResponseReceived(
            transaction=transaction_id,
            status=408,
            reason="Request Timeout",
            timeout=True,
            headers={},
            body=b"",
        )
    return ResponseReceived(
        transaction=transaction_id,
        status=response.status,
        reason=response.reason,
        timeout=False,
        headers=response.joined(),
        body=response.body,
    )


def allowed(handled: frozenset[str]) -> str:
    """Write the Allow value of a stack that hands these methods to its user too."""
    return ", ".join([*ALLOWED.split(", "), *sorted(handled - set(ALLOWED.split(", ")))])
