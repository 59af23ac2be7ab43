"""Dialogs as values: written down, taken up elsewhere, and routed as RFC 3261 §12.2.1.1 says."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from edge.sip.dialog import Dialog
from edge.sip.errors import LocalError
from edge.sip.events import Address, Ended, EndedBy, InfoReceived, OfferAnswered, OfferReceived
from edge.sip.session_timer import SessionTimer
from tests.sip.network import ANSWER, OFFER, Network, established

DIALOG = Dialog(
    sip_call_id="call",
    local_tag="here",
    remote_tag="there",
    local="<sip:a@x>;tag=here",
    remote='"B, C" <sip:b@x>;tag=there',
    local_seq=3,
    remote_seq=-1,
    remote_target="sip:b@192.0.2.2:5070",
    route_set=(),
    hop=Address("192.0.2.99", 5099),
    caller=True,
    can_update=True,
    session=SessionTimer(interval_s=1800, we_refresh=True),
)


@pytest.mark.parametrize("session", [None, DIALOG.session])
def test_a_dialog_written_down_reads_back_the_same(session: SessionTimer | None) -> None:
    dialog = replace(DIALOG, session=session, route_set=("<sip:192.0.2.3;lr>", "<sip:p;lr>"))
    assert msgspec.json.decode(msgspec.json.encode(dialog), type=Dialog) == dialog


@pytest.mark.parametrize(
    ("routes", "uri", "sent_routes", "hop"),
    [
        ((), "sip:b@192.0.2.2:5070", (), "192.0.2.2:5070"),
        (
            ("<sip:192.0.2.3:5061;lr>", "<sip:far.example;lr>"),
            "sip:b@192.0.2.2:5070",
            ("<sip:192.0.2.3:5061;lr>", "<sip:far.example;lr>"),
            "192.0.2.3:5061",
        ),
        (
            ("<sip:[2001:db8::1];lr>",),
            "sip:b@192.0.2.2:5070",
            ("<sip:[2001:db8::1];lr>",),
            "2001:db8::1:5060",
        ),
        (
            ("<sip:proxy.example;lr>",),
            "sip:b@192.0.2.2:5070",
            ("<sip:proxy.example;lr>",),
            "192.0.2.99:5099",
        ),
        (
            ("<sip:192.0.2.4>", "<sip:192.0.2.5;lr>"),
            "sip:192.0.2.4",
            ("<sip:192.0.2.5;lr>", "<sip:b@192.0.2.2:5070>"),
            "192.0.2.4:5060",
        ),
    ],
    ids=["no route", "loose", "IPv6", "a name: where it was established", "strict"],
)
def test_requests_in_a_dialog_follow_its_route(
    routes: tuple[str, ...], uri: str, sent_routes: tuple[str, ...], hop: str
) -> None:
    dialog = replace(DIALOG, route_set=routes)
    assert dialog.target == (uri, sent_routes)
    assert str(dialog.next_hop) == hop


def test_a_contact_that_is_a_name_goes_to_where_the_dialog_was_established() -> None:
    dialog = replace(DIALOG, remote_target="sip:b@phone.example")
    assert dialog.next_hop == DIALOG.hop


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_another_stack_goes_on_with_a_dialog_that_was_written_down(who: str) -> None:
    network = Network()
    caller, callee, out, incoming = established(network)
    dying, living = (caller, callee) if who == "caller" else (callee, caller)
    their_leg = incoming if who == "caller" else out
    written = dying.stack.dialog(out if who == "caller" else incoming)
    dying.deaf = True
    heir = network.party("heir")
    leg = heir.stack.adopt(written, network.now)
    heir.stack.reinvite(leg, b"v=0 moved", network.now)
    network.run(0.1)
    assert living.only(OfferReceived).sdp == b"v=0 moved"
    living.stack.answer_offer(their_leg, ANSWER, network.now)
    network.run(0.1)
    assert heir.only(OfferAnswered).sdp == ANSWER
    living.stack.info(their_leg, "text/plain", b"x", network.now)
    network.run(0.1)
    assert heir.only(InfoReceived).leg == leg, "requests come to the new Contact"
    living.stack.bye(their_leg, network.now)
    network.run(0.1)
    assert heir.only(Ended).by is EndedBy.REMOTE
    network.run_out()


def test_a_session_that_was_taken_up_is_refreshed_with_what_was_said_last() -> None:
    """Who does not allow UPDATE refused ours, and of every such call four minutes were left."""
    network = Network()
    network.tamper = lambda wire: wire.replace(b"PRACK, UPDATE, INFO", b"PRACK, INFO")
    caller, callee, _, incoming = established(network, session_expires_s=300)
    written = callee.stack.dialog(incoming)
    callee.deaf = True
    heir = network.party("heir")
    heir.stack.adopt(written, network.now, sdp=ANSWER)
    network.run(151)
    (refresh,) = network.sent("heir", "INVITE")
    assert refresh.sdp == ANSWER
    caller.stack.answer_offer(caller.only(OfferReceived).leg, OFFER, network.now)
    network.run(10)
    assert not heir.events
    assert heir.stack.legs() == 1


@pytest.mark.parametrize("last_s", [1, 130, 149])
def test_a_session_that_was_taken_up_is_refreshed_before_the_other_side_gives_it_up(
    last_s: int,
) -> None:
    network = Network()
    caller, callee, _, incoming = established(network, session_expires_s=300)
    network.run(last_s)
    written = callee.stack.dialog(incoming)
    callee.deaf = True
    heir = network.party("heir")
    heir.stack.adopt(written, network.now, sdp=ANSWER)
    network.run(1000)
    assert not caller.of(Ended)
    assert not heir.of(Ended)
    assert (caller.stack.legs(), heir.stack.legs()) == (1, 1)


def test_a_dialog_cannot_be_adopted_where_it_lives() -> None:
    network = Network()
    caller, _, out, _ = established(network)
    with pytest.raises(LocalError, match="already"):
        caller.stack.adopt(caller.stack.dialog(out), network.now)
