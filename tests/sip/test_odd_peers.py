"""Peers that do what they may, or may not, at a moment when nobody expects it."""

from __future__ import annotations

import pytest

from edge.sip.errors import LocalError
from edge.sip.events import (
    Answered,
    Confirmed,
    Ended,
    EndedBy,
    OfferAnswered,
    OfferReceived,
    Progress,
    Rejected,
)
from edge.sip.message import Request
from edge.sip.uac import MOST_FORKS
from tests.sip.network import ANSWER, LOST, OFFER, Network, Party, arrived, established


def request_of(callee: Party, caller: Party, invite: Request, method: str, body: bytes) -> str:
    """Write a request of the callee's within the dialog that its first 1xx has made."""
    return (
        f"{method} sip:everline@{caller.address} SIP/2.0\n"
        f"Via: SIP/2.0/UDP {callee.address};branch=z9hG4bK-odd-{method};rport\nMax-Forwards: 70\n"
        f"From: {invite.first('to')};tag={callee.leg}\nTo: {invite.first('from')}\n"
        f"Call-ID: {invite.call_id}\nCSeq: 1 {method}\nContact: <sip:bob@{callee.address}>\n"
        f"Content-Type: application/sdp\nContent-Length: {len(body)}\n\n{body.decode()}"
    )


def test_an_answer_whose_route_makes_no_sense_ends_a_call_that_rang() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    callee.stack.progress(callee.leg, 180, network.now)
    network.run(0.1)

    def spoil(datagram: bytes) -> bytes:
        if datagram.startswith(b"SIP/2.0 200") and b"INVITE" in datagram:
            return datagram.replace(b"Contact:", b"Record-Route: <nonsense>\r\nContact:", 1)
        return datagram

    network.tamper = spoil
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(1.0)
    assert caller.only(Rejected).status == 502
    assert not caller.of(Answered)
    network.run_out()


def test_an_offer_refused_in_an_early_dialog_is_in_nobodys_way_later() -> None:
    network = Network()
    caller, callee, leg = arrived(network)
    callee.stack.progress(callee.leg, 183, network.now, sdp=ANSWER, reliable=True)
    network.run(0.1)
    invite = network.sent("alice", "INVITE")[0]
    assert isinstance(invite, Request)
    network.inject(caller, request_of(callee, caller, invite, "UPDATE", b"v=0"), callee.address)
    caller.stack.refuse_offer(leg, 488, network.now)
    network.run(0.1)
    assert network.sent("alice", 488)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(0.1)
    caller.stack.reinvite(leg, OFFER, network.now)
    network.run(0.1)
    callee.stack.answer_offer(callee.leg, ANSWER, network.now)
    network.run(0.1)
    assert caller.only(OfferAnswered).sdp == ANSWER
    caller.stack.bye(leg, network.now)
    network.run_out()


def test_an_offer_refused_after_our_goodbye_is_not_made_again() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.stack.reinvite(out, OFFER, network.now)
    network.run(0.1)
    assert callee.heard(OfferReceived)
    network.lose(b"BYE")
    caller.stack.bye(out, network.now)
    network.run(0.1)
    callee.stack.refuse_offer(incoming, 491, network.now)
    network.run(10.0)
    assert len(network.sent("alice", "INVITE")) == 1
    network.tamper = None
    network.run_out()


def test_their_offer_after_our_goodbye_is_acknowledged_and_not_handed_out() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.stack.reinvite(out, None, network.now)
    network.run(0.1)
    network.lose(b"BYE")
    caller.stack.bye(out, network.now)
    network.run(0.1)
    callee.stack.answer_offer(incoming, OFFER, network.now)
    network.run(0.1)
    assert len(network.sent("alice", "ACK")) == 1
    assert not caller.of(OfferReceived)
    network.tamper = None
    network.run_out()


def test_who_asks_anew_while_a_goodbye_waits_for_their_lost_ack_hears_it() -> None:
    network = Network()
    caller, callee, leg = arrived(network)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.collect()
    network.fates = iter([LOST])  # the ACK
    callee.stack.bye(callee.leg, network.now)
    network.run(0.02)
    assert network.sent("alice", "ACK")
    assert not network.sent("bob", "BYE")
    network.lose(b"ACK")
    caller.stack.reinvite(leg, OFFER, network.now)
    network.run(1.0)
    assert len(network.sent("bob", "BYE")) == 1
    assert callee.only(Ended).by is EndedBy.LOCAL
    assert not callee.of(OfferReceived)
    network.run_out()


@pytest.mark.parametrize("rang", [False, True])
@pytest.mark.parametrize("say", ["update", "info", "ask"])
def test_who_speaks_in_a_dialog_that_only_our_200_told_them_of_has_got_it(
    say: str, *, rang: bool
) -> None:
    """Once it rings they may speak before that 200 has come (RFC 3311 §5.1)."""
    network = Network()
    caller, callee, leg = arrived(network)
    if rang:
        callee.stack.progress(callee.leg, 180, network.now)
        network.run(0.1)
    network.lose(b"ACK")
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(0.1)
    callee.stack.reinvite(callee.leg, OFFER, network.now)
    match say:
        case "update":
            caller.stack.update(leg, OFFER, network.now)
        case "info":
            caller.stack.info(leg, "a/b", b"x", network.now)
        case _:
            caller.stack.ask(leg, network.now)
    network.run(0.1)
    assert len(callee.of(Confirmed)) == (not rang)
    if say == "update":
        callee.stack.answer_offer(callee.leg, ANSWER, network.now)
    network.run(1.0)
    assert bool(network.sent("bob", "INVITE")) is not rang
    network.tamper = None
    network.run(8.0)
    assert callee.heard(Confirmed)
    assert len(network.sent("bob", "INVITE")) == 1, "what waited for the ACK has gone out"


def test_a_request_does_not_stand_for_the_ack_that_is_to_bring_an_answer() -> None:
    network = Network()
    caller, callee, leg = arrived(network, sdp=None)
    callee.stack.answer(callee.leg, OFFER, network.now)
    network.run(0.1)
    caller.stack.info(leg, "a/b", b"x", network.now)
    network.run(0.1)
    assert not callee.of(Confirmed)
    caller.stack.acknowledge(leg, ANSWER, network.now)
    network.run(0.1)
    assert callee.only(Confirmed).sdp == ANSWER


def response_to(invite: Request, status: int, tag: str, more: str = "", body: str = "") -> str:
    """Write a response of the callee's to the caller's INVITE."""
    return (
        f"SIP/2.0 {status} Odd\nVia: {invite.first('via')}\nFrom: {invite.first('from')}\n"
        f"To: {invite.first('to')};tag={tag}\nCall-ID: {invite.call_id}\n"
        f"CSeq: {invite.first('cseq')}\nContact: <sip:bob@192.0.2.2>\n{more}"
        f"Content-Type: application/sdp\nContent-Length: {len(body)}\n\n{body}"
    )


def test_who_rings_and_answers_under_a_thousand_names_is_heard_under_few() -> None:
    network = Network()
    caller, callee = network.party("alice"), network.party("bob")
    callee.deaf = True
    leg = caller.call(callee)
    (invite,) = network.sent("alice", "INVITE")
    assert isinstance(invite, Request)
    for number in range(1000):
        network.inject(caller, response_to(invite, 180, f"t{number}"), callee.address)
    assert len(caller.of(Progress)) == MOST_FORKS
    network.inject(caller, response_to(invite, 200, "another", body="v=0"), callee.address)
    assert caller.only(Answered).leg == leg
    for number in range(1000):
        network.inject(caller, response_to(invite, 200, f"u{number}", body="v=0"), callee.address)
    assert len(network.sent("alice", "ACK")) == MOST_FORKS
    assert len(network.sent("alice", "BYE")) == MOST_FORKS - 1
    caller.stack.bye(leg, network.now)
    network.run_out()


def test_an_offer_after_one_that_was_left_open_is_refused_and_not_kept_for_ever() -> None:
    """They answer although their offer in a 183 has not been answered (RFC 3262 §5)."""
    network = Network()
    caller, callee = network.party("alice"), network.party("bob")
    callee.deaf = True
    leg = caller.call(callee, sdp=None)
    (invite,) = network.sent("alice", "INVITE")
    assert isinstance(invite, Request)
    reliable = "Require: 100rel\nRSeq: 1\n"
    network.inject(caller, response_to(invite, 183, "t", reliable, "v=0"), callee.address)
    network.inject(caller, response_to(invite, 200, "t"), callee.address)
    assert caller.heard(Answered)
    again = (
        f"INVITE sip:everline@{caller.address} SIP/2.0\n"
        f"Via: SIP/2.0/UDP {callee.address};branch=z9hG4bK-odd-again\nMax-Forwards: 70\n"
        f"From: {invite.first('to')};tag=t\nTo: {invite.first('from')}\n"
        f"Call-ID: {invite.call_id}\nCSeq: 7 INVITE\nContact: <sip:bob@{callee.address}>\n\n"
    )
    network.inject(caller, again, callee.address)
    assert caller.only(OfferReceived).sdp is None
    with pytest.raises(LocalError):
        caller.stack.answer_offer(leg, OFFER, network.now)
    network.collect()
    assert network.sent("alice", 500)
    caller.stack.bye(leg, network.now)
    network.run_out()


def test_an_offer_that_their_200_overtakes_is_refused_and_the_call_goes_on() -> None:
    network = Network()
    caller, callee, leg = arrived(network)
    callee.stack.progress(callee.leg, 183, network.now, sdp=ANSWER, reliable=True)
    network.run(0.1)
    callee.stack.update(callee.leg, b"v=0 moved", network.now)
    network.run(0.1)
    (invite,) = network.sent("alice", "INVITE")
    assert isinstance(invite, Request)
    network.inject(caller, response_to(invite, 200, callee.leg), callee.address)
    assert network.sent("alice", 487)
    assert caller.only(Answered).sdp == ANSWER
    caller.stack.reinvite(leg, OFFER, network.now)
    network.collect()
    assert len(network.sent("alice", "INVITE")) == 2
    caller.stack.bye(leg, network.now)
    network.run_out()


def test_an_answer_that_came_in_a_183_need_not_come_again_in_the_200() -> None:
    """The first session description of a dialog is the answer (RFC 3261 §13.2.1)."""
    network = Network()
    caller, callee = network.party("alice"), network.party("bob")
    callee.deaf = True
    leg = caller.call(callee)
    (invite,) = network.sent("alice", "INVITE")
    assert isinstance(invite, Request)
    network.inject(caller, response_to(invite, 183, "t", body="v=0"), callee.address)
    network.inject(caller, response_to(invite, 180, "t"), callee.address)
    network.inject(caller, response_to(invite, 200, "t"), callee.address)
    assert caller.only(Answered).sdp == b"v=0"
    assert not caller.of(Rejected)
    assert len(network.sent("alice", "ACK")) == 1
    caller.stack.reinvite(leg, OFFER, network.now)
    network.collect()
    assert len(network.sent("alice", "INVITE")) == 2
    caller.stack.bye(leg, network.now)
    network.run_out()


def test_a_200_without_a_description_does_not_answer_by_another_forks_183() -> None:
    network = Network()
    caller, callee = network.party("alice"), network.party("bob")
    callee.deaf = True
    caller.call(callee)
    (invite,) = network.sent("alice", "INVITE")
    assert isinstance(invite, Request)
    network.inject(caller, response_to(invite, 183, "t", body="v=0"), callee.address)
    network.inject(caller, response_to(invite, 200, "u"), callee.address)
    assert caller.only(Rejected).status == 488
    assert not caller.of(Answered)
    network.run_out()
