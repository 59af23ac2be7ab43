"""Session timers (RFC 4028): who refreshes, when, and what happens when nobody does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sip import session_timer
from edge.sip.errors import LocalError
from edge.sip.events import (
    Answered,
    Ended,
    EndedBy,
    Event,
    IncomingInvite,
    LegId,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    Rejected,
)
from edge.sip.message import Request, Response, parse
from edge.sip.session_timer import SessionTimer
from tests.sip.network import ANSWER, LOST, Fate, Network, Party, fates


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
        (
            ("x: 1800", "k: timer", "Min-SE: soon"),
            600,
            SessionTimer(interval_s=600, we_refresh=False),
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
        "Min-SE that makes no sense",
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


def _answers(party: Party, event: Event) -> None:
    if isinstance(event, OfferReceived):
        party.stack.answer_offer(event.leg, ANSWER, party.network.now)


def refreshing(network: Network, *, updates: bool) -> tuple[Party, Party, LegId]:
    """Return two who talk, and the leg of the one who has just begun to refresh the session."""
    caller, callee = network.party("alice"), network.party("bob", _answers)
    if not updates:
        network.tamper = lambda wire: wire.replace(b"PRACK, UPDATE, INFO", b"PRACK, INFO")
    leg = timed_call(network, caller, callee, 100)
    while not network.sent("alice", "UPDATE" if updates else "INVITE"):
        network.run(0.01)
    return caller, callee, leg


def offered(party: Party) -> list[bytes | None]:
    """Return what was offered to somebody."""
    return [event.sdp for event in party.of(OfferReceived)]


@pytest.mark.parametrize("updates", [True, False])
@pytest.mark.parametrize("lost", [0, 1])
def test_an_offer_that_comes_while_the_session_is_refreshed_goes_out_after_it(
    *, updates: bool, lost: int
) -> None:
    """It was an error before, and of a caller whom an agent had just answered the end."""
    network = Network()
    caller, callee, leg = refreshing(network, updates=updates)
    network.fates = iter([LOST] * lost)
    caller.stack.reinvite(leg, b"v=0 mine", network.now)
    network.run(2)
    assert offered(callee)[-1] == b"v=0 mine"
    assert caller.only(OfferAnswered).sdp == ANSWER
    with pytest.raises(LocalError, match="no offer"):
        callee.stack.answer_offer(callee.leg, ANSWER, network.now)
    caller.stack.bye(leg, network.now)
    network.run_out()


def test_a_second_offer_while_the_first_waits_for_a_refresh_is_an_error() -> None:
    network = Network()
    caller, _, leg = refreshing(network, updates=True)
    caller.stack.reinvite(leg, b"v=0 mine", network.now)
    with pytest.raises(LocalError, match="has an offer pending"):
        caller.stack.reinvite(leg, b"v=0 again", network.now)
    caller.stack.bye(leg, network.now)
    network.run_out()


@pytest.mark.parametrize("status", [491, 500, 503])
def test_an_offer_goes_out_also_when_the_refresh_is_refused(status: int) -> None:
    network = Network()
    caller, callee, leg = refreshing(network, updates=True)
    first = [True]

    def refuse(wire: bytes) -> bytes:
        if first[0] and wire.startswith(b"SIP/2.0 200") and b"UPDATE\r\n" in wire:
            first[0] = False
            return wire.replace(b"SIP/2.0 200 OK", b"SIP/2.0 %d No" % status)
        return wire

    network.tamper = refuse
    caller.stack.reinvite(leg, b"v=0 mine", network.now)
    network.run(6)
    assert offered(callee) == [b"v=0 mine"]
    assert caller.heard(OfferAnswered)
    network.run(200)
    assert (caller.stack.legs(), callee.stack.legs()) == (1, 1)
    caller.stack.bye(leg, network.now)
    network.run_out()


def test_a_refresh_by_update_that_is_refused_is_made_again_by_reinvite() -> None:
    """Their Allow had named it; the second refusal was the end of the call."""
    network = Network()
    caller, callee, leg = refreshing(network, updates=True)
    network.tamper = lambda wire: (
        wire.replace(b"SIP/2.0 200 OK", b"SIP/2.0 405 Method Not Allowed")
        if wire.startswith(b"SIP/2.0 200") and b"UPDATE\r\n" in wire
        else wire
    )
    network.run(300)
    assert offered(callee)
    assert (caller.stack.legs(), callee.stack.legs()) == (1, 1)
    caller.stack.bye(leg, network.now)
    network.run_out()


@settings(max_examples=80, deadline=None)
@given(
    chosen=st.lists(fates, max_size=8),
    mine=st.floats(0, 1),
    theirs=st.floats(0, 1),
    by_update=st.booleans(),
    updates=st.booleans(),
)
def test_offers_of_both_sides_around_a_refresh_are_settled_in_the_end(
    *, chosen: list[Fate], mine: float, theirs: float, by_update: bool, updates: bool
) -> None:
    network = Network()
    caller, callee, leg = refreshing(network, updates=updates)
    caller.on_event = _answers
    network.fates = iter([fate for fate in chosen if fate != LOST])
    took: list[bool] = []

    def offer(party: Party, own: LegId, sdp: bytes) -> None:
        command = party.stack.update if by_update and updates else party.stack.reinvite
        try:
            command(own, sdp, network.now)
        except LocalError:
            return
        took.append(party is caller)
        network.collect()

    network.at(mine, lambda: offer(caller, leg, b"v=0 mine"))
    network.at(theirs, lambda: offer(callee, callee.leg, b"v=0 theirs"))
    network.run(40)
    assert (b"v=0 mine" in offered(callee)) is (True in took)
    assert (b"v=0 theirs" in offered(caller)) is (False in took)
    assert not caller.of(OfferRefused)
    assert not callee.of(OfferRefused)
    assert (caller.stack.legs(), callee.stack.legs()) == (1, 1)
    caller.stack.bye(leg, network.now)
    network.run_out()
