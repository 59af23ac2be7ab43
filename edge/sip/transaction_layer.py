"""All transactions of a stack: finds the one a message belongs to and runs the tables.

Knows nothing of dialogs. What a table says is to be delivered goes to the callbacks it was given.
"""

from __future__ import annotations

from collections.abc import Callable

from edge.sip.builder import BRANCH_COOKIE, Identity, Outgoing, write_hop_request, write_request
from edge.sip.events import Address, TransactionId
from edge.sip.message import Request, Response
from edge.sip.timers import TimerQueue
from edge.sip.transaction import (
    Action,
    ClientTransaction,
    Input,
    Machine,
    ServerTransaction,
    State,
    Transaction,
    kind_of,
)


def server_key(request: Request, method: str) -> str:
    """Return what identifies the server transaction of `request` (RFC 3261 §17.2.3)."""
    via = request.via
    if via.branch.startswith(BRANCH_COOKIE) and len(via.branch) > len(BRANCH_COOKIE):
        return f"{via.branch} {via.host}:{via.port} {method}"
    # RFC 2543 had no unique branch. The To tag is left out: an ACK has one, its INVITE had none.
    number = request.cseq[0]
    via_text = request.first("via")
    return f"{request.uri} {request.from_.tag} {request.call_id} {number} {via_text} {method}"


class TransactionLayer:
    """Client and server transactions by key, their timers, and the way out."""

    __slots__ = (
        "_merged",
        "_token",
        "client",
        "identity",
        "outgoing",
        "server",
        "server_by_id",
        "timers",
    )

    def __init__(self, identity: Identity, timers: TimerQueue, token: Callable[[], str]) -> None:
        self.identity = identity
        self.timers = timers
        self._token = token
        self.server: dict[str, ServerTransaction] = {}
        self.server_by_id: dict[str, ServerTransaction] = {}
        self.client: dict[str, ClientTransaction] = {}
        self._merged: dict[str, str] = {}
        self.outgoing: list[tuple[bytes, Address]] = []

    def count(self) -> int:
        """Return how many transactions are left."""
        return len(self.server) + len(self.client)

    # -- server side

    def absorb(self, request: Request, now: float) -> ServerTransaction | None:
        """Give `request` to the transaction it repeats, or acknowledges; None if there is none."""
        method = "INVITE" if request.method == "ACK" else request.method
        transaction = self.server.get(server_key(request, method))
        if transaction is not None:
            self.feed(transaction, Input.ACK if request.method == "ACK" else Input.REQUEST, now)
        return transaction

    def serve(self, request: Request, source: Address, now: float) -> ServerTransaction:
        """Open a server transaction for a request that none knows."""
        machine = Machine.INVITE_SERVER if request.method == "INVITE" else Machine.SERVER
        token = self._token()
        transaction = ServerTransaction(
            machine,
            server_key(request, request.method),
            response_address(request, source),
            source,
            request,
            TransactionId(token),
            token,
        )
        transaction.enter(transaction.state, now)
        self.timers.schedule(transaction)
        self.server[transaction.key] = transaction
        self.server_by_id[token] = transaction
        return transaction

    def invite_of(self, cancel: Request) -> ServerTransaction | None:
        """Return the INVITE transaction that a CANCEL is for (RFC 3261 §9.2)."""
        return self.server.get(server_key(cancel, "INVITE"))

    def merged_with(self, transaction: ServerTransaction) -> ServerTransaction | None:
        """Return by what other way this request outside a dialog has come before (§8.2.2.2)."""
        request = transaction.request
        number, method = request.cseq
        key = f"{request.call_id} {request.from_.tag} {number} {method}"
        other = self._merged.setdefault(key, transaction.key)
        if other != transaction.key:
            return self.server[other]
        transaction.merge_key = key
        return None

    def respond(
        self, transaction: ServerTransaction, status: int, datagram: bytes, now: float
    ) -> None:
        """Send the user's response, if the transaction still wants one."""
        transaction.message = datagram
        self.feed(transaction, kind_of(status), now)

    # -- client side

    def request(
        self,
        request: Outgoing,
        peer: Address,
        now: float,
        on_response: Callable[[ClientTransaction, Response | None], None],
    ) -> ClientTransaction:
        """Open a client transaction and send its request."""
        branch = BRANCH_COOKIE + self._token()
        invite = request.method == "INVITE"
        transaction = ClientTransaction(
            Machine.INVITE_CLIENT if invite else Machine.CLIENT,
            f"{branch} {request.method}",
            peer,
            request,
            self.identity.via(branch),
            on_response,
        )
        transaction.message = write_request(request, self.identity, branch)
        self.open(transaction, now)
        return transaction

    def cancel(
        self,
        invite: ClientTransaction,
        extra: str,
        now: float,
        on_response: Callable[[ClientTransaction, Response | None], None],
    ) -> None:
        """Send CANCEL for `invite`: same hop, same branch, a transaction of its own (§9.1)."""
        branch = invite.key.partition(" ")[0]
        transaction = ClientTransaction(
            Machine.CLIENT, f"{branch} CANCEL", invite.peer, invite.request, invite.via, on_response
        )
        transaction.message = write_hop_request(
            invite.request, "CANCEL", invite.via, invite.request.to, extra
        )
        self.open(transaction, now)

    def give_up(self, invite: ClientTransaction, now: float) -> None:
        """Wait for no answer to an INVITE any more, but for the 2xx that may still come."""
        invite.enter(State.ACCEPTED, now)
        self.timers.schedule(invite)

    def write(self, request: Outgoing) -> bytes:
        """Write a request that has no transaction: ACK to a 2xx."""
        return write_request(request, self.identity, BRANCH_COOKIE + self._token())

    def open(self, transaction: ClientTransaction, now: float) -> None:
        """Send a client transaction's message and start its timers."""
        transaction.enter(transaction.state, now)
        self.client[transaction.key] = transaction
        self.timers.schedule(transaction)
        self.outgoing.append((transaction.message, transaction.peer))

    def take_response(self, response: Response, now: float) -> bool:
        """Give `response` to its transaction; False if there is none."""
        transaction = self.client.get(f"{response.via.branch} {response.cseq[1]}")
        if transaction is None:
            return False
        self.feed(transaction, kind_of(response.status), now, response)
        return True

    # -- the tables

    def fire(self, transaction: Transaction, now: float) -> None:
        """Run the timers of `transaction` that are due."""
        if transaction.expire_at <= now:
            self.feed(transaction, Input.EXPIRE, now)
        elif transaction.retransmit_at <= now:
            self.feed(transaction, Input.RETRANSMIT, now)
            if transaction.state is not State.TERMINATED:
                transaction.back_off(now)
        if transaction.state is not State.TERMINATED:
            self.timers.schedule(transaction)

    def feed(
        self, transaction: Transaction, what: Input, now: float, response: Response | None = None
    ) -> None:
        """Run one transition."""
        rule = transaction.rules.get((transaction.state, what))
        if rule is None:
            return
        if rule.state is not transaction.state:
            transaction.enter(rule.state, now)
            if rule.state is State.TERMINATED:
                self._remove(transaction)
            else:
                self.timers.schedule(transaction)
        elif transaction.rings and what is Input.PROVISIONAL:
            # Each sign of life lets an INVITE ring on (§13.3.1.1).
            transaction.enter(rule.state, now)
            self.timers.schedule(transaction)
        for action in rule.actions:
            self._act(transaction, action, response)

    def _act(self, transaction: Transaction, action: Action, response: Response | None) -> None:
        match action:
            case Action.SEND | Action.RESEND:
                if transaction.message:
                    self.outgoing.append((transaction.message, transaction.peer))
            case Action.ACK:
                if response is not None and isinstance(transaction, ClientTransaction):
                    ack = write_hop_request(
                        transaction.request, "ACK", transaction.via, response.first("to"), ""
                    )
                    self.outgoing.append((ack, transaction.peer))
            case Action.DELIVER | Action.GIVE_UP:
                if isinstance(transaction, ClientTransaction):
                    transaction.on_response(transaction, response)

    def _remove(self, transaction: Transaction) -> None:
        if isinstance(transaction, ClientTransaction):
            self.client.pop(transaction.key, None)
        elif isinstance(transaction, ServerTransaction):
            self.server.pop(transaction.key, None)
            self.server_by_id.pop(transaction.id, None)
            if transaction.merge_key:
                self._merged.pop(transaction.merge_key, None)


def response_address(request: Request, source: Address) -> Address:
    """Return where responses go (RFC 3261 §18.2.2, RFC 3581 §4).

    Always to the host it came from: `maddr` would let a stranger choose whom we send to.
    """
    via = request.via
    return source if via.has_rport or via.port == source.port else Address(source.host, via.port)
