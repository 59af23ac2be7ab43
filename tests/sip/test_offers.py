"""Offers within an established call: answered, refused, crossing, or met by a goodbye."""

from __future__ import annotations

import re

import pytest

from edge.sip.errors import LocalError
from edge.sip.events import (
    Answered,
    Confirmed,
    Ended,
    EndedBy,
    Event,
    IncomingInvite,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
)
from edge.sip.message import Request
from edge.sip.own_offers import MAX_PUT_OFF
from tests.sip.network import (
    ANSWER,
    FINE,
    LOST,
    OFFER,
    Fate,
    Network,
    Party,
    arrived,
    established,
)


def test_late_offer_brings_the_answer_in_ack() -> None:
    network = Network()
    caller, callee, leg = arrived(network, sdp=None)
    assert callee.only(IncomingInvite).sdp is None
    callee.stack.answer(callee.leg, OFFER, network.now)
    network.run(0.6)
    answered = caller.only(Answered)
    assert (answered.sdp, answered.needs_ack_sdp) == (OFFER, True)
    assert not network.sent("alice", "ACK")
    caller.stack.acknowledge(leg, ANSWER, network.now)
    network.run(0.1)
    assert callee.only(Confirmed).sdp == ANSWER


@pytest.mark.parametrize("method", ["reinvite", "update"])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_new_offer_is_answered(method: str, who: str) -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    mine, theirs = (caller, callee) if who == "caller" else (callee, caller)
    my_leg, their_leg = (out, incoming) if who == "caller" else (incoming, out)
    getattr(mine.stack, method)(my_leg, b"v=0 hold", network.now)
    network.run(0.1)
    received = theirs.only(OfferReceived)
    assert received.sdp == b"v=0 hold"
    assert received.method == ("INVITE" if method == "reinvite" else "UPDATE")
    theirs.stack.answer_offer(their_leg, b"v=0 held", network.now)
    network.run(0.1)
    assert mine.only(OfferAnswered).sdp == b"v=0 held"
    mine.stack.bye(my_leg, network.now)
    network.run_out()


def test_an_offer_before_their_answer_is_what_they_go_by() -> None:
    """As of a carrier that moves its early media (RFC 3311 §5.2): its 200 says nothing more."""
    network = Network()
    caller, callee, leg = arrived(network)
    callee.stack.progress(callee.leg, 183, network.now, sdp=ANSWER, reliable=True)
    network.run(0.1)
    callee.stack.update(callee.leg, b"v=0 moved", network.now)
    network.run(0.1)
    offered = caller.only(OfferReceived)
    assert (offered.method, offered.sdp, offered.is_early) == ("UPDATE", b"v=0 moved", True)
    caller.stack.answer_offer(leg, b"v=0 ours", network.now)
    network.run(0.1)
    assert callee.only(OfferAnswered).sdp == b"v=0 ours"
    assert caller.stack.told(leg) == b"v=0 ours"
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(0.1)
    assert caller.only(Answered).sdp == b"v=0 moved"
    caller.stack.bye(leg, network.now)
    network.run_out()


def test_a_refused_offer_leaves_the_call_as_it_was() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.stack.reinvite(out, b"v=0 odd", network.now)
    network.run(0.1)
    callee.stack.refuse_offer(incoming, 488, network.now)
    network.run(0.1)
    refused = caller.only(OfferRefused)
    assert (refused.status, refused.timeout) == (488, False)
    caller.stack.reinvite(out, b"v=0 better", network.now)
    network.run(0.1)
    callee.stack.answer_offer(incoming, ANSWER, network.now)
    network.run(0.1)
    assert caller.heard(OfferAnswered)


def test_reinvite_without_offer_asks_for_theirs_and_ack_brings_the_answer() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.stack.reinvite(out, None, network.now)
    network.run(0.1)
    assert callee.only(OfferReceived).sdp is None
    callee.stack.answer_offer(incoming, OFFER, network.now)
    network.run(0.1)
    offered = caller.only(OfferReceived)
    assert (offered.method, offered.sdp) == ("200", OFFER)
    caller.stack.answer_offer(out, ANSWER, network.now)
    network.run(0.1)
    assert callee.only(OfferAnswered).sdp == ANSWER
    callee.stack.bye(incoming, network.now)
    network.run_out()


def test_reinvite_before_ack_goes_out_when_ack_has_come() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    callee.stack.reinvite(callee.leg, b"v=0 next", network.now)
    assert not network.sent("bob", "INVITE")
    network.run(0.2)
    assert caller.only(OfferReceived).sdp == b"v=0 next"


def test_two_offers_that_cross_are_retried_and_both_succeed() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.on_event = callee.on_event = lambda party, event: (
        party.stack.answer_offer(event.leg, ANSWER, network.now)
        if isinstance(event, OfferReceived)
        else None
    )
    caller.stack.reinvite(out, b"v=0 a", network.now)
    callee.stack.reinvite(incoming, b"v=0 b", network.now)
    start = network.now
    network.run(10)
    assert network.sent("alice", 491)
    assert network.sent("bob", 491)
    assert caller.heard(OfferAnswered)
    assert callee.heard(OfferAnswered)
    retries = {
        name: at for at, name, m in network.trace if isinstance(m, Request) and m.method == "INVITE"
    }
    assert 2.1 <= retries["alice"] - start <= 4.1, "the owner of the Call-ID waits longer"
    assert retries["bob"] - start <= 2.1


def test_updates_that_cross_are_retried_too() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.on_event = callee.on_event = lambda party, event: (
        party.stack.answer_offer(event.leg, ANSWER, network.now)
        if isinstance(event, OfferReceived)
        else None
    )
    caller.stack.update(out, b"v=0 a", network.now)
    callee.stack.update(incoming, b"v=0 b", network.now)
    network.run(10)
    assert caller.heard(OfferAnswered)
    assert callee.heard(OfferAnswered)


def put_off(network: Network, said: bytes, *, times: int = 1) -> tuple[Party, Party, float]:
    """Return two who talk, of whom one offers and the other refuses so many times, and when."""
    caller, callee, leg, _ = established(network)

    def take(party: Party, event: Event) -> None:
        if not isinstance(event, OfferReceived):
            return
        if len(party.of(OfferReceived)) <= times:
            party.stack.refuse_offer(event.leg, int(said[:3]), network.now)
        else:
            party.stack.answer_offer(event.leg, ANSWER, network.now)

    callee.on_event = take
    network.tamper = lambda wire: re.sub(rb"^SIP/2.0 [45][^\r]*", b"SIP/2.0 " + said, wire)
    caller.stack.reinvite(leg, b"v=0 mine", network.now)
    return caller, callee, network.now


@pytest.mark.parametrize(
    ("said", "pause_s"),
    [
        (b"500 Server Internal Error\r\nRetry-After: 0", 0.5),
        (b"500 Server Internal Error\r\nRetry-After: 7", 7),
        (b"503 Service Unavailable\r\nRetry-After: 10 (in a meeting);duration=3600", 10),
    ],
)
def test_an_offer_that_is_put_off_is_made_again_when_it_may_be(said: bytes, pause_s: float) -> None:
    network = Network()
    caller, callee, start = put_off(network, said)
    network.run(12)
    assert not caller.of(OfferRefused)
    assert caller.only(OfferAnswered).sdp == ANSWER
    assert callee.of(OfferReceived)[1].sdp == b"v=0 mine"
    offers = network.sent("alice", "INVITE")
    sent = [at for at, _, message in network.trace if message in offers]
    assert sent[1] - start == pytest.approx(pause_s, abs=0.1)


@pytest.mark.parametrize(
    "said",
    [
        b"500 Server Internal Error",
        b"503 Service Unavailable\r\nRetry-After: 3600",
        b"503 Service Unavailable\r\nRetry-After: later",
        b"488 Not Acceptable Here\r\nRetry-After: 1",
    ],
)
def test_an_offer_that_is_not_to_be_made_again_soon_is_refused(said: bytes) -> None:
    network = Network()
    caller, _, _ = put_off(network, said)
    network.run(0.2)
    assert caller.only(OfferRefused).status == int(said[:3])


def test_an_offer_that_is_put_off_for_ever_is_refused() -> None:
    network = Network()
    caller, _, _ = put_off(network, b"500 Server Internal Error\r\nRetry-After: 2", times=99)
    network.run(10)
    assert caller.only(OfferRefused).status == 500
    assert len(network.sent("alice", "INVITE")) == 1 + MAX_PUT_OFF


def test_an_offer_that_has_crossed_theirs_often_may_be_put_off_all_the_same() -> None:
    network = Network()
    caller, callee, leg, _ = established(network)
    says = iter([b"491 Request Pending"] * 3 + [b"500 Server Internal Error\r\nRetry-After: 1"])

    def take(party: Party, event: Event) -> None:
        if not isinstance(event, OfferReceived):
            return
        if len(party.of(OfferReceived)) <= 4:
            party.stack.refuse_offer(event.leg, 500, network.now)
        else:
            party.stack.answer_offer(event.leg, ANSWER, network.now)

    callee.on_event = take
    network.tamper = lambda wire: (
        wire.replace(b"500 Server Internal Error", next(says)) if wire[8:11] == b"500" else wire
    )
    caller.stack.reinvite(leg, b"v=0 mine", network.now)
    network.run(20)
    assert caller.only(OfferAnswered).sdp == ANSWER


def test_a_second_offer_while_the_first_waits_is_a_local_error() -> None:
    network = Network()
    caller, _, out, _ = established(network)
    caller.stack.reinvite(out, OFFER, network.now)
    with pytest.raises(LocalError, match="pending"):
        caller.stack.reinvite(out, OFFER, network.now)


def test_hanging_up_with_an_unanswered_offer_of_theirs_refuses_it() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.stack.reinvite(out, OFFER, network.now)
    network.run(0.1)
    callee.stack.bye(incoming, network.now)
    network.run(0.2)
    assert network.sent("bob", 487)
    assert caller.only(Ended).by is EndedBy.REMOTE
    network.run_out()


def test_an_offer_that_nobody_answers_ends_the_call() -> None:
    network = Network()
    caller, callee, out, _ = established(network)
    callee.deaf = True
    caller.stack.reinvite(out, OFFER, network.now)
    network.run(33)
    assert caller.only(OfferRefused).timeout
    assert caller.only(Ended).cause == "gone"
    network.run_out()


def test_an_offer_to_a_leg_that_is_gone_there_ends_here() -> None:
    network = Network()
    caller, callee, out, _ = established(network)
    replacement = network.party("bob2")
    callee.deaf = True
    replacement.address = callee.address
    network.parties.remove(callee)
    caller.stack.info(out, "application/dtmf-relay", b"Signal=1", network.now)
    network.run(1)
    assert caller.only(Ended).cause == "gone"
    network.run_out()


@pytest.mark.parametrize("method", ["reinvite", "update"])
@pytest.mark.parametrize("lost", [0, 1])
def test_an_offer_to_who_has_just_hung_up_does_not_speak_for_them(method: str, lost: int) -> None:
    """Their BYE and our offer have crossed, and the answer to the offer came first."""
    network = Network()
    caller, callee, out, incoming = established(network)
    bye = LOST if lost else Fate((0.1,))
    network.fates = iter([bye])
    caller.stack.bye(out, network.now)
    network.collect()
    getattr(callee.stack, method)(incoming, OFFER, network.now)
    network.run(0.05)
    assert callee.events == []
    network.run(1)
    ended = callee.only(Ended)
    assert (ended.by, ended.cause) == (EndedBy.REMOTE, "bye")
    assert caller.only(Ended).cause == "bye"
    assert not callee.of(OfferRefused)
    network.run_out()


@pytest.mark.parametrize("method", ["reinvite", "update"])
def test_whoever_hangs_up_in_place_of_answering_an_offer_has_hung_up(method: str) -> None:
    """Their 487 to the offer and their BYE go out in one breath, and come in this order."""
    network = Network()
    caller, callee, out, incoming = established(network)
    getattr(callee.stack, method)(incoming, OFFER, network.now)
    network.run(0.1)
    assert caller.of(OfferReceived)
    network.fates = iter([FINE, Fate((0.05,))])
    caller.stack.bye(out, network.now)
    network.run(0.2)
    assert network.sent("alice", 487)
    assert [type(event) for event in callee.events] == [Ended]
    assert (callee.only(Ended).by, callee.only(Ended).cause) == (EndedBy.REMOTE, "bye")
    network.run_out()


def test_an_offer_to_who_is_gone_and_says_no_more_ends_the_call_in_their_name() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    network.lose(b"BYE")
    caller.stack.bye(out, network.now)
    network.run(33)
    network.tamper = None
    callee.stack.reinvite(incoming, OFFER, network.now)
    network.run(2)
    assert callee.events == []
    network.run(1)
    assert (callee.only(Ended).by, callee.only(Ended).cause) == (EndedBy.REMOTE, "gone")
    network.run_out()
