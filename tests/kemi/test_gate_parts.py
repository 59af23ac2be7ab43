"""The gate of a real Kamailio: a phone rings for one offer at a time, and only for a new one."""

from __future__ import annotations

import time

import pytest

from tests.kemi.phone import offer, register
from tests.kemi.sip_peer import SDP, Message, SipPeer, ha1_of
from tests.kemi.site import Site

pytestmark = pytest.mark.parts


@pytest.fixture
def phone(site: Site) -> SipPeer:
    """Return the phone of alice, who has registered."""
    site.put("ha1", "alice", ha1_of("alice", "pw"))
    site.put("home", "alice", "0.0")
    phone = site.peer()
    assert register(phone, "alice").status == 200
    return phone


def gate(site: Site, wanted: str) -> None:
    """Wait until alice's gate reads so."""
    until = time.monotonic() + 3
    while (row := site.row("gate", "alice")) != wanted:
        assert time.monotonic() < until, f"the gate reads {row}, not {wanted}"
        time.sleep(0.01)


def rung(site: Site, phone: SipPeer, edge: SipPeer, revision: int = 7) -> Message:
    """Ring alice for call `c` and return the INVITE at her phone."""
    offer(edge, "alice", "c", (1, revision))
    invite = phone.wait("INVITE")
    gate(site, f"1.{revision}.ringing.c")
    return invite


def test_an_offer_rings_the_phone_where_it_speaks_from(site: Site, phone: SipPeer) -> None:
    edge = site.edge()
    invite = rung(site, phone, edge)
    assert invite.uri == f"sip:alice@{phone.address}"
    assert edge.wait(100).status == 100
    phone.respond(invite, 180)
    assert edge.wait(180).status == 180
    phone.respond(invite, 200, body=SDP)
    assert edge.wait(200).body == SDP
    gate(site, "1.7.talking.c")


def test_an_agent_who_was_moved_is_rung_at_the_new_home_with_tokens_made_since(
    site: Site, phone: SipPeer
) -> None:
    edge = site.edge()
    site.drop("home", "alice")
    offer(edge, "alice", "c", (1, 7))
    assert edge.final().start == "SIP/2.0 403 not homed here"
    site.put("home", "alice", "1.8")
    offer(edge, "alice", "c", (1, 8))
    assert edge.final().start == "SIP/2.0 403 stale token"
    rung(site, phone, edge, revision=9)


def test_a_phone_hears_whether_its_agent_can_be_rung(site: Site, phone: SipPeer) -> None:
    phone.send(phone.request("OPTIONS", "sip:everline", call_id="ask-1"))
    assert phone.final().status == 503  # no edge listens
    site.put("meta", "listeners", "a1")
    site.put("listen", "a1", "1")
    phone.send(phone.request("OPTIONS", "sip:everline", call_id="ask-2"))
    assert phone.final().status == 200


@pytest.mark.parametrize("token", [(1, 7), (1, 6), (0, 99)])
def test_a_token_that_is_not_newer_is_refused(
    site: Site, phone: SipPeer, token: tuple[int, int]
) -> None:
    edge = site.edge()
    site.put("gate", "alice", "1.7.idle.")
    offer(edge, "alice", "c", token)
    answer = edge.final()
    assert (answer.status, answer.start) == (403, "SIP/2.0 403 stale token")
    assert phone.receive(0.1) is None
    assert site.row("gate", "alice") == "1.7.idle."


def test_a_token_of_an_epoch_that_is_over_is_refused(site: Site, phone: SipPeer) -> None:
    edge = site.edge()
    site.put("meta", "epoch", "3")
    offer(edge, "alice", "c", (2, 10**12))
    assert edge.final().status == 403
    offer(edge, "alice", "c", (3, 1))
    assert phone.wait("INVITE").status == 0


def test_no_token_from_before_the_gate_was_loaded_is_new(site: Site, phone: SipPeer) -> None:
    edge = site.edge()
    site.put("meta", "gate_floor", "1.100")
    offer(edge, "alice", "c", (1, 100))
    assert edge.final().status == 403
    offer(edge, "alice", "c", (1, 101))
    assert phone.wait("INVITE").status == 0


@pytest.mark.parametrize("state", ["ringing", "talking"])
def test_an_agent_who_is_taken_is_not_offered(site: Site, phone: SipPeer, state: str) -> None:
    edge = site.edge()
    site.put("gate", "alice", f"1.7.{state}.other")
    offer(edge, "alice", "c", (1, 8))
    assert edge.final().start == "SIP/2.0 486 busy"
    assert phone.receive(0.1) is None
    assert site.row("gate", "alice") == f"1.7.{state}.other"


def test_a_gate_that_was_not_loaded_refuses_for_now(site: Site, phone: SipPeer) -> None:
    edge = site.edge()
    site.drop("meta", "gate_loaded")
    offer(edge, "alice", "c", (1, 7))
    answer = edge.final()
    assert answer.start == "SIP/2.0 503 gate not loaded"
    assert answer["Retry-After"]
    assert phone.receive(0.1) is None


@pytest.mark.parametrize("agent", ["bob", "no%20body", "a" * 100, "4930111"])
def test_an_agent_without_a_phone_is_not_registered(site: Site, agent: str) -> None:
    edge = site.edge()
    offer(edge, agent, "c", (1, 7))
    assert edge.final().start == "SIP/2.0 480 not registered"
    assert site.row("gate", agent) is None


@pytest.mark.parametrize(
    "header", ["", "X-Everline-Offer: c 1\r\n", "X-Everline-Offer: c -1 x\r\n"]
)
def test_an_edge_without_an_offer_rings_nobody(site: Site, phone: SipPeer, header: str) -> None:
    edge = site.edge()
    edge.send(edge.request("INVITE", "sip:alice@everline", headers=header, body=SDP))
    assert edge.final().status == 403
    assert phone.receive(0.1) is None


@pytest.mark.parametrize("status", [486, 603, 480, 500, 302])
def test_a_refusal_frees_the_agent_and_the_token_is_spent(
    site: Site, phone: SipPeer, status: int
) -> None:
    edge = site.edge()
    phone.respond(rung(site, phone, edge), status)
    assert edge.final().status == status
    gate(site, "1.7.idle.")


def test_given_a_phone_is_dead_then_the_edge_knows_within_two_seconds(
    site: Site, phone: SipPeer
) -> None:
    edge = site.edge()
    start = time.monotonic()
    rung(site, phone, edge)
    answer = edge.final()
    assert answer.status == 408
    assert 1.7 < answer.at_s - start < 2.5
    gate(site, "1.7.idle.")


def test_an_edge_that_withdraws_frees_the_agent(site: Site, phone: SipPeer) -> None:
    edge = site.edge()
    uri = "sip:alice@everline"
    common = {"call_id": "withdrawn", "branch": "z9hG4bKwithdrawn"}
    edge.send(
        edge.request("INVITE", uri, headers="X-Everline-Offer: c 1 7\r\n", body=SDP, **common)  # type: ignore[arg-type]
    )
    invite = phone.wait("INVITE")
    phone.respond(invite, 180)
    edge.wait(180)
    edge.send(edge.request("CANCEL", uri, **common))  # type: ignore[arg-type]
    phone.respond(phone.wait("CANCEL"), 200)
    gate(site, "1.7.ringing.c")
    phone.respond(invite, 487)
    edge.wait(487)
    gate(site, "1.7.idle.")


def test_an_answer_that_crosses_the_cancel_still_holds_the_gate(site: Site, phone: SipPeer) -> None:
    edge = site.edge()
    uri = "sip:alice@everline"
    common = {"call_id": "crossed", "branch": "z9hG4bKcrossed"}
    edge.send(
        edge.request("INVITE", uri, headers="X-Everline-Offer: c 1 7\r\n", body=SDP, **common)  # type: ignore[arg-type]
    )
    invite = phone.wait("INVITE")
    phone.respond(invite, 180)
    edge.wait(180)
    edge.send(edge.request("CANCEL", uri, **common))  # type: ignore[arg-type]
    phone.respond(invite, 200, body=SDP)
    assert {edge.wait(200).method for _ in range(2)} == {"CANCEL", "INVITE"}
    gate(site, "1.7.talking.c")


@pytest.mark.parametrize("who", ["edge", "phone"])
def test_bye_from_either_side_frees_the_agent(site: Site, phone: SipPeer, who: str) -> None:
    edge = site.edge()
    invite = rung(site, phone, edge)
    phone.respond(invite, 200, body=SDP)
    answer = edge.wait(200)
    gate(site, "1.7.talking.c")
    routes = "".join(f"Route: {route}\r\n" for route in answer.all("Record-Route"))
    speaker, other = (edge, phone) if who == "edge" else (phone, edge)
    target = f"sip:uas@{phone.address}" if who == "edge" else f"sip:test@{edge.address}"
    bye = speaker.request(
        "BYE", target, call_id=invite["Call-ID"], cseq=9, to_tag="x", headers=routes
    )
    speaker.send(bye)
    other.respond(other.wait("BYE"), 200)
    assert speaker.final().method == "BYE"
    gate(site, "1.7.idle.")


def test_a_bye_with_a_seal_of_another_call_frees_nobody(site: Site, phone: SipPeer) -> None:
    edge, thief = site.edge(), site.peer()
    invite = rung(site, phone, edge)
    phone.respond(invite, 200, body=SDP)
    edge.wait(200)
    gate(site, "1.7.talking.c")
    seal = invite["Record-Route"]
    other_call = thief.request("BYE", f"sip:test@{edge.address}", call_id="mine", to_tag="x")
    forged = seal.replace("alice~1~7", "alice~1~8")
    for call_id, route in (("mine", seal), (invite["Call-ID"], forged)):
        bye = other_call.replace("Call-ID: mine", f"Call-ID: {call_id}")
        thief.send(bye.replace("Max-Forwards", f"Route: {route}\r\nMax-Forwards"))
    assert thief.receive(0.15) is None
    assert edge.receive(0.1) is None
    assert site.row("gate", "alice") == "1.7.talking.c"


def test_of_many_offers_at_once_exactly_one_rings(site: Site, phone: SipPeer) -> None:
    """Twelve edges, in several rounds, all through four workers: one INVITE a round."""
    for turn in range(1, 9):
        edges = [site.edge() for _ in range(12)]
        for number, edge in enumerate(edges):
            offer(edge, "alice", f"call{number}", (1, 100 * turn + number))
        invite = phone.wait("INVITE")
        verdicts = []
        for edge in edges:
            first = next(iter(edge.messages(1)))
            verdicts.append(first.status)
        assert sorted(set(verdicts) - {100}) in ([403], [486], [403, 486])
        assert verdicts.count(100) == 1
        assert phone.receive(0.03) is None
        phone.respond(invite, 486)
        winner = edges[verdicts.index(100)]
        winner.wait(486)
        revision = invite["X-Everline-Offer"].split()[2]
        gate(site, f"1.{revision}.idle.")


def test_a_retransmitted_offer_is_not_a_second_one(site: Site, phone: SipPeer) -> None:
    edge = site.edge()
    invite = edge.request(
        "INVITE", "sip:alice@everline", headers="X-Everline-Offer: c 1 7\r\n", body=SDP
    )
    for _ in range(5):
        edge.send(invite)
    phone.respond(phone.wait("INVITE"), 180)
    edge.wait(180)
    assert {message.status for message in edge.messages(0.3)} <= {100, 180}
    assert phone.receive(0.1) is None


def test_given_an_edge_died_in_mid_ring_then_the_old_ringing_stops_before_the_new(
    site: Site, phone: SipPeer
) -> None:
    dead, edge = site.edge(), site.edge()
    old = rung(site, phone, dead)
    phone.respond(old, 180)
    dead.wait(180)
    site.put("gate", "alice", "1.7.idle.")  # its offer is gone: an edge has freed the gate
    offer(edge, "alice", "c2", (1, 8))
    cancelled = phone.wait("CANCEL")
    assert cancelled["Call-ID"] == old["Call-ID"]
    phone.respond(cancelled, 200)
    phone.respond(old, 487)
    assert phone.wait("INVITE")["X-Everline-Offer"] == "c2 1 8"
    gate(site, "1.8.ringing.c2")
