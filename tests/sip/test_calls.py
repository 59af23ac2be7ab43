"""Whole calls between two stacks: who hears what, and what goes over the wire."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from edge.sip.digest import Challenge, proof
from edge.sip.errors import LocalError
from edge.sip.events import (
    CROSSED,
    Address,
    Answered,
    Cancelled,
    Confirmed,
    Discarded,
    Ended,
    EndedBy,
    IncomingInvite,
    InfoReceived,
    Notified,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    OfferWithdrawn,
    Progress,
    ReferReceived,
    Rejected,
    RequestReceived,
    ResponseReceived,
)
from edge.sip.message import Request, Response
from tests.sip.network import ANSWER, FINE, LOST, OFFER, Fate, Network, Party, arrived, established


def test_a_call_is_answered_confirmed_and_hung_up() -> None:
    network = Network()
    caller, callee, out, _ = established(network)
    caller.stack.bye(out, network.now, reason='Q.850;cause=16;text="done"')
    network.run(0.1)
    assert caller.only(Ended).by is EndedBy.LOCAL
    ended = callee.only(Ended)
    assert (ended.by, ended.cause) == (EndedBy.REMOTE, "bye")
    assert ended.reason == 'Q.850;cause=16;text="done"'
    network.run_out()


def test_a_new_invite_says_who_calls() -> None:
    network = Network()
    caller, callee, _ = arrived(network, headers={"X-Everline-Via": "a"}, sip_call_id="call-1")
    invite = callee.only(IncomingInvite)
    assert invite.from_uri == "sip:alice@everline"
    assert invite.to_uri == "sip:bob@everline"
    assert invite.headers["x-everline-via"] == "a"
    assert (invite.sip_call_id, invite.source) == ("call-1", caller.address)


def test_progress_then_answer_reaches_the_caller_with_the_description() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    callee.stack.progress(callee.leg, 183, network.now, sdp=ANSWER)
    network.run(0.1)
    callee.stack.answer(callee.leg, ANSWER, network.now, headers={"X-Test": "1"})
    network.run(0.1)
    assert caller.only(Progress).sdp == ANSWER
    assert caller.only(Answered).sdp == ANSWER
    assert callee.only(Confirmed).sdp is None


@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
def test_a_refusal_reaches_the_caller_and_is_acknowledged(status: int) -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    callee.stack.reject(
        callee.leg, status, network.now, reason="Not Now", headers={"Retry-After": "3"}
    )
    network.run(0.1)
    rejected = caller.only(Rejected)
    assert (rejected.status, rejected.reason, rejected.timeout) == (status, "Not Now", False)
    assert rejected.headers["retry-after"] == "3"
    assert len(network.sent("alice", "ACK")) == 1
    network.run_out()


def test_a_call_to_nobody_times_out_after_the_given_time() -> None:
    network = Network()
    caller, callee = network.party("alice"), network.party("bob")
    callee.deaf = True
    caller.call(callee, timer_b_s=2.0)
    network.run(1.9)
    assert not caller.events
    network.run(0.2)
    assert caller.only(Rejected).timeout
    assert len(network.sent("alice", "INVITE")) == 3
    network.run_out()


def test_a_callee_that_dies_while_it_rings_is_given_up_in_the_end() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    callee.deaf = True
    network.run_out()
    assert caller.only(Rejected).timeout


# -- CANCEL


def test_cancel_ends_a_ringing_call_on_both_sides() -> None:
    network = Network()
    caller, callee, leg = arrived(network)
    callee.stack.progress(callee.leg, 180, network.now)
    network.run(0.1)
    caller.stack.cancel(leg, network.now, reason="SIP;cause=200")
    network.run(0.1)
    assert callee.only(Cancelled).reason == "SIP;cause=200"
    ended = caller.only(Ended)
    assert (ended.by, ended.cause) == (EndedBy.LOCAL, "cancelled")
    assert len(network.sent("bob", 487)) == 1
    network.run_out()


def test_cancel_waits_for_a_provisional_response() -> None:
    network = Network([LOST])
    caller, callee = network.party("alice"), network.party("bob")
    leg = caller.call(callee)
    caller.stack.cancel(leg, network.now)
    network.run(0.4)
    assert not network.sent("alice", "CANCEL")
    network.run(0.3)
    assert network.sent("alice", "CANCEL")
    assert callee.heard(Cancelled)
    assert caller.only(Ended).cause == "cancelled"
    network.run_out()


def test_a_200_that_crosses_cancel_is_acknowledged_and_hung_up() -> None:
    network = Network()
    caller, callee, leg = arrived(network)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    caller.stack.cancel(leg, network.now)
    network.run(0.2)
    assert not caller.of(Answered)
    assert caller.only(Ended).cause == "cancelled"
    assert len(network.sent("alice", "ACK")) == 1
    assert len(network.sent("alice", "BYE")) == 1
    assert callee.only(Ended).by is EndedBy.REMOTE
    assert not callee.of(Cancelled)
    network.run_out()


def test_cancel_for_no_invite_gets_481() -> None:
    network = Network()
    callee = network.party("bob")
    network.inject(callee, CANCEL, Address("192.0.2.9", 5060))
    assert network.sent("bob", 481)


CANCEL = """CANCEL sip:bob@everline SIP/2.0
Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKnone
Max-Forwards: 70
From: <sip:x@everline>;tag=x
To: <sip:bob@everline>
Call-ID: none
CSeq: 1 CANCEL
Content-Length: 0

"""


@pytest.mark.parametrize(("cancel_timeout_s", "over_s"), [(None, 32.0), (8.0, 8.0)])
def test_a_cancelled_invite_that_nobody_ends_is_over_when_its_time_is(
    cancel_timeout_s: float | None, over_s: float
) -> None:
    network = Network()
    caller, callee, leg = arrived(network, callers={"cancel_timeout_s": cancel_timeout_s})
    callee.stack.progress(callee.leg, 180, network.now)
    network.run(0.1)
    callee.deaf = True
    caller.stack.cancel(leg, network.now, reason="SIP;cause=487")
    network.run(over_s - 0.1)
    assert not caller.of(Ended)
    network.run(0.2)
    ended = caller.only(Ended)
    assert (ended.by, ended.cause, ended.reason) == (EndedBy.LOCAL, "cancelled", "SIP;cause=487")
    assert caller.stack.legs() == 0
    network.run_out()


def test_a_telephone_whose_site_comes_back_after_the_cancel_was_given_up_stops_ringing() -> None:
    network = Network()
    caller, callee, leg = arrived(network, callers={"cancel_timeout_s": 8.0})
    callee.stack.progress(callee.leg, 180, network.now)
    network.run(0.1)
    callee.deaf = True
    caller.stack.cancel(leg, network.now)
    network.run(10)
    assert caller.heard(Ended)
    callee.deaf = False
    network.run(5)
    assert callee.heard(Cancelled)
    network.run_out()
    assert caller.heard(Ended)


@pytest.mark.parametrize("after_s", [10.0, 60.0])
def test_a_200_after_the_cancel_was_given_up_is_acknowledged_and_hung_up(after_s: float) -> None:
    network = Network()
    caller, callee, leg = arrived(network, callers={"cancel_timeout_s": 8.0})
    network.lose(b"CANCEL")
    caller.stack.cancel(leg, network.now)
    network.run(after_s)
    assert caller.heard(Ended)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(1)
    assert not caller.of(Answered)
    assert len(network.sent("alice", "ACK")) == 1
    assert len(network.sent("alice", "BYE")) == 1
    assert callee.only(Ended).by is EndedBy.REMOTE
    network.run_out()
    assert caller.heard(Ended)


# -- ACK and retransmission


def test_a_200_is_retransmitted_until_ack_and_a_repeated_200_is_acknowledged_again() -> None:
    network = Network()
    _, callee, _ = arrived(network)
    callee.stack.progress(callee.leg, 180, network.now)
    network.run(0.1)
    network.fates = iter([LOST, LOST])
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(5)
    assert len(network.sent("bob", 200)) == 3
    assert len(network.sent("alice", "ACK")) == 1
    network.fates = iter([])
    assert callee.heard(Confirmed)


def test_a_lost_ack_is_sent_again_for_the_repeated_200() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.collect()
    network.fates = iter([LOST])
    network.run(2)
    assert len(network.sent("alice", "ACK")) == 2
    assert len(caller.of(Answered)) == 1
    assert callee.heard(Confirmed)


def test_without_ack_the_callee_says_bye_after_32_seconds() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    caller.deaf = True
    network.run(31.9)
    assert not callee.of(Ended)
    network.run(0.5)
    ended = callee.only(Ended)
    assert (ended.by, ended.cause) == (EndedBy.FAULT, "no_ack")
    assert len(network.sent("bob", "BYE")) == 1
    assert len(network.sent("bob", 200)) == 11
    network.run_out()


def test_bye_before_ack_waits_for_it() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    callee.stack.bye(callee.leg, network.now)
    assert not network.sent("bob", "BYE")
    network.run(0.2)
    assert callee.only(Ended).by is EndedBy.LOCAL
    assert caller.only(Ended).by is EndedBy.REMOTE
    network.run_out()


def test_bye_that_nobody_answers_ends_the_leg_all_the_same() -> None:
    network = Network()
    caller, callee, out, _ = established(network)
    callee.deaf = True
    caller.stack.bye(out, network.now)
    network.run(33)
    ended = caller.only(Ended)
    assert (ended.by, ended.cause) == (EndedBy.FAULT, "bye_timeout")
    network.run_out()


def test_two_byes_that_cross_end_the_call_once_on_each_side() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.stack.bye(out, network.now)
    callee.stack.bye(incoming, network.now)
    network.run_out()
    for side in (caller, callee):
        assert (side.only(Ended).by, side.only(Ended).cause) == (EndedBy.LOCAL, CROSSED)


# -- offers


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


# -- reliable provisional responses


def test_a_reliable_provisional_is_acknowledged_by_prack_and_its_answer_counts() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    callee.stack.progress(callee.leg, 183, network.now, sdp=ANSWER, reliable=True)
    network.run(0.1)
    assert len(network.sent("alice", "PRACK")) == 1
    assert caller.only(Progress).sdp == ANSWER
    callee.stack.answer(callee.leg, b"v=0 another", network.now)
    network.run(0.1)
    assert caller.only(Answered).sdp == ANSWER, "what was agreed stands"
    assert len(network.sent("bob", 183)) == 1


def test_a_lost_reliable_provisional_is_sent_again_and_the_answer_waits_for_prack() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    network.fates = iter([LOST])
    callee.stack.progress(callee.leg, 183, network.now, sdp=ANSWER, reliable=True)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(0.2)
    assert not network.sent("bob", 200)
    network.run(1)
    assert len(network.sent("bob", 183)) == 2
    assert caller.heard(Answered)


def test_several_reliable_provisionals_go_one_after_the_other() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    for status in (181, 182, 180):
        callee.stack.progress(callee.leg, status, network.now, reliable=True)
    network.run(0.5)
    assert [event.status for event in caller.of(Progress)] == [181, 182, 180]
    assert len(network.sent("alice", "PRACK")) == 3


def test_a_late_offer_in_a_reliable_provisional_is_answered_in_prack() -> None:
    network = Network()
    caller, callee, leg = arrived(network, sdp=None)
    callee.stack.progress(callee.leg, 183, network.now, sdp=OFFER, reliable=True)
    network.run(0.1)
    assert caller.only(Progress).needs_prack_sdp
    caller.stack.acknowledge(leg, ANSWER, network.now)
    network.run(0.1)
    assert callee.only(OfferAnswered).sdp == ANSWER
    callee.stack.answer(callee.leg, OFFER, network.now)
    network.run(0.1)
    assert not caller.only(Answered).needs_ack_sdp
    assert callee.heard(Confirmed)


def test_without_prack_the_call_is_refused_with_504() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    network.lose(b"PRACK")
    callee.stack.progress(callee.leg, 183, network.now, sdp=ANSWER, reliable=True)
    network.run(40)
    assert caller.only(Rejected).status == 504
    assert callee.only(Ended).cause == "no_prack"
    network.run_out()


def test_update_in_an_early_dialog_is_answered() -> None:
    network = Network()
    caller, callee, leg = arrived(network)
    callee.stack.progress(callee.leg, 183, network.now, sdp=ANSWER, reliable=True)
    network.run(0.1)
    caller.stack.update(leg, b"v=0 early", network.now)
    network.run(0.1)
    assert callee.only(OfferReceived).sdp == b"v=0 early"
    callee.stack.answer_offer(callee.leg, b"v=0 earlier", network.now)
    network.run(0.1)
    assert caller.only(OfferAnswered).sdp == b"v=0 earlier"
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(0.1)
    caller.stack.bye(leg, network.now)
    network.run_out()


# -- INFO, REFER, OPTIONS


def test_info_is_answered_and_handed_out() -> None:
    network = Network()
    caller, callee, out, _ = established(network)
    caller.stack.info(out, "application/dtmf-relay", b"Signal=5", network.now)
    network.run(0.1)
    info = callee.only(InfoReceived)
    assert (info.content_type, info.body) == ("application/dtmf-relay", b"Signal=5")
    assert network.sent("bob", 200)


def test_refer_is_accepted_and_its_progress_notified() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.stack.refer(out, "sip:carol@everline", network.now)
    network.run(0.1)
    refer = callee.only(ReferReceived)
    assert refer.refer_to == "sip:carol@everline"
    callee.stack.accept_refer(refer.transaction, network.now)
    network.run(0.1)
    callee.stack.notify_refer(incoming, 200, network.now, final=True)
    network.run(0.1)
    assert [(event.status, event.final) for event in caller.of(Notified)] == [
        (100, False),
        (200, True),
    ]


@pytest.mark.parametrize("fate", [Fate((0.2,)), LOST], ids=["late", "lost"])
def test_a_goodbye_right_after_the_last_notify_does_not_overtake_it(fate: Fate) -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.stack.refer(out, "sip:carol@everline", network.now)
    network.run(0.1)
    callee.stack.accept_refer(callee.only(ReferReceived).transaction, network.now)
    network.run(0.1)
    network.fates = iter([fate])
    callee.stack.notify_refer(incoming, 200, network.now, final=True)
    callee.stack.bye(incoming, network.now, reason="transferred")
    network.run(2.0)
    assert [event.status for event in caller.of(Notified)] == [100, 200]
    assert caller.only(Ended).by is EndedBy.REMOTE
    assert callee.only(Ended).by is EndedBy.LOCAL
    network.run_out()


def test_a_goodbye_does_not_wait_for_ever_for_an_answer_to_the_last_notify() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.stack.refer(out, "sip:carol@everline", network.now)
    network.run(0.1)
    callee.stack.accept_refer(callee.only(ReferReceived).transaction, network.now)
    network.run(0.1)
    caller.deaf = True
    callee.stack.notify_refer(incoming, 200, network.now, final=True)
    callee.stack.bye(incoming, network.now, reason="transferred")
    with pytest.raises(LocalError):
        callee.stack.bye(incoming, network.now, reason="again")
    network.run(1.5)
    assert network.sent("bob", "BYE")


def test_a_refused_refer_says_so() -> None:
    network = Network()
    caller, callee, out, _ = established(network)
    caller.stack.refer(out, "sip:carol@everline", network.now)
    network.run(0.1)
    callee.stack.refuse_refer(callee.only(ReferReceived).transaction, 603, network.now)
    network.run(0.1)
    notified = caller.only(Notified)
    assert (notified.status, notified.final) == (603, True)


def test_a_refused_refer_tells_why_in_its_reason_phrase() -> None:
    network = Network()
    caller, callee, out, _ = established(network)
    caller.stack.refer(out, "sip:carol@everline", network.now)
    network.run(0.1)
    refer = callee.only(ReferReceived)
    callee.stack.refuse_refer(refer.transaction, 486, network.now, reason="carol has a call")
    network.run(0.1)
    (refusal,) = network.sent("bob", 486)
    assert isinstance(refusal, Response)
    assert refusal.reason == "carol has a call"


def test_who_wants_no_notify_gets_none() -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    caller.stack.refer(out, "sip:carol@everline", network.now, wants_progress=False)
    network.run(0.1)
    assert not callee.stack.accept_refer(callee.only(ReferReceived).transaction, network.now)
    network.run(0.1)
    (accepted,) = network.sent("bob", 202)
    assert accepted.first("refer-sub") == "false"
    assert not network.sent("bob", "NOTIFY")
    with pytest.raises(LocalError):
        callee.stack.notify_refer(incoming, 200, network.now, final=True)
    assert [(event.status, event.final) for event in caller.of(Notified)] == [(202, True)]
    callee.stack.bye(incoming, network.now)
    network.run_out()


def ask_options(
    caller: Party,
    callee: Party,
    **more: Any,  # noqa: ANN401 - whatever else `SipStack.request` takes
) -> None:
    """Send OPTIONS to `callee`."""
    caller.stack.request(
        method="OPTIONS",
        request_uri="sip:bob@everline",
        from_uri="sip:alice@everline",
        to_uri="sip:bob@everline",
        next_hop=callee.address,
        now=caller.network.now,
        **more,
    )


def test_options_is_answered_by_itself() -> None:
    network = Network()
    caller, callee = network.party("alice"), network.party("bob")
    ask_options(caller, callee)
    network.run(0.1)
    response = caller.only(ResponseReceived)
    assert response.status == 200
    assert "INVITE" in response.headers["allow"]
    assert not callee.events
    network.run_out()


def test_options_to_nobody_times_out_after_the_given_time() -> None:
    network = Network()
    caller, callee = network.party("alice"), network.party("bob")
    callee.deaf = True
    ask_options(caller, callee, timeout_s=0.8)
    network.run(0.9)
    assert caller.only(ResponseReceived).timeout
    network.run_out()


def test_methods_that_a_stack_handles_come_out_and_are_answered() -> None:
    network = Network()
    caller, registrar = network.party("alice"), network.party("bob", handles={"REGISTER"})
    transaction = caller.stack.request(
        method="REGISTER",
        request_uri="sip:everline",
        from_uri="sip:alice@everline",
        to_uri="sip:alice@everline",
        next_hop=registrar.address,
        now=network.now,
        headers={"Contact": "<sip:alice@192.0.2.1>;expires=60"},
    )
    network.run(0.1)
    request = registrar.only(RequestReceived)
    assert request.headers["contact"] == "<sip:alice@192.0.2.1>;expires=60"
    registrar.stack.respond(
        request.transaction, 200, network.now, headers={"Contact": request.headers["contact"]}
    )
    with pytest.raises(LocalError, match="waits for an answer"):
        registrar.stack.respond(request.transaction, 403, network.now)
    network.run(0.1)
    response = caller.only(ResponseReceived)
    assert (response.transaction, response.status) == (transaction, 200)


# -- forks


def fork_of(callee_answer: Response, tag: str, contact: str) -> str:
    """Write the 200 of another fork of the same INVITE."""
    vias = "".join(f"Via: {via}\n" for via in callee_answer.all("via"))
    body = ANSWER.decode().replace("\r\n", "\n")
    return (
        f"SIP/2.0 200 OK\n{vias}From: {callee_answer.first('from')}\n"
        f"To: <sip:bob@everline>;tag={tag}\nCall-ID: {callee_answer.call_id}\n"
        f"CSeq: {callee_answer.first('cseq')}\nContact: <{contact}>\n"
        f"Content-Type: application/sdp\nContent-Length: {len(ANSWER)}\n\n{body}"
    )


def test_the_second_fork_that_answers_is_acknowledged_and_hung_up() -> None:
    network = Network()
    caller, callee, leg = arrived(network)
    other = network.party("carol")
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(0.1)
    answer = network.sent("bob", 200)[0]
    assert isinstance(answer, Response)
    second = fork_of(answer, "carol-tag", f"sip:carol@{other.address.host}:5060")

    def told_carol(method: str) -> int:
        return sum(each.to.tag == "carol-tag" for each in network.sent("alice", method))

    network.inject(caller, second, callee.address)
    network.run(0.1)
    assert len(caller.of(Answered)) == 1
    assert [told_carol("ACK"), told_carol("BYE")] == [1, 1]
    network.inject(caller, second, callee.address)
    assert told_carol("ACK") == 2, "a 200 that comes again is acknowledged again"
    assert told_carol("BYE") == 1
    assert caller.stack.legs() == 1
    caller.stack.bye(leg, network.now)
    network.run_out()


# -- what is wrong with a request


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
    network.inject(callee, INVITE, source)
    network.inject(callee, INVITE.replace("z9hG4bKone", "z9hG4bKtwo"), source)
    assert len(callee.of(IncomingInvite)) == 1
    assert network.sent("bob", 482)


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
        ("Max-Forwards: 70", "Session-Expires: 60", 422, "min-se"),
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


# -- through a proxy


def through_proxy(network: Network) -> None:
    """Make every INVITE carry what two record-routing proxies leave on it."""
    routes = b"Record-Route: <sip:192.0.2.2:5060;lr>\r\nRecord-Route: <sip:192.0.2.1:5060;lr>\r\n"

    def add(wire: bytes) -> bytes:
        if wire.startswith(b"INVITE") and b"\r\nRoute:" not in wire:
            return wire.replace(b"\r\nFrom:", b"\r\n" + routes + b"From:", 1)
        return wire

    network.tamper = add


def test_both_sides_follow_the_record_route_in_their_own_order() -> None:
    network = Network()
    through_proxy(network)
    caller, callee, out, incoming = established(network)
    caller.stack.info(out, "text/plain", b"x", network.now)
    callee.stack.info(incoming, "text/plain", b"y", network.now)
    network.collect()
    (forth,) = network.sent("alice", "INFO")
    (back,) = network.sent("bob", "INFO")
    assert forth.elements("route") == ["<sip:192.0.2.1:5060;lr>", "<sip:192.0.2.2:5060;lr>"]
    assert back.elements("route") == ["<sip:192.0.2.2:5060;lr>", "<sip:192.0.2.1:5060;lr>"]


def test_their_bye_refuses_an_offer_of_theirs_that_nobody_answered() -> None:
    network = Network()
    caller, _, out, _ = established(network)
    caller.stack.reinvite(out, OFFER, network.now)
    network.run(0.1)
    caller.stack.bye(out, network.now)
    network.run(0.1)
    assert network.sent("bob", 487)
    network.run_out()


def test_a_reliable_provisional_out_of_order_is_not_acknowledged() -> None:
    network = Network()
    caller, callee, _ = arrived(network)
    callee.stack.progress(callee.leg, 183, network.now, reliable=True)
    network.run(0.1)
    (first,) = network.sent("bob", 183)
    early = (
        f"SIP/2.0 180 Ringing\nVia: {first.first('via')}\nFrom: {first.first('from')}\n"
        f"To: {first.first('to')}\nCall-ID: {first.call_id}\nCSeq: {first.first('cseq')}\n"
        f"Contact: <sip:bob@192.0.2.2>\nRequire: 100rel\nRSeq: {int(first.first('rseq')) + 2}\n\n"
    )
    network.inject(caller, early, callee.address)
    assert len(network.sent("alice", "PRACK")) == 1
    assert len(caller.of(Progress)) == 1


def test_an_invite_with_credentials_meets_a_proxy_challenge() -> None:
    network = Network()
    caller, callee, _ = arrived(network, credentials=("alice", "secret"))
    challenge = 'Digest realm="everline", nonce="n", qop="auth"'
    callee.stack.reject(callee.leg, 407, network.now, headers={"Proxy-Authenticate": challenge})
    network.run(0.1)
    assert not caller.of(Rejected)
    second = callee.of(IncomingInvite)[1]
    assert second.headers["proxy-authorization"].startswith('Digest username="alice"')
    callee.stack.reject(second.leg, 407, network.now, headers={"Proxy-Authenticate": challenge})
    network.run(0.1)
    assert caller.only(Rejected).status == 407, "one proof is all we have"
    network.run_out()


def test_an_answer_after_we_gave_up_is_acknowledged_and_hung_up() -> None:
    network = Network([LOST, LOST, LOST, LOST, Fate((6.0,))])
    caller, callee = network.party("alice"), network.party("bob")
    callee.on_event = lambda party, event: (
        party.stack.answer(event.leg, ANSWER, network.now)
        if isinstance(event, IncomingInvite)
        else None
    )
    caller.call(callee, timer_b_s=10.0)
    network.run(10.1)
    assert caller.only(Rejected).timeout
    network.run(20)
    assert network.sent("alice", "ACK")
    assert len(network.sent("alice", "BYE")) == 1
    assert callee.only(Ended).by is EndedBy.REMOTE
    network.run_out()


def test_a_call_that_rings_after_we_gave_up_is_cancelled() -> None:
    network = Network([Fate((3.0,))])
    caller, callee = network.party("alice"), network.party("bob")
    caller.call(callee, timer_b_s=0.4)
    network.run(5)
    assert caller.only(Rejected).timeout
    assert callee.heard(Cancelled)
    network.run_out()


def test_a_realm_that_is_not_utf_8_is_met_byte_by_byte() -> None:
    challenge = Challenge(
        header="Authorization",
        realm="K\udcf6ln",
        nonce="n",
        opaque="",
        algorithm="MD5",
        has_qop=False,
        is_stale=False,
    )
    line = proof(challenge, ("bob", "secret"), "INVITE", "sip:x@y", "c")
    ha1 = hashlib.md5(b"bob:K\xf6ln:secret").hexdigest()  # noqa: S324 - RFC 2617's
    ha2 = hashlib.md5(b"INVITE:sip:x@y").hexdigest()  # noqa: S324 - as above
    wanted = hashlib.md5(f"{ha1}:n:{ha2}".encode()).hexdigest()  # noqa: S324 - as above
    assert f'response="{wanted}"' in line
