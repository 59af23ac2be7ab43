"""Edges that dial out through a real Kamailio: to trunks, within their prefixes, and nowhere."""

from __future__ import annotations

import pytest

from tests.kemi.sip_peer import SDP, SipPeer
from tests.kemi.site import Site

pytestmark = pytest.mark.parts

NUMBER = "4930777"


def dial(peer: SipPeer, number: str = NUMBER, trunk: str = "t1") -> None:
    """Send an INVITE as an edge does that calls somebody back."""
    uri = f"sip:{number}@198.51.100.1"
    headers = f"X-Everline-Dial: {trunk}\r\nX-Everline-Call: secret\r\n"
    peer.send(peer.request("INVITE", uri, body=SDP, headers=headers))


def test_an_edge_reaches_a_number_through_a_trunk_and_both_may_end_the_call(site: Site) -> None:
    edge, trunk = site.edge(), site.trunk()
    site.put("dial", "t1", f"{trunk.address} 4930,+49")
    dial(edge)
    invite = trunk.wait("INVITE")
    assert invite.uri == f"sip:{NUMBER}@{trunk.address}"
    assert not [name for name, _ in invite.headers if name.lower().startswith("x-everline")]
    assert f"<sip:{site.address};" in invite["Record-Route"]
    trunk.respond(invite, 180)
    trunk.respond(invite, 200, body=SDP)
    assert edge.wait(200).body == SDP


@pytest.mark.parametrize(
    ("number", "trunk"), [("1900777", "t1"), (NUMBER, "t2"), ("alice", "t1"), (NUMBER, "t3")]
)
def test_what_the_trunk_does_not_allow_is_forbidden(site: Site, number: str, trunk: str) -> None:
    edge, carrier = site.edge(), site.trunk()
    site.put("dial", "t1", f"{carrier.address} 4930")
    site.drop("dial", "t2")
    site.put("dial", "t3", f"{carrier.address} |")
    dial(edge, number, trunk)
    assert edge.final().status == 403
    assert carrier.receive(0.2) is None


def test_a_trunk_dials_out_through_no_other(site: Site) -> None:
    one, other = site.trunk("t1"), site.trunk("t2")
    site.put("dial", "t2", f"{other.address} 4930")
    site.put("steer", NUMBER, "|")
    dial(one, NUMBER, "t2")
    assert one.final().status in {404, 503}
    assert other.receive(0.2) is None
