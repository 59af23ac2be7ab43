"""Requests that are challenged again and again: every proof is said to be stale (RFC 3261 §22)."""

from __future__ import annotations

import pytest

from edge.sip.events import (
    Ended,
    Event,
    IncomingInvite,
    OfferReceived,
    OfferRefused,
    Rejected,
    RequestReceived,
    ResponseReceived,
)
from tests.sip.network import ANSWER, OFFER, Network, Party, arrived

STALE = 'Digest realm="everline", nonce="n", qop="auth", stale=true'
MOST = 3
"""A nonce may run out as it is used, but not always."""


def _proofs(network: Network, method: str) -> int:
    return sum("authorization" in each.joined() for each in network.sent("alice", method))


def _challenges(party: Party, event: Event) -> None:
    headers, now = {"WWW-Authenticate": STALE}, party.network.now
    match event:
        case IncomingInvite(leg=leg):
            party.stack.reject(leg, 401, now, headers=headers)
        case RequestReceived(transaction=transaction):
            party.stack.respond(transaction, 401, now, headers=headers)
        case OfferReceived(leg=leg):
            party.stack.answer_offer(leg, ANSWER, now)
        case _:
            pass


def test_an_invite_has_failed() -> None:
    network = Network()
    caller, callee = network.party("alice"), network.party("bob", _challenges)
    caller.call(callee, credentials=("alice", "secret"))
    network.run(10)
    assert caller.only(Rejected).status == 401
    assert _proofs(network, "INVITE") == MOST
    network.run_out()


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE"])
def test_a_request_in_a_dialog_has_failed(method: str) -> None:
    network = Network()
    caller, callee, leg = arrived(network, credentials=("alice", "secret"))
    callee.stack.answer(callee.leg, ANSWER, network.now)
    callee.on_event = _challenges
    network.run(0.1)
    network.trace.clear()
    challenge = f"SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: {STALE}\r\n".encode()

    def challenged(datagram: bytes) -> bytes:
        line, _, rest = datagram.partition(b"\r\n")
        is_answer = line.startswith((b"SIP/2.0 200", b"SIP/2.0 481"))
        return challenge + rest if is_answer and f" {method}\r\n".encode() in rest else datagram

    network.tamper = challenged
    if method == "BYE":
        caller.stack.bye(leg, network.now)
        network.run(10)
        assert caller.heard(Ended)
    else:
        offer = caller.stack.reinvite if method == "INVITE" else caller.stack.update
        offer(leg, OFFER, network.now)
        network.run(10)
        assert caller.only(OfferRefused).status == 401
        network.tamper = None
        caller.stack.bye(leg, network.now)
    assert _proofs(network, method) == MOST
    network.run_out()


def test_a_request_outside_dialogs_has_failed() -> None:
    network = Network()
    caller = network.party("alice")
    callee = network.party("bob", _challenges, handles=["REGISTER"])
    caller.stack.request(
        method="REGISTER",
        request_uri="sip:everline",
        from_uri="sip:alice@everline",
        to_uri="sip:alice@everline",
        next_hop=callee.address,
        now=network.now,
        credentials=("alice", "secret"),
    )
    network.run(10)
    assert caller.only(ResponseReceived).status == 401
    assert _proofs(network, "REGISTER") == MOST
    network.run_out()
