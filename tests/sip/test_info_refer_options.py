"""INFO, REFER and OPTIONS, and methods that the user of a stack handles."""

from __future__ import annotations

from typing import Any

import pytest

from edge.sip.errors import LocalError
from edge.sip.events import (
    Ended,
    EndedBy,
    InfoReceived,
    Notified,
    ReferReceived,
    RequestReceived,
    ResponseReceived,
)
from edge.sip.message import Response
from tests.sip.network import LOST, Fate, Network, Party, established


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


def test_a_refer_is_taken_whatever_it_says_of_who_refers() -> None:
    network = Network()
    caller, callee, out, _ = established(network)

    def spoil(datagram: bytes) -> bytes:
        return datagram.replace(b"Referred-By: <", b'Referred-By: "<', 1)

    network.tamper = spoil
    caller.stack.refer(out, "sip:carol@everline", network.now)
    network.run(0.1)
    assert callee.only(ReferReceived).refer_to == "sip:carol@everline"


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
