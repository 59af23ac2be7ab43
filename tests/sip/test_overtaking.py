"""BYEs that come before what was said before them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sip.events import Ended, EndedBy, Event, InfoReceived, LegId, ReferReceived
from edge.sip.message import Request
from tests.sip.network import FINE, LOST, PACE, Fate, Network, Party, established


def accepts(party: Party, event: Event) -> None:
    """Pass on whoever is to be passed on."""
    if isinstance(event, ReferReceived):
        party.stack.accept_refer(event.transaction, party.network.now)


def talking(*, is_called: bool) -> tuple[Network, Party, Party, LegId, LegId]:
    """Return an edge, a telephone and their legs; `is_called`: the edge has called it."""
    network = Network()
    caller, callee, out, incoming = established(network)
    edge, phone = (caller, callee) if is_called else (callee, caller)
    ours, theirs = (out, incoming) if is_called else (incoming, out)
    edge.on_event = accepts
    return network, edge, phone, ours, theirs


def said(party: Party) -> list[type[Event]]:
    """Return what its user has heard, in order."""
    return [type(event) for event in party.events]


@pytest.mark.parametrize("is_called", [True, False])
@pytest.mark.parametrize("refer_takes", [PACE, 0.05, 0.35])
def test_whoever_hangs_up_with_a_refer_has_passed_on_whichever_comes_first(
    *, is_called: bool, refer_takes: float
) -> None:
    network, edge, phone, _, theirs = talking(is_called=is_called)
    network.fates = iter([Fate((refer_takes,)), FINE])
    phone.stack.refer(theirs, "sip:bob@everline", network.now)
    phone.stack.bye(theirs, network.now)
    network.run(refer_takes + 2 * PACE)
    assert said(edge) == [ReferReceived, Ended]
    assert edge.only(Ended).by is EndedBy.REMOTE
    answers = [
        (message.status, message.cseq[1])
        for _, name, message in network.trace
        if name == edge.name and not isinstance(message, Request)
    ]
    assert answers[:2] == [(202, "REFER"), (200, "BYE")]
    assert phone.only(Ended).cause == "bye"
    network.run_out()
    assert len(network.sent(phone.name, "BYE")) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.001, 0.39), min_size=4, max_size=4), st.integers(0, 3))
def test_a_goodbye_comes_last_in_whatever_order_the_others_come(
    takes: list[float], before: int
) -> None:
    network, edge, phone, _, theirs = talking(is_called=True)
    network.fates = iter([Fate((each,)) for each in takes])
    for _ in range(before):
        phone.stack.info(theirs, "text/plain", b"x", network.now)
    phone.stack.bye(theirs, network.now)
    network.run_out()
    assert said(edge)[-1] is Ended
    heard = len(edge.of(InfoReceived))
    # What comes out of order among itself is refused (RFC 3261 §12.2.2): the last one never is.
    assert heard >= min(before, 1)
    refused = [*network.sent(edge.name, 500), *network.sent(edge.name, 481)]
    assert heard + len(refused) == before
    assert edge.heard(Ended)


@pytest.mark.parametrize("is_called", [True, False])
def test_a_goodbye_before_which_nothing_is_missing_is_taken_at_once(*, is_called: bool) -> None:
    network, edge, phone, _, theirs = talking(is_called=is_called)
    phone.stack.info(theirs, "text/plain", b"x", network.now)
    network.run(0.1)
    phone.stack.bye(theirs, network.now)
    network.run(1.5 * PACE)
    assert said(edge) == [InfoReceived, Ended]


def test_a_telephone_that_counts_from_anywhere_waits_for_nothing() -> None:
    network, edge, phone, _, theirs = talking(is_called=True)
    network.tamper = lambda wire: wire.replace(b"CSeq: 1 BYE", b"CSeq: 4711 BYE")
    phone.stack.bye(theirs, network.now)
    network.run(1.5 * PACE)
    assert said(edge) == [Ended]


def test_a_goodbye_does_not_wait_for_what_never_comes() -> None:
    network, edge, phone, _, theirs = talking(is_called=True)
    network.fates = iter([LOST])
    phone.stack.info(theirs, "text/plain", b"x", network.now)
    phone.stack.bye(theirs, network.now)
    network.run(0.4)
    assert said(edge) == []
    network.run(0.1)
    assert said(edge) == [Ended]
    assert phone.only(Ended).cause == "bye"
    assert len(network.sent(phone.name, "BYE")) == 1, "before it would have been sent again"
    network.run_out()


def test_goodbyes_that_cross_while_one_waits_are_both_answered() -> None:
    network, edge, phone, ours, theirs = talking(is_called=True)
    network.fates = iter([LOST])
    phone.stack.info(theirs, "text/plain", b"x", network.now)
    phone.stack.bye(theirs, network.now)
    network.run(0.05)
    edge.stack.bye(ours, network.now)
    network.run(0.1)
    assert (edge.only(Ended).by, len(network.sent(phone.name, 200))) == (EndedBy.LOCAL, 1)
    network.run(0.4)
    assert len(network.sent(edge.name, 200)) == 1
    network.run_out()
    assert edge.heard(Ended)
    assert phone.heard(Ended)


def test_what_is_said_after_a_goodbye_that_waits_ends_its_wait() -> None:
    network, edge, phone, _, theirs = talking(is_called=True)
    sent: list[bytes] = []
    network.tamper = lambda wire: sent.append(wire) or (b"" if b"INFO" in wire[:5] else wire)  # type: ignore[func-returns-value]
    phone.stack.info(theirs, "text/plain", b"x", network.now)
    phone.stack.bye(theirs, network.now)
    network.run(0.05)
    assert said(edge) == []
    info, bye = sent[:2]
    again = bye.replace(b"CSeq: 2", b"CSeq: 3").replace(b"branch=z9hG4bK", b"branch=z9hG4bKx")
    network.inject(edge, again, phone.address)
    assert said(edge) == [Ended]
    assert len(network.sent(edge.name, 200)) == 1
    assert len(network.sent(edge.name, 481)) == 1
    network.inject(edge, info, phone.address)
    network.run_out()
    assert edge.heard(Ended)
