"""Calls from a trunk through a real Kamailio: which edge, how fast past dead ones, why not."""

from __future__ import annotations

import json
import select
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.kemi.phone import acknowledge
from tests.kemi.sip_peer import SDP, Message, SipPeer
from tests.kemi.site import Site

pytestmark = pytest.mark.parts

DID = "4930111"


def call(trunk: SipPeer, number: str = DID, *, headers: str = "", call_id: str = "") -> str:
    """Send an INVITE; return its URI."""
    uri = f"sip:{number}@{trunk.proxy[0]}"
    trunk.send(trunk.request("INVITE", uri, body=SDP, headers=headers, call_id=call_id))
    return uri


def who_rings(edges: list[SipPeer], timeout_s: float = 2.0) -> SipPeer:
    """Return the edge that gets something first."""
    ready, _, _ = select.select([edge.socket for edge in edges], [], [], timeout_s)
    assert ready, "no edge got anything"
    return next(edge for edge in edges if edge.socket in ready)


def take(edge: SipPeer) -> Message:
    """Take the call at once, as an edge does."""
    invite = edge.wait("INVITE")
    edge.respond(invite, 200, body=SDP)
    return invite


def steer(site: Site, row: str, number: str = DID) -> None:
    """Write the row of a number."""
    site.put("steer", number, row)


def test_a_call_reaches_an_edge_with_our_headers_and_a_route(site: Site) -> None:
    trunk, edge = site.trunk(), site.edge()
    steer(site, edge.address)
    call(trunk)
    invite = take(edge)
    assert invite["X-Everline-Via"] == "a"
    assert invite["X-Everline-Trunk"] == "t1"
    assert invite.uri == f"sip:{DID}@{site.address}"
    assert f"<sip:{site.address};" in invite["Record-Route"]
    assert trunk.wait(200).body == SDP


def test_headers_of_ours_from_outside_are_taken_off(site: Site) -> None:
    """Blank before the colon, other case, twice, folded value: CVE-2020-28361 and its kind."""
    trunk, edge = site.trunk(), site.edge()
    steer(site, edge.address)
    evil = (
        "X-Everline-Via: evil\r\n"
        "x-everline-trunk : evil\r\n"
        "X-EVERLINE-OFFER\t: evil 1 1\r\n"
        "X-Everline-Via:\r\n evil\r\n"
        "x-Everline-New:evil\r\n"
    )
    call(trunk, headers=evil)
    invite = take(edge)
    ours = [(name, value) for name, value in invite.headers if "everline" in name.lower()]
    assert sorted(ours) == [("X-Everline-Trunk", "t1"), ("X-Everline-Via", "a")]


def test_calls_spread_over_the_edges_of_a_site(site: Site) -> None:
    trunk, edges = site.trunk(), [site.edge(), site.edge()]
    steer(site, ",".join(edge.address for edge in edges))
    rung = set()
    for number in range(12):
        call(trunk, call_id=f"spread-{number}")
        edge = who_rings(edges)
        take(edge)
        assert trunk.final().status == 200
        rung.add(edge.port)
    assert rung == {edge.port for edge in edges}


def test_a_row_of_single_percents_gives_each_its_part(site: Site) -> None:
    """The longest row that steering writes: a hundredth more for one than for the other."""
    trunk, one, other = site.trunk(), site.edge(), site.edge()
    turns = [one.address] * 51 + [other.address] * 49
    steer(site, ",".join(turns * 2))
    rung = []
    for number in range(24):
        call(trunk, call_id=f"percent-{number}")
        edge = who_rings([one, other])
        take(edge)
        assert trunk.final().status == 200
        rung.append(edge.port)
    # With even chances, some three in a million runs have fewer than two of either.
    assert min(rung.count(one.port), rung.count(other.port)) >= 2


@pytest.mark.parametrize("has_dead", [False, True])
def test_an_edge_to_which_there_is_no_way_is_passed_over(site: Site, *, has_dead: bool) -> None:
    """As when the line between two sites is gone; here, the kernel lets no packet off loopback."""
    trunk, live, nowhere = site.trunk(), site.edge(), "10.255.255.1:5081"
    before = [site.edge().address] if has_dead else []
    steer(site, "|".join([*before, nowhere, live.address]))
    start = time.monotonic()
    call(trunk)
    take(live)
    assert trunk.final().at_s - start < 0.8
    steer(site, nowhere)
    call(trunk)
    assert trunk.final().status == 503


def test_given_an_edge_that_answers_at_once_then_nothing_goes_before_its_200(site: Site) -> None:
    trunk, edge = site.trunk(), site.edge()
    steer(site, edge.address)
    call(trunk)
    take(edge)
    assert [message.status for message in trunk.messages(0.4)] == [200]


def test_given_an_edge_that_is_late_then_its_100_reaches_the_carrier_and_its_200_after(
    site: Site,
) -> None:
    trunk, edge = site.trunk(), site.edge()
    steer(site, edge.address)
    invite = trunk.request("INVITE", f"sip:{DID}@{site.address}", body=SDP)
    start = time.monotonic()
    trunk.send(invite)
    at_edge = edge.wait("INVITE")
    assert trunk.receive(0.15) is None
    edge.respond(at_edge, 100)
    trying = trunk.wait(100)
    assert trying.at_s - start < 0.4
    assert ";tag=" not in trying["To"]

    # Its timer for a frozen edge runs now, and an INVITE that comes again gets the 100 once more.
    assert trunk.receive(0.8) is None
    assert edge.receive(0.05) is None
    trunk.send(invite)
    assert trunk.wait(100).status == 100
    edge.respond(at_edge, 200, body=SDP)
    assert trunk.final().body == SDP
    assert edge.receive(0.3) is None


def test_a_100_that_its_200_has_overtaken_goes_nowhere(site: Site) -> None:
    trunk, edge = site.trunk(), site.edge()
    steer(site, edge.address)
    before = len(site.log_text())
    call(trunk)
    invite = take(edge)
    assert trunk.final().status == 200
    edge.respond(invite, 100)
    assert trunk.receive(0.3) is None
    assert "ERROR" not in site.log_text()[before:]


def test_given_a_silent_edge_then_the_carrier_hears_100_before_the_next_is_tried(
    site: Site,
) -> None:
    trunk, dead, live = site.trunk(), site.edge(), site.edge()
    steer(site, f"{dead.address}|{live.address}")
    start = time.monotonic()
    call(trunk)
    trying = trunk.receive(1.0)
    assert trying is not None
    assert trying.status == 100
    assert 0.35 < trying.at_s - start < 0.7
    take(live)
    assert [message.status for message in trunk.messages(0.3)] == [200]


def test_given_a_site_dies_with_a_call_that_it_has_not_answered_then_it_has_said_nothing(
    tmp_path: Path,
) -> None:
    """Silence is what sends a carrier to the next site; after a 100 it would wait for minutes."""
    site = Site(tmp_path / "site")
    site.start()
    try:
        site.put("meta", "tables", "1")
        trunk, edge = site.trunk(), site.edge()
        steer(site, edge.address)
        call(trunk)
        edge.wait("INVITE")
        site.stop(signal.SIGKILL)
        assert trunk.receive(1.0) is None
    finally:
        site.close_peers()
        site.stop(signal.SIGKILL)


def test_a_caller_who_gives_up_after_the_100_of_a_late_edge_ends_it_there(site: Site) -> None:
    trunk, edge = site.trunk(), site.edge()
    steer(site, edge.address)
    uri = f"sip:{DID}@{site.address}"
    trunk.send(trunk.request("INVITE", uri, body=SDP, call_id="late", branch="z9hG4bKlate"))
    at_edge = edge.wait("INVITE")
    edge.respond(at_edge, 100)
    trunk.wait(100)
    trunk.send(trunk.request("CANCEL", uri, call_id="late", branch="z9hG4bKlate"))
    edge.respond(edge.wait("CANCEL"), 200)
    edge.respond(at_edge, 487)
    finals = {each.method: each.status for each in trunk.messages(0.3) if each.status >= 200}
    assert finals == {"CANCEL": 200, "INVITE": 487}


def test_a_dead_edge_costs_half_a_second_and_only_the_first_call(site: Site) -> None:
    trunk, dead, live = site.trunk(), site.edge(), site.edge()
    steer(site, f"{dead.address}|{live.address}")
    start = time.monotonic()
    call(trunk)
    take(live)
    assert 0.35 < trunk.final().at_s - start < 0.8
    assert site.row("down", dead.address) == "1"

    start = time.monotonic()
    call(trunk)
    take(live)
    assert trunk.final().at_s - start < 0.2

    # It comes back by itself once it has had its time out.
    until = time.monotonic() + 6
    while site.row("down", dead.address) is not None and time.monotonic() < until:
        time.sleep(0.1)
    while dead.receive(0.05):
        pass
    call(trunk)
    assert dead.wait("INVITE").status == 0


def test_three_silent_edges_and_one_that_lives_are_done_within_two_seconds(site: Site) -> None:
    trunk = site.trunk()
    dead = [site.edge() for _ in range(3)]
    live = site.edge()
    steer(site, "|".join(edge.address for edge in [*dead, live]))
    start = time.monotonic()
    call(trunk)
    take(live)
    assert trunk.final().at_s - start < 2.0


def test_given_a_dead_site_then_another_site_is_tried_before_its_second_edge(site: Site) -> None:
    trunk, dead = site.trunk(), [site.edge() for _ in range(4)]
    live = site.edge()
    here, there = dead[:2], dead[2:]
    groups = (here, there, [live])
    steer(site, "|".join(",".join(edge.address for edge in group) for group in groups))
    start = time.monotonic()
    call(trunk)
    take(live)
    assert trunk.final().at_s - start < 1.6


def test_a_lost_datagram_is_sent_again_before_the_edge_counts_as_silent(site: Site) -> None:
    trunk, edge, other = site.trunk(), site.edge(), site.edge()
    steer(site, f"{edge.address}|{other.address}")
    call(trunk)
    edge.wait("INVITE")
    take(edge)
    assert trunk.final().status == 200
    assert other.receive(0.1) is None


def test_an_edge_that_answers_503_is_passed_over_at_once(site: Site) -> None:
    trunk, full, live = site.trunk(), site.edge(), site.edge()
    steer(site, f"{full.address}|{live.address}")
    start = time.monotonic()
    call(trunk)
    full.respond(full.wait("INVITE"), 503)
    take(live)
    assert trunk.final().at_s - start < 0.3
    assert site.row("down", full.address) is None


def test_what_an_edge_refuses_stays_refused(site: Site) -> None:
    trunk, edge, other = site.trunk(), site.edge(), site.edge()
    steer(site, f"{edge.address}|{other.address}")
    call(trunk)
    edge.respond(edge.wait("INVITE"), 488)
    assert trunk.final().status == 488
    assert other.receive(0.1) is None


def test_an_edge_that_freezes_after_its_100_is_passed_over_and_one_that_rings_is_not(
    site: Site,
) -> None:
    trunk, patient = site.trunk(), site.trunk()
    frozen, ringing, live = site.edge(), site.edge(), site.edge()
    steer(site, f"{frozen.address}|{live.address}")
    steer(site, f"{ringing.address}|{live.address}", "4930112")
    start = time.monotonic()
    call(trunk)
    call(patient, "4930112")
    invite, slow = frozen.wait("INVITE"), ringing.wait("INVITE")
    frozen.respond(invite, 100)
    ringing.respond(slow, 180)
    take_over = live.wait("INVITE", timeout_s=6)
    assert take_over.uri.startswith(f"sip:{DID}@")
    assert 3.8 < take_over.at_s - start < 4.5
    live.respond(take_over, 200, body=SDP)
    assert f"@{live.address}" in trunk.final()["Contact"]

    # It wakes up: CANCEL was waiting for it, and its late answer reaches nobody.
    frozen.wait("CANCEL")
    frozen.respond(invite, 200, body=SDP)
    assert trunk.receive(0.3) is None

    assert live.receive(0.3) is None
    ringing.respond(slow, 200, body=SDP)
    assert patient.final().status == 200


def test_a_silent_edge_that_wakes_up_late_does_not_reach_the_caller(site: Site) -> None:
    trunk, frozen, live = site.trunk(), site.edge(), site.edge()
    steer(site, f"{frozen.address}|{live.address}")
    call(trunk)
    take(live)
    assert trunk.final().status == 200
    invite = frozen.wait("INVITE")
    frozen.respond(invite, 100)
    # Its 100 is the sign that it lives: it is told to give up.
    assert frozen.wait("CANCEL")["Call-ID"] == invite["Call-ID"]
    for status in (180, 200, 486):
        frozen.respond(invite, status, body=SDP if status == 200 else "")
    assert trunk.receive(0.3) is None


def test_given_all_edges_are_silent_then_503_with_retry_after_within_two_seconds(
    site: Site,
) -> None:
    trunk, edges = site.trunk(), [site.edge() for _ in range(6)]
    steer(site, "|".join(edge.address for edge in edges))
    start = time.monotonic()
    uri = call(trunk)
    answer = trunk.final()
    assert answer.status == 503
    assert int(answer["Retry-After"]) > 0
    assert answer.at_s - start < 2.1
    acknowledge(trunk, answer, uri)

    # All are marked now: they are tried all the same, for one may have come back.
    for edge in edges:
        while edge.receive(0.01):
            pass
    call(trunk)
    take(who_rings(edges))
    assert trunk.final().status == 200


def test_an_ack_to_a_refusal_ends_here_even_with_a_route(site: Site) -> None:
    trunk = site.trunk()
    steer(site, "127.0.0.1:1", "4940")
    route = f"Route: <sip:{site.address};lr>\r\n"
    uri = call(trunk, "4930999", headers=route)
    answer = trunk.final()
    acknowledge(trunk, answer, uri, headers=route)
    assert trunk.receive(0.7) is None


def test_given_all_edges_say_503_then_the_carrier_hears_503(site: Site) -> None:
    """Not 500: tm's remap_503_500 is off, and carriers hunt on after 503 only."""
    trunk, edges = site.trunk(), [site.edge(), site.edge()]
    steer(site, "|".join(edge.address for edge in edges))
    call(trunk)
    for edge in edges:
        edge.respond(edge.wait("INVITE"), 503)
    answer = trunk.final()
    assert answer.status == 503
    assert answer["Retry-After"]


def test_an_unknown_number_is_the_callers_mistake(site: Site) -> None:
    trunk = site.trunk()
    steer(site, "127.0.0.1:1", "4940")
    call(trunk, "4930999")
    assert trunk.final().status == 404


def test_given_a_row_for_any_number_then_the_edge_is_asked(site: Site) -> None:
    trunk, edge = site.trunk(), site.edge()
    steer(site, edge.address, "*")
    call(trunk, "4930999")
    take(edge)
    assert trunk.final().status == 200


@pytest.mark.parametrize("row", ["|", "nonsense"])
def test_a_number_that_nobody_can_serve_is_our_failure(site: Site, row: str) -> None:
    trunk = site.trunk()
    steer(site, row)
    call(trunk)
    answer = trunk.final()
    assert answer.status == 503
    assert answer["Retry-After"]


def test_a_proxy_that_never_had_tables_says_503_not_404(site: Site) -> None:
    trunk = site.trunk()
    site.drop("meta", "tables")
    call(trunk)
    assert trunk.final().status == 503


def test_a_caller_who_gives_up_ends_it_at_the_edge(site: Site) -> None:
    trunk, edge = site.trunk(), site.edge()
    steer(site, edge.address)
    uri = f"sip:{DID}@{site.address}"
    invite = trunk.request("INVITE", uri, body=SDP, call_id="gives-up", branch="z9hG4bKup")
    trunk.send(invite)
    at_edge = edge.wait("INVITE")
    edge.respond(at_edge, 180)
    trunk.send(trunk.request("CANCEL", uri, call_id="gives-up", branch="z9hG4bKup"))
    cancel = edge.wait("CANCEL")
    edge.respond(cancel, 200)
    edge.respond(at_edge, 487)
    finals = {each.method: each.status for each in trunk.messages(0.3) if each.status >= 200}
    assert finals == {"CANCEL": 200, "INVITE": 487}


def test_a_caller_who_gives_up_on_a_silent_edge_is_not_taken_to_the_next(site: Site) -> None:
    trunk, dead, other = site.trunk(), site.edge(), site.edge()
    steer(site, f"{dead.address}|{other.address}")
    uri = f"sip:{DID}@{site.address}"
    trunk.send(trunk.request("INVITE", uri, body=SDP, call_id="silent-up", branch="z9hG4bKsu"))
    dead.wait("INVITE")
    trunk.send(trunk.request("CANCEL", uri, call_id="silent-up", branch="z9hG4bKsu"))
    finals = {
        message.method: message.status for message in trunk.messages(1.2) if message.status >= 200
    }
    assert finals["CANCEL"] == 200
    assert finals["INVITE"] == 487
    assert other.receive(0.1) is None


def test_a_retransmitted_invite_does_not_make_a_second_call(site: Site) -> None:
    trunk, edge = site.trunk(), site.edge()
    steer(site, edge.address)
    invite = trunk.request("INVITE", f"sip:{DID}@{site.address}", body=SDP)
    for _ in range(3):
        trunk.send(invite)
    take(edge)
    assert edge.receive(0.3) is None


def test_keepalives_of_peers_are_answered_and_say_when_we_drain(site: Site) -> None:
    trunk, edge = site.trunk(), site.edge()
    for peer in (trunk, edge):
        peer.send(peer.request("OPTIONS", f"sip:{site.address}"))
        assert peer.final().status == 200
    site.put("meta", "draining", "1")
    for peer in (trunk, edge):
        peer.send(peer.request("OPTIONS", f"sip:{site.address}"))
        answer = peer.final()
        assert answer.status == 503
        assert answer["Retry-After"]


@pytest.mark.parametrize("method", ["MESSAGE", "SUBSCRIBE", "PUBLISH", "REGISTER", "REFER"])
def test_a_trunk_may_call_and_nothing_else(site: Site, method: str) -> None:
    trunk = site.trunk()
    trunk.send(trunk.request(method, f"sip:{DID}@{site.address}"))
    assert trunk.final().status == 405


def test_a_preset_route_does_not_turn_us_into_a_relay(site: Site) -> None:
    trunk, edge, victim = site.trunk(), site.edge(), site.peer()
    steer(site, edge.address)
    route = f"Route: <sip:{site.address};lr>\r\nRoute: <sip:{victim.address};lr>\r\n"
    call(trunk, headers=route)
    assert take(edge)["Route"] == ""
    assert victim.receive(0.2) is None


def test_hops_run_out(site: Site) -> None:
    trunk = site.trunk()
    trunk.send(trunk.request("INVITE", f"sip:{DID}@{site.address}", max_forwards=0))
    assert trunk.final().status == 483


def say_room(site: Site, edge: SipPeer, count: int) -> None:
    """Say as an edge does how many calls it takes, and return when that counts."""
    message = json.dumps({"do": "headroom", "edge": edge.address, "calls": count}).encode()
    with socket.create_connection(site.events) as door:
        door.sendall(b"%d:%s," % (len(message), message))
        until = time.monotonic() + 5
        while site.row("room", edge.address) != str(count):
            assert time.monotonic() < until, "the room was not noted"
            time.sleep(0.01)


def test_calls_beyond_what_the_edge_takes_are_refused_at_once_until_it_has_answered_one(
    site: Site,
) -> None:
    trunk, edge = site.trunk(), site.edge()
    steer(site, edge.address)
    say_room(site, edge, 2)
    asked = []
    for _ in range(2):
        call(trunk)
        asked.append(edge.wait("INVITE"))
        edge.respond(asked[-1], 100)
    call(trunk, call_id="one too many")
    refused = trunk.wait(503)
    assert refused["Retry-After"]
    edge.respond(asked[0], 200, body=SDP)
    trunk.wait(200)
    call(trunk, call_id="later")
    edge.respond(edge.wait("INVITE"), 100)


def test_an_edge_that_has_died_refuses_calls_only_for_a_while(site: Site) -> None:
    trunk, edge = site.trunk(), site.edge()
    steer(site, edge.address)
    say_room(site, edge, 0)
    call(trunk, call_id="one too many")
    trunk.wait(503)
    until = time.monotonic() + 6
    while site.row("room", edge.address) is not None:
        assert time.monotonic() < until, "an edge that has died would refuse calls for ever"
        time.sleep(0.05)
    call(trunk, call_id="later")
    take(edge)
