"""The 100 to an INVITE that comes in: only when the answer is late (RFC 3261 §17.2.1)."""

from __future__ import annotations

import pytest

from edge.sip.events import Address, Cancelled, IncomingInvite, LegId, OfferReceived
from edge.sip.stack import SipStack
from tests.sip.network import ANSWER, OFFER, Network, Party, counter_tokens, established

PROXY = Address("192.0.2.9", 5060)
INVITE = """INVITE sip:bob@everline SIP/2.0
Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKone
Max-Forwards: 70
From: <sip:x@everline>;tag=x
To: <sip:bob@everline>
Call-ID: late
CSeq: 7 INVITE
Contact: <sip:x@192.0.2.9>
Content-Length: 0

"""
CANCEL = INVITE.replace("INVITE", "CANCEL").replace("Contact: <sip:x@192.0.2.9>\n", "")


def called(network: Network) -> Party:
    """Return who has just been called."""
    callee = network.party("bob")
    network.inject(callee, INVITE, PROXY)
    callee.only(IncomingInvite)
    return callee


def statuses(network: Network) -> list[str | int]:
    """Return what the callee has said, in order."""
    return [getattr(message, "status", "request") for _, _, message in network.trace]


def test_an_invite_that_has_no_answer_gets_its_100_after_150_ms_and_once() -> None:
    network = Network()
    callee = called(network)
    network.run(0.14)
    assert statuses(network) == []
    network.run(0.02)
    assert statuses(network) == [100]
    assert not network.sent("bob", 100)[0].to.tag
    network.run(5)
    assert statuses(network) == [100]
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(0.1)
    assert statuses(network) == [100, 200]


@pytest.mark.parametrize(
    ("what", "said"), [("answer", 200), ("progress", 180), ("reject", 486), ("cancel", 487)]
)
def test_an_invite_that_has_been_answered_in_any_way_gets_no_100(what: str, said: int) -> None:
    network = Network()
    callee = called(network)
    network.run(0.1)
    match what:
        case "answer":
            callee.stack.answer(callee.leg, ANSWER, network.now)
        case "progress":
            callee.stack.progress(callee.leg, 180, network.now)
        case "reject":
            callee.stack.reject(callee.leg, 486, network.now)
        case _:
            # A proxy may cancel what it has heard nothing of.
            network.inject(callee, CANCEL, PROXY)
            assert callee.heard(Cancelled)
    network.run(3)
    assert said in statuses(network)
    assert 100 not in statuses(network)


def test_an_invite_that_comes_again_is_absorbed_before_its_100_and_gets_it_again_after() -> None:
    network = Network()
    callee = called(network)
    network.run(0.1)
    network.inject(callee, INVITE, PROXY)
    assert statuses(network) == []
    network.run(0.06)
    assert statuses(network) == [100]
    network.inject(callee, INVITE, PROXY)
    assert statuses(network) == [100, 100]
    callee.only(IncomingInvite)


@pytest.mark.parametrize(("age_s", "left_s"), [(0.0, 0.15), (0.1, 0.05), (0.15, 0.0), (0.4, 0.0)])
def test_what_an_invite_has_waited_in_the_socket_counts(age_s: float, left_s: float) -> None:
    stack = SipStack(local=Address("192.0.2.1", 5060), product="test", token=counter_tokens("t"))
    stack.receive(INVITE.replace("\n", "\r\n").encode(), PROXY, 7.0, age_s=age_s)
    if left_s:
        stack.handle_timers(7.0 + left_s - 0.01)
        assert stack.take_outgoing() == []
        stack.handle_timers(7.0 + left_s + 0.001)
    ((sent, _),) = stack.take_outgoing()
    assert sent.startswith(b"SIP/2.0 100 Trying\r\n")


def held(network: Network) -> tuple[SipStack, LegId]:
    """Return the stack and the leg of a callee whose caller has just asked to hold the call."""
    caller, callee, out, incoming = established(network)
    caller.stack.reinvite(out, OFFER, network.now)
    network.run(0.011)
    assert callee.heard(OfferReceived)
    return callee.stack, incoming


def test_whoever_changes_a_call_hears_nothing_of_us_before_their_answer_is_late() -> None:
    """Should we die before, they ask again, and our next life answers."""
    network = Network()
    stack, leg = held(network)
    network.run(0.12)
    assert network.sent("bob", 100) == []
    network.run(0.04)
    assert len(network.sent("bob", 100)) == 1
    stack.answer_offer(leg, ANSWER, network.now)
    network.run(3)
    assert len(network.sent("bob", 100)) == 1
    assert network.sent("bob", 200)


def test_a_change_of_a_call_that_is_answered_or_refused_in_time_gets_no_100() -> None:
    for status in (200, 488):
        network = Network()
        stack, leg = held(network)
        if status == 200:
            stack.answer_offer(leg, ANSWER, network.now)
        else:
            stack.refuse_offer(leg, status, network.now)
        network.run(3)
        assert network.sent("bob", status)
        assert network.sent("bob", 100) == []
