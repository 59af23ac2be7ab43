"""A real Kamailio that stands still: what was sent to it meanwhile, and what comes later."""

from __future__ import annotations

import time

import pytest

from tests.kemi.phone import offer, register
from tests.kemi.sip_peer import SDP, ha1_of
from tests.kemi.site import Site

pytestmark = pytest.mark.parts

DID = "4930111"
STILL_S = 3.0
LATER_S = 3.0


def test_a_call_from_before_it_woke_up_is_refused_and_one_of_later_is_served(site: Site) -> None:
    trunk, edge, ringing_edge, phone = site.trunk(), site.edge(), site.edge(), site.peer()
    for table, key, value in (
        ("steer", DID, edge.address),
        ("ha1", "alice", ha1_of("alice", "pw")),
        ("home", "alice", "1.6"),
    ):
        site.put(table, key, value)
    assert register(phone, "alice").status == 200
    uri = f"sip:{DID}@{site.address}"
    trunk.send(trunk.request("INVITE", uri, body=SDP, call_id="talks"))
    edge.respond(edge.wait("INVITE"), 200, body=SDP)
    talks = trunk.wait(200)
    site.until_there("beat", "last")
    with site.still():
        trunk.send(trunk.request("INVITE", uri, body=SDP, call_id="stale"))
        offer(ringing_edge, "alice", "c", (1, 7))
        bye = trunk.request(
            "BYE",
            f"sip:uas@{edge.address}",
            headers=f"Route: {talks['Record-Route']}\r\n",
            call_id="talks",
            cseq=2,
            to_uri=uri,
            to_tag=talks.to_tag,
        )
        trunk.send(bye)
        time.sleep(STILL_S)
    edge.respond(edge.wait("BYE"), 200)
    finals = {final["Call-ID"]: final for final in (trunk.final(), trunk.final())}
    assert finals["stale"].start == "SIP/2.0 503 Just Woken Up"
    assert finals["stale"]["Retry-After"] == "2"
    assert finals["talks"].status == 200
    assert ringing_edge.final().start == "SIP/2.0 503 nobody listens"

    # Of the talk an INVITE or BYE may come twice, on a busy machine.
    assert {message["Call-ID"] for message in edge.messages(LATER_S)} <= {"talks"}
    assert phone.receive(0.1) is None
    trunk.send(trunk.request("INVITE", uri, body=SDP, call_id="later"))
    edge.respond(edge.wait("INVITE"), 200, body=SDP)
    assert trunk.final()["Call-ID"] == "later"
    assert "stood still for" in site.log_text()


def test_its_start_and_a_shorter_pause_are_no_awakening(site: Site) -> None:
    trunk, edge = site.trunk(), site.edge()
    site.put("steer", DID, edge.address)
    site.until_there("beat", "last")
    before = len(site.log_text())
    with site.still():
        trunk.send(trunk.request("INVITE", f"sip:{DID}@{site.address}", body=SDP))
        time.sleep(1.0)
    edge.respond(edge.wait("INVITE"), 200, body=SDP)
    assert trunk.final().status == 200
    assert "stood still for" not in site.log_text()[before:]
