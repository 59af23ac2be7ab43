"""What the answer to our BYE says of the other side."""

from __future__ import annotations

import itertools

import pytest

from edge.sip.errors import LocalError
from edge.sip.events import Address, Ended, EndedBy, Event, IncomingInvite, LegId
from edge.sip.stack import SipStack

A, B = Address("192.0.2.1", 5060), Address("192.0.2.2", 5060)


def stack(address: Address, *, bye_timeout_s: float | None = None) -> SipStack:
    numbers = itertools.count()
    return SipStack(
        local=address,
        product="test",
        token=lambda: f"{address.host}-{next(numbers)}",
        bye_timeout_s=bye_timeout_s,
    )


def pass_on(sender: SipStack, source: Address, receiver: SipStack) -> list[Event]:
    datagrams = [datagram for datagram, _ in sender.take_outgoing()]
    return [event for each in datagrams for event in receiver.receive(each, source, 0.0)]


def answered(
    caller: SipStack, callee: SipStack, *, credentials: tuple[str, str] | None = None
) -> tuple[LegId, LegId]:
    """Return the legs of a call whose ACK is on its way."""
    theirs = caller.invite(
        request_uri="sip:b@192.0.2.2",
        from_uri="sip:a@192.0.2.1",
        to_uri="sip:b@192.0.2.2",
        next_hop=B,
        sdp=b"v=0\r\n",
        now=0.0,
        credentials=credentials,
    )
    (invite,) = (each for each in pass_on(caller, A, callee) if isinstance(each, IncomingInvite))
    callee.answer(invite.leg, b"v=0\r\n", 0.0)
    pass_on(callee, B, caller)
    return theirs, invite.leg


def call(
    caller: SipStack, callee: SipStack, *, credentials: tuple[str, str] | None = None
) -> LegId:
    """Return the caller's leg of a call that stands."""
    leg, _ = answered(caller, callee, credentials=credentials)
    pass_on(caller, A, callee)
    return leg


@pytest.mark.parametrize(
    ("status", "cause"), [("200 OK", "bye"), ("481 Gone", "gone"), ("408 Timeout", "gone")]
)
def test_a_bye_that_finds_no_dialog_ends_the_leg_as_gone(status: str, cause: str) -> None:
    caller, callee = stack(A), stack(B)
    leg = call(caller, callee)
    caller.bye(leg, 0.0)
    pass_on(caller, A, callee)
    ((answer, _),) = callee.take_outgoing()
    answer = answer.replace(b"SIP/2.0 200 OK", f"SIP/2.0 {status}".encode(), 1)
    (ended,) = (each for each in caller.receive(answer, B, 0.0) if isinstance(each, Ended))
    assert (ended.by, ended.cause) == (EndedBy.LOCAL, cause)


@pytest.mark.parametrize(("bye_timeout_s", "over_s"), [(None, 32.0), (8.0, 8.0)])
def test_a_bye_that_nobody_answers_ends_the_leg_when_its_time_is_over(
    bye_timeout_s: float | None, over_s: float
) -> None:
    caller, callee = stack(A, bye_timeout_s=bye_timeout_s), stack(B)
    leg = call(caller, callee)
    caller.bye(leg, 100.0)
    sent = [datagram for datagram, _ in caller.take_outgoing()]
    ended: list[Event] = []
    now = 100.0
    while not ended:
        due = caller.next_deadline
        assert due is not None
        now = due
        ended = [each for each in caller.handle_timers(now) if isinstance(each, Ended)]
        sent += [datagram for datagram, _ in caller.take_outgoing()]
    assert ended == [Ended(leg=leg, by=EndedBy.FAULT, cause="bye_timeout")]
    assert now == pytest.approx(100.0 + over_s)
    # Whoever can be heard at all hears one of these: 0.5, 1.5, 3.5, 7.5 s after the first, ...
    assert len(sent) >= 5
    assert set(sent) == {sent[0]}


def test_a_bye_that_is_challenged_keeps_its_shorter_time() -> None:
    caller, callee = stack(A, bye_timeout_s=8.0), stack(B)
    leg = call(caller, callee, credentials=("a", "secret"))
    caller.bye(leg, 100.0)
    ((bye, _),) = caller.take_outgoing()
    callee.receive(bye, A, 100.0)
    ((answer, _),) = callee.take_outgoing()
    challenge = b'WWW-Authenticate: Digest realm="everline", nonce="n"\r\nContent-Length'
    answer = answer.replace(b"SIP/2.0 200 OK", b"SIP/2.0 401 Unauthorized", 1)
    answer = answer.replace(b"Content-Length", challenge, 1)
    assert caller.receive(answer, B, 101.0) == []
    assert b"Authorization" in caller.take_outgoing()[0][0]
    assert caller.handle_timers(108.9) == []
    ended = [each for each in caller.handle_timers(109.1) if isinstance(each, Ended)]
    assert [each.cause for each in ended] == ["bye_timeout"]


def test_an_answer_that_another_has_given_is_let_go_without_a_word() -> None:
    caller, callee = stack(A), stack(B)
    caller.invite(
        request_uri="sip:b@192.0.2.2",
        from_uri="sip:a@192.0.2.1",
        to_uri="sip:b@192.0.2.2",
        next_hop=B,
        sdp=b"v=0\r\n",
        now=0.0,
    )
    ((sent, _),) = caller.take_outgoing()
    (invite,) = (each for each in callee.receive(sent, A, 0.0) if isinstance(each, IncomingInvite))
    callee.answer(invite.leg, b"v=0\r\n", 0.0)
    callee.take_outgoing()
    callee.leave(invite.leg, 0.1)
    events = list(callee.receive(sent, A, 0.2))
    while (due := callee.next_deadline) is not None:
        events += callee.handle_timers(due)
    assert not events, "also not to an INVITE that comes again"
    assert not callee.take_outgoing()
    assert callee.legs() == 0


def test_whose_acknowledgement_comes_when_they_were_let_go_is_not_left_in_silence() -> None:
    caller, callee = stack(A), stack(B)
    _, ours = answered(caller, callee)
    callee.leave(ours, 0.1)
    assert not pass_on(caller, A, callee)
    (ended,) = (each for each in pass_on(callee, B, caller) if isinstance(each, Ended))
    assert ended.by is EndedBy.REMOTE
    assert not pass_on(caller, A, callee), "nobody waits for that any more"
    assert (caller.legs(), callee.legs()) == (0, 0)


def test_who_offers_anew_when_they_were_let_go_has_our_answer_too() -> None:
    caller, callee = stack(A), stack(B)
    theirs, ours = answered(caller, callee)
    caller.take_outgoing()  # the ACK is lost
    callee.leave(ours, 0.1)
    caller.reinvite(theirs, b"v=0\r\n", 0.1)
    assert not pass_on(caller, A, callee)
    assert [each for each in pass_on(callee, B, caller) if isinstance(each, Ended)]
    assert callee.legs() == 0


def test_who_hangs_up_when_they_were_let_go_has_their_goodbyeanswered() -> None:
    caller, callee = stack(A), stack(B)
    theirs, ours = answered(caller, callee)
    caller.take_outgoing()  # as above
    callee.leave(ours, 0.1)
    caller.bye(theirs, 0.1)
    pass_on(caller, A, callee)
    (ended,) = (each for each in pass_on(callee, B, caller) if isinstance(each, Ended))
    assert ended.cause == "bye"


def test_an_acknowledged_call_is_not_let_go_without_a_word() -> None:
    caller, callee = stack(A), stack(B)
    answered: list[LegId] = []
    caller.invite(
        request_uri="sip:b@192.0.2.2",
        from_uri="sip:a@192.0.2.1",
        to_uri="sip:b@192.0.2.2",
        next_hop=B,
        sdp=b"v=0\r\n",
        now=0.0,
    )
    answered += (
        each.leg for each in pass_on(caller, A, callee) if isinstance(each, IncomingInvite)
    )
    callee.answer(answered[0], b"v=0\r\n", 0.0)
    pass_on(callee, B, caller)
    pass_on(caller, A, callee)
    with pytest.raises(LocalError):
        callee.leave(answered[0], 0.1)
