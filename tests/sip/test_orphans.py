"""A process that was started anew hears the answer to an INVITE of its former life."""

from __future__ import annotations

import itertools

from edge.sip.events import (
    Address,
    Confirmed,
    Discarded,
    Ended,
    EndedBy,
    Event,
    IncomingInvite,
    LegId,
    OfferReceived,
)
from edge.sip.stack import SipStack

A, B = Address("192.0.2.1", 5060), Address("192.0.2.2", 5060)
SDP = b"v=0\r\n"


def stack(address: Address, life: str = "") -> SipStack:
    numbers = itertools.count()
    return SipStack(
        local=address, product="test", token=lambda: f"{address.host}-{life}{next(numbers)}"
    )


def ring(caller: SipStack) -> bytes:
    """Send an INVITE and return it."""
    caller.invite(
        request_uri="sip:b@192.0.2.2",
        from_uri="sip:a@192.0.2.1",
        to_uri="sip:b@192.0.2.2",
        next_hop=B,
        sdp=SDP,
        now=0.0,
    )
    ((invite, _),) = caller.take_outgoing()
    return invite


def answered(callee: SipStack, invite: bytes) -> bytes:
    """Answer the INVITE and return the 200."""
    (incoming,) = (
        each for each in callee.receive(invite, A, 0.0) if isinstance(each, IncomingInvite)
    )
    callee.answer(incoming.leg, SDP, 0.0)
    return callee.take_outgoing()[-1][0]


def heard(sender: SipStack, receiver: SipStack) -> list[Event]:
    """Give the receiver what the sender has to say."""
    sent = [datagram for datagram, _ in sender.take_outgoing()]
    return [event for each in sent for event in receiver.receive(each, A, 0.0)]


def test_an_answer_to_a_former_life_is_acknowledged_and_hung_up() -> None:
    callee, next_life = stack(B), stack(A, "again")
    answer = answered(callee, ring(stack(A)))
    assert [type(each) for each in next_life.receive(answer, B, 0.0)] == [Discarded]
    events = heard(next_life, callee)
    assert [type(each) for each in events] == [Confirmed, Ended]
    assert isinstance(events[1], Ended)
    assert events[1].by is EndedBy.REMOTE
    assert callee.legs() == next_life.legs() == 0
    for datagram, _ in callee.take_outgoing():
        next_life.receive(datagram, B, 0.0)
    next_life.handle_timers(100.0)
    assert next_life.transactions() == 0


def test_an_answer_after_a_prack_of_the_former_life_is_hung_up_too() -> None:
    former, callee, next_life = stack(A), stack(B), stack(A, "again")
    (incoming,) = callee.receive(ring(former), A, 0.0)
    assert isinstance(incoming, IncomingInvite)
    callee.progress(incoming.leg, 180, 0.0, reliable=True)
    heard(callee, former)
    heard(former, callee)
    callee.answer(incoming.leg, SDP, 0.0)
    heard(callee, next_life)
    assert any(isinstance(each, Ended) for each in heard(next_life, callee))
    assert callee.legs() == 0


def test_an_answer_that_is_repeated_meanwhile_does_no_harm() -> None:
    callee, next_life = stack(B), stack(A, "again")
    answer = answered(callee, ring(stack(A)))
    for _ in range(3):
        next_life.receive(answer, B, 0.0)
    ends = [each for each in heard(next_life, callee) if isinstance(each, Ended)]
    assert len(ends) == 1
    assert callee.legs() == 0


def test_an_answer_whose_route_makes_no_sense_is_discarded() -> None:
    callee, next_life = stack(B), stack(A, "again")
    answer = answered(callee, ring(stack(A)))
    astray = answer.replace(b"\r\nCSeq:", b"\r\nRecord-Route: nowhere\r\nCSeq:")
    assert [type(each) for each in next_life.receive(astray, B, 0.0)] == [Discarded]
    assert not next_life.take_outgoing()


def test_a_leg_that_lives_is_not_taken_for_an_orphan() -> None:
    caller, callee = stack(A), stack(B)
    answer = answered(callee, ring(caller))
    caller.receive(answer, B, 0.0)
    caller.take_outgoing()
    # Long after its transaction has gone, a copy comes out of some queue.
    caller.handle_timers(200.0)
    caller.take_outgoing()
    caller.receive(answer, B, 200.0)
    assert not [each for each, _ in caller.take_outgoing() if each.startswith(b"BYE")]
    assert caller.legs() == 1


def test_an_answer_that_was_not_for_this_address_is_left_alone() -> None:
    callee, other = stack(B), stack(Address("192.0.2.9", 5060))
    other.receive(answered(callee, ring(stack(A))), B, 0.0)
    assert not other.take_outgoing()


def test_refusals_of_a_former_life_are_left_alone() -> None:
    callee, next_life = stack(B), stack(A, "again")
    invite = ring(stack(A))
    (incoming,) = (
        each for each in callee.receive(invite, A, 0.0) if isinstance(each, IncomingInvite)
    )
    callee.reject(incoming.leg, 486, 0.0)
    for datagram, _ in callee.take_outgoing():
        next_life.receive(datagram, B, 0.0)
    assert not next_life.take_outgoing()


def test_an_answer_to_an_offer_of_a_former_life_is_acknowledged_in_the_dialog_that_goes_on() -> (
    None
):
    """Who hears no ACK for half a minute hangs up on a talk that an edge had taken over."""
    caller, dying, next_life = stack(B), stack(A), stack(A, "again")
    leg = talking(caller, dying)
    dying.reinvite(leg, b"v=0 moved", 1.0)
    written = dying.dialog(leg)
    ((offer, _),) = dying.take_outgoing()
    next_life.adopt(written, 2.0)
    (offered,) = (each for each in caller.receive(offer, A, 2.0))
    assert isinstance(offered, OfferReceived)
    caller.answer_offer(offered.leg, SDP, 2.0)
    answer = caller.take_outgoing()[-1][0]
    next_life.receive(answer, B, 2.0)
    next_life.take_outgoing()  # lost
    next_life.receive(answer, B, 2.5)
    ((ack, where),) = next_life.take_outgoing()
    assert ack.startswith(b"ACK ")
    assert where == B
    caller.receive(ack, A, 2.5)
    assert not [each for each in caller.handle_timers(60.0) if isinstance(each, Ended)]
    assert caller.legs() == next_life.legs() == 1


def talking(caller: SipStack, callee: SipStack) -> LegId:
    """Let the caller, at B, be answered by the callee, at A; return the callee's leg."""
    caller.invite(
        request_uri="sip:a@192.0.2.1",
        from_uri="sip:b@192.0.2.2",
        to_uri="sip:a@192.0.2.1",
        next_hop=A,
        sdp=SDP,
        now=0.0,
    )
    ((invite, _),) = caller.take_outgoing()
    (incoming,) = callee.receive(invite, B, 0.0)
    assert isinstance(incoming, IncomingInvite)
    callee.answer(incoming.leg, SDP, 0.0)
    for sender, receiver, source in ((callee, caller, A), (caller, callee, B)):
        for datagram, _ in sender.take_outgoing():
            receiver.receive(datagram, source, 0.0)
    return incoming.leg
