"""Whole calls between two stacks: who hears what, and what goes over the wire."""

from __future__ import annotations

import hashlib

import pytest

from edge.sip.digest import Challenge, proof
from edge.sip.events import (
    CROSSED,
    Address,
    Answered,
    Cancelled,
    Confirmed,
    Ended,
    EndedBy,
    IncomingInvite,
    OfferAnswered,
    OfferReceived,
    Progress,
    Rejected,
)
from edge.sip.message import Response
from tests.sip.network import ANSWER, CANCEL, LOST, OFFER, Fate, Network, arrived, established


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


def test_an_answer_that_overtakes_prack_leaves_it_to_be_answered() -> None:
    """RFC 3262 §3. A telephone that is told 481 within a dialog may take it for ended."""
    network = Network()
    caller, callee, leg = arrived(network)
    callee.stack.progress(callee.leg, 180, network.now, reliable=True)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(0.5)
    assert caller.heard(Answered)
    assert callee.heard(Confirmed)
    assert len(network.sent("alice", "PRACK")) == 1
    assert not network.sent("bob", 481)
    caller.stack.bye(leg, network.now)
    network.run_out()


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


def test_a_fork_that_answers_after_another_has_declined_for_all_is_hung_up() -> None:
    """RFC 3261 §16.7: a proxy passes a 2xx on also after a final response."""
    network = Network()
    caller, callee, _ = arrived(network)
    other = network.party("carol")
    callee.stack.reject(callee.leg, 603, network.now)
    network.run(0.1)
    assert caller.only(Rejected).status == 603
    refusal = network.sent("bob", 603)[0]
    assert isinstance(refusal, Response)
    second = fork_of(refusal, "carol-tag", f"sip:carol@{other.address.host}:5060")
    for _ in range(2):
        network.inject(caller, second, callee.address)
    told = [
        sum(each.to.tag == "carol-tag" for each in network.sent("alice", method))
        for method in ("ACK", "BYE")
    ]
    assert told == [2, 1], "else it repeats its answer for 32 s, and somebody speaks to nobody"
    assert not caller.of(Answered)
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
