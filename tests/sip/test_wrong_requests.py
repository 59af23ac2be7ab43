"""Requests, responses and commands that something is wrong with, and what is said of them."""

from __future__ import annotations

import pytest

from edge.sip.errors import LocalError
from edge.sip.events import (
    Address,
    Discarded,
    IncomingInvite,
    InfoReceived,
    OfferAnswered,
    OfferRefused,
    OfferWithdrawn,
)
from tests.sip.network import ANSWER, CANCEL, LOST, OFFER, Network, arrived, established


def test_a_request_in_an_unknown_dialog_gets_481() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    network.fates = iter([LOST])
    callee.stack.bye(incoming, network.now)
    network.collect()
    caller.stack.info(out, "text/plain", b"x", network.now)
    network.run(0.1)
    assert network.sent("bob", 481)
    network.run_out()


def test_ack_for_no_call_is_discarded() -> None:
    network = Network()
    callee = network.party("bob")
    ack = CANCEL.replace("CANCEL", "ACK").replace("To: <sip:bob@everline>", "To: <sip:b@x>;tag=z")
    network.inject(callee, ack, Address("192.0.2.9", 5060))
    assert callee.heard(Discarded)
    assert not network.trace


def test_the_same_request_by_two_ways_gets_482() -> None:
    network = Network()
    callee = network.party("bob")
    source = Address("192.0.2.9", 5060)
    message = INVITE.replace("INVITE", "MESSAGE")
    network.inject(callee, message, source)
    network.inject(callee, message.replace("z9hG4bKone", "z9hG4bKtwo"), source)
    assert network.sent("bob", 482)


def test_a_call_that_comes_by_a_second_way_may_be_tried_elsewhere() -> None:
    """The proxy on the first way is frozen: the carrier hunts on, and no CANCEL gets through."""
    network = Network()
    callee = network.party("bob")
    source = Address("192.0.2.9", 5060)
    network.inject(callee, INVITE, source)
    network.inject(callee, INVITE.replace("z9hG4bKone", "z9hG4bKtwo"), source)
    assert len(callee.of(IncomingInvite)) == 1
    assert network.sent("bob", 503)
    assert not network.sent("bob", 482)


def test_one_that_was_cancelled_by_the_other_way_may_be_tried_elsewhere() -> None:
    """A proxy gave this edge up, and a carrier asks again, before its ACK of our 487 has come."""
    network = Network()
    callee = network.party("bob")
    source = Address("192.0.2.9", 5060)
    network.inject(callee, INVITE, source)
    network.inject(callee, INVITE.replace("INVITE", "CANCEL"), source)
    assert network.sent("bob", 487)
    network.inject(callee, INVITE.replace("z9hG4bKone", "z9hG4bKtwo"), source)
    assert network.sent("bob", 503)
    assert not network.sent("bob", 482)


INVITE = """INVITE sip:bob@everline SIP/2.0
Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKone
Max-Forwards: 70
From: <sip:x@everline>;tag=x
To: <sip:bob@everline>
Call-ID: merged
CSeq: 7 INVITE
Contact: <sip:x@192.0.2.9>
Content-Length: 0

"""


@pytest.mark.parametrize(
    ("old", "new", "status", "hint"),
    [
        ("Max-Forwards: 70", "Max-Forwards: 70\nRequire: 100rel, nothing", 420, "unsupported"),
        ("INVITE", "SUBSCRIBE", 405, "allow"),
        ("INVITE", "DANCE", 501, "allow"),
        ("INVITE", "INFO", 481, ""),
        ("INVITE sip:bob", "INVITE mailto:bob", 416, ""),
        ("SIP/2.0\n", "SIP/3.0\n", 505, ""),
        ("Content-Length: 0\n\n", "Content-Length: 9\n\nx", 400, ""),
        ("Content-Length: 0\n\n", "Content-Type: a/b\nContent-Length: 1\n\nx", 415, "accept"),
        ("Contact: <sip:x@192.0.2.9>\n", "", 400, ""),
        ("CSeq: 7 INVITE", "CSeq: 7 BYE", 400, ""),
        ("Max-Forwards: 70", "Session-Expires: 60\nSupported: timer", 422, "min-se"),
        ("Max-Forwards: 70", f"Record-Route: <sip:{'r' * 65_000};lr>", 513, ""),
        ("Max-Forwards: 70", "Accept: text/plain", 406, "accept"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(old: str, new: str, status: int, hint: str) -> None:
    network = Network()
    callee = network.party("bob")
    count = -1 if old == "INVITE" else 1
    network.inject(callee, INVITE.replace(old, new, count), Address("192.0.2.9", 5060))
    answers = network.sent("bob", status)
    assert answers, network.trace
    if hint:
        assert answers[0].first(hint)
    assert callee.stack.legs() == 0
    network.run_out()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Max-Forwards: 70", "Require: 100REL, Timer"),
        ("Max-Forwards: 70", "Session-Expires: 60"),
        ("Content-Length: 0\n\n", "\n\n\n"),
        ("tag=x", 'x=";tag=y";tag=x'),
    ],
    ids=["extensions in capitals", "a timer of who knows of none", "blank lines", "quoted"],
)
def test_what_is_odd_but_not_wrong_is_a_call(old: str, new: str) -> None:
    network = Network()
    callee = network.party("bob")
    network.inject(callee, INVITE.replace(old, new, 1), Address("192.0.2.9", 5060))
    invite = callee.only(IncomingInvite)
    assert (invite.sdp, invite.from_tag) == (None, "x")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Max-Forwards: 70\r\n", "Max-Forwards: 70\nSubject: x\r\n"),
        ("Max-Forwards: 70\r\n", "Max-Forwards: 70\rVia: SIP/2.0/UDP evil\r\n"),
        ("tag=x\r\n", "tag=x\n"),
        ("Content-Length: 0\r\n\r\n", "Content-Length: 0\r\n\n"),
        ("\r\n", "\n"),
    ],
    ids=["LF", "CR", "LF behind a field that is answered", "LF before the body", "LF everywhere"],
)
def test_a_request_with_bare_line_ends_is_refused_and_not_met_with_silence(
    old: str, new: str
) -> None:
    """Kamailio takes it and passes it on; an edge that was silent to it counted as dead for 3 s."""
    network = Network()
    callee = network.party("bob")
    wire = INVITE.replace("\n", "\r\n").replace(old, new)
    network.inject(callee, wire.encode(), Address("192.0.2.9", 5060))
    (refused,) = network.sent("bob", 400)
    assert refused.first("via").startswith("SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKone")
    assert refused.from_.tag == "x"
    assert not callee.of(IncomingInvite)
    assert callee.stack.legs() == 0


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_a_response_with_bare_line_ends_answers_nothing(end: str) -> None:
    network = Network()
    caller = network.party("alice")
    wire = INVITE.replace("INVITE sip:bob@everline SIP/2.0", "SIP/2.0 200 OK")
    wire = wire.replace("\n", "\r\n").replace("70\r\n", f"70{end}")
    network.inject(caller, wire.encode(), Address("192.0.2.9", 5060))
    assert caller.heard(Discarded)
    assert not network.trace


def test_a_request_out_of_order_gets_500() -> None:
    network = Network()
    caller, callee, out, _ = established(network)
    held: list[bytes] = []

    def swap(wire: bytes) -> bytes:
        if wire.startswith(b"INFO") and not held:
            held.append(wire)
            return b""
        return wire

    network.tamper = swap
    caller.stack.info(out, "text/plain", b"first", network.now)
    caller.stack.info(out, "text/plain", b"second", network.now)
    network.run(0.1)
    network.inject(callee, held[0], caller.address)
    assert network.sent("bob", 500)
    assert [info.body for info in callee.of(InfoReceived)] == [b"second"]


def test_responses_go_where_the_request_came_from() -> None:
    network = Network()
    callee = network.party("bob")
    natted = Address("192.0.2.77", 31337)
    network.inject(callee, INVITE.replace(";branch", ";rport;branch"), natted)
    network.run(0.2)
    trying = network.sent("bob", 100)[0]
    assert "received=192.0.2.77" in trying.first("via")
    assert "rport=31337" in trying.first("via")


def test_a_response_that_no_transaction_wants_is_discarded() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    stray = (
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKno\nFrom: <sip:a@b>;tag=1\n"
        "To: <sip:c@d>;tag=2\nCall-ID: x\nCSeq: 1 INVITE\n\n"
    )
    network.inject(caller, stray, callee.address)
    assert caller.heard(Discarded)


@pytest.mark.parametrize(
    "command", ["bye", "reinvite", "answer", "acknowledge", "cancel", "answer_offer", "info"]
)
def test_a_command_for_a_leg_that_is_over_is_a_local_error(command: str) -> None:
    network = Network()
    caller, _, out, _ = established(network)
    caller.stack.bye(out, network.now)
    network.run_out()
    extra = {
        "reinvite": (OFFER,),
        "answer": (OFFER,),
        "acknowledge": (OFFER,),
        "answer_offer": (OFFER,),
        "info": ("text/plain", b""),
    }.get(command, ())
    with pytest.raises(LocalError, match="it is over"):
        getattr(caller.stack, command)(out, *extra, network.now)


def test_a_header_with_a_line_break_is_a_local_error() -> None:
    network = Network()
    caller, callee = network.party("alice"), network.party("bob")
    with pytest.raises(LocalError, match="line break"):
        caller.call(callee, headers={"X-Evil": "a\r\nVia: b"})
    assert caller.stack.legs() == 0


def test_a_cancelled_reinvite_is_withdrawn() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.stack.reinvite(out, OFFER, network.now)
    network.run(0.1)
    reinvite = network.sent("alice", "INVITE")[0]
    cancel = (
        f"CANCEL sip:bob@everline SIP/2.0\nVia: {reinvite.first('via')}\nMax-Forwards: 70\n"
        f"From: {reinvite.first('from')}\nTo: {reinvite.first('to')}\nCall-ID: {reinvite.call_id}\n"
        f"CSeq: {reinvite.cseq[0]} CANCEL\nContent-Length: 0\n\n"
    )
    network.inject(callee, cancel, caller.address)
    network.run(0.1)
    assert callee.heard(OfferWithdrawn)
    assert not caller.of(OfferRefused), "they may be hanging up"
    network.run(2.5)
    assert caller.only(OfferRefused).status == 487
    caller.stack.reinvite(out, OFFER, network.now)
    network.run(0.1)
    callee.stack.answer_offer(incoming, ANSWER, network.now)
    network.run(0.1)
    assert caller.heard(OfferAnswered)
    caller.stack.bye(out, network.now)
    network.run_out()
