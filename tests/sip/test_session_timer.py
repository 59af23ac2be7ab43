"""Session timers (RFC 4028): who refreshes, when, and what happens when nobody does."""

from __future__ import annotations

import pytest

from edge.sip import session_timer
from edge.sip.events import (
    Answered,
    Ended,
    EndedBy,
    IncomingInvite,
    LegId,
    OfferReceived,
    Rejected,
)
from edge.sip.message import Request, Response, parse
from edge.sip.session_timer import SessionTimer
from tests.sip.network import ANSWER, Network, Party


def request(*lines: str) -> Request:
    head = "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n"
    message = parse((head + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode())
    assert isinstance(message, Request)
    return message


def response(*lines: str) -> Response:
    message = parse(
        ("SIP/2.0 200 OK\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode()
    )
    assert isinstance(message, Response)
    return message


@pytest.mark.parametrize(
    ("lines", "ours", "expected"),
    [
        ((), None, None),
        (("Supported: timer",), 600, SessionTimer(interval_s=600, we_refresh=True)),
        (
            ("Session-Expires: 1800", "Supported: timer"),
            None,
            SessionTimer(interval_s=1800, we_refresh=False),
        ),
        (("x: 900;refresher=uas", "k: timer"), None, SessionTimer(interval_s=900, we_refresh=True)),
        (("Session-Expires: 900",), None, SessionTimer(interval_s=900, we_refresh=True)),
        (("x: 1800", "k: timer"), 600, SessionTimer(interval_s=600, we_refresh=False)),
        (
            ("x: 1800", "k: timer", "Min-SE: 1200"),
            600,
            SessionTimer(interval_s=1200, we_refresh=False),
        ),
    ],
    ids=[
        "none",
        "ours alone",
        "theirs",
        "theirs, we refresh",
        "a proxy's",
        "the shorter",
        "Min-SE",
    ],
)
def test_a_callee_agrees_to_an_interval_and_a_refresher(
    lines: tuple[str, ...], ours: int | None, expected: SessionTimer | None
) -> None:
    assert session_timer.agree(request(*lines), ours) == expected


@pytest.mark.parametrize(
    ("lines", "asked", "expected"),
    [
        ((), None, None),
        ((), 600, SessionTimer(interval_s=600, we_refresh=True)),
        (
            ("Session-Expires: 600;refresher=uac",),
            900,
            SessionTimer(interval_s=600, we_refresh=True),
        ),
        (
            ("Session-Expires: 600;refresher=uas",),
            900,
            SessionTimer(interval_s=600, we_refresh=False),
        ),
        (
            ("Session-Expires: 10;refresher=uas",),
            900,
            SessionTimer(interval_s=90, we_refresh=False),
        ),
    ],
)
def test_a_caller_reads_what_was_agreed(
    lines: tuple[str, ...], asked: int | None, expected: SessionTimer | None
) -> None:
    assert session_timer.agreed(response(*lines), asked) == expected


def timed_call(network: Network, caller: Party, callee: Party, seconds: int) -> LegId:
    leg = caller.call(callee, session_expires_s=seconds)
    network.run(0.2)
    callee.stack.answer(callee.of(IncomingInvite)[-1].leg, ANSWER, network.now)
    network.run(0.2)
    assert caller.of(Answered)
    network.trace.clear()
    return leg


def test_the_caller_refreshes_at_half_time_and_nobody_is_bothered() -> None:
    network = Network()
    caller, callee = network.party("alice"), network.party("bob")
    leg = timed_call(network, caller, callee, 100)
    network.run(1000)
    updates = network.sent("alice", "UPDATE")
    assert len(updates) == 19 or len(updates) == 20
    assert updates[0].first("session-expires") == "100;refresher=uac"
    assert not callee.of(OfferReceived)
    assert (caller.stack.legs(), callee.stack.legs()) == (1, 1)
    caller.stack.bye(leg, network.now)
    network.run_out()


def test_without_update_the_refresh_is_a_reinvite_with_the_last_description() -> None:
    network = Network()
    caller, callee = network.party("alice"), network.party("bob")
    network.tamper = lambda wire: wire.replace(b"PRACK, UPDATE, INFO", b"PRACK, INFO")
    leg = timed_call(network, caller, callee, 100)
    network.run(51)
    offer = callee.only(OfferReceived)
    (invite,) = network.sent("alice", "INVITE")
    assert offer.sdp == invite.sdp
    callee.stack.answer_offer(offer.leg, ANSWER, network.now)
    network.run(0.1)
    caller.stack.bye(leg, network.now)
    network.run_out()


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_side_that_dies_is_noticed_by_the_other(who: str) -> None:
    network = Network()
    caller, callee = network.party("alice"), network.party("bob")
    timed_call(network, caller, callee, 120)
    dead, living = (caller, callee) if who == "caller" else (callee, caller)
    dead.deaf = True
    network.run(125)
    ended = living.only(Ended)
    assert (ended.by, ended.cause) == (EndedBy.FAULT, "session_expired")
    network.run_out()


def test_an_interval_that_is_too_small_is_raised_and_the_call_goes_through() -> None:
    network = Network()
    caller, callee = network.party("alice"), network.party("bob", min_se_s=300)
    leg = timed_call(network, caller, callee, 100)
    assert not caller.of(Rejected)
    session = caller.stack.dialog(leg).session
    assert session is not None
    assert session.interval_s == 300
    caller.stack.bye(leg, network.now)
    network.run_out()


def test_a_callee_of_its_own_accord_keeps_a_call_under_watch() -> None:
    network = Network()
    caller, callee = network.party("alice"), network.party("bob", session_expires_s=200)
    caller.call(callee)
    network.run(0.2)
    callee.stack.answer(callee.leg, ANSWER, network.now)
    network.run(101)
    assert network.sent("bob", "UPDATE")
    caller.deaf = True
    network.run(250)
    assert callee.only(Ended).cause == "session_expired"
    network.run_out()
