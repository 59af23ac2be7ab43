"""What is not SIP, or hardly, at a real Kamailio: no worker dies, and the next call is served."""

from __future__ import annotations

import socket

import pytest

from tests.kemi.phone import offer, register
from tests.kemi.sip_peer import SDP, SipPeer, ha1_of
from tests.kemi.site import Site

pytestmark = pytest.mark.parts

HEAD = "INVITE sip:4930111@everline SIP/2.0\r\n"
VIA = "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKrub\r\n"
REST = (
    "From: <sip:a@b>;tag=f\r\nTo: <sip:4930111@everline>\r\nCall-ID: rubbish\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:a@127.0.0.1:9>\r\nMax-Forwards: 70\r\n"
)
END = "Content-Length: 0\r\n\r\n"

RUBBISH = {
    "nothing": b"",
    "blanks": b"\r\n\r\n\r\n\r\n\r\n",
    "zeros": bytes(600),
    "noise": bytes(range(256)) * 8,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a line alone": HEAD.encode(),
    "no end": (HEAD + VIA + REST).encode(),
    "no via": (HEAD + REST + END).encode(),
    "no call id": (HEAD + VIA + REST.replace("Call-ID: rubbish\r\n", "") + END).encode(),
    "no to": (HEAD + VIA + REST.replace("To: <sip:4930111@everline>\r\n", "") + END).encode(),
    "a negative length": (HEAD + VIA + REST + "Content-Length: -1\r\n\r\n").encode(),
    "a huge length": (HEAD + VIA + REST + "Content-Length: 4294967296\r\n\r\nx").encode(),
    "a length beyond the end": (HEAD + VIA + REST + "Content-Length: 500\r\n\r\nx").encode(),
    "another version": (HEAD.replace("2.0", "7.0") + VIA + REST + END).encode(),
    "another cseq": (HEAD + VIA + REST.replace("1 INVITE", "1 BYE") + END).encode(),
    "a huge cseq": (HEAD + VIA + REST.replace("1 INVITE", "99999999999 INVITE") + END).encode(),
    "a strange uri": (HEAD.replace("sip:4930111@everline", "x:y:z@@") + VIA + REST + END).encode(),
    "no user": (HEAD.replace("4930111@", "") + VIA + REST + END).encode(),
    "latin-1 in the number": (HEAD.replace("4930111", "49\xfc") + VIA + REST + END).encode(
        "latin-1"
    ),
    "latin-1 in the call id": (HEAD + VIA + REST.replace("rubbish", "r\xfc") + END).encode(
        "latin-1"
    ),
    "latin-1 in a route": (
        HEAD + VIA + REST.replace("everline>", "everline>;tag=x") + "Route: <sip:\xfc;lr>\r\n" + END
    ).encode("latin-1"),
    "a long header": (HEAD + VIA + REST + f"X-Long: {'x' * 60000}\r\n" + END).encode(),
    "many headers": (HEAD + VIA + REST + "X: y\r\n" * 9000 + END).encode(),
    "many vias": (HEAD + VIA * 800 + REST + END).encode(),
    "a long number": (HEAD.replace("4930111", "4" * 30000) + VIA + REST + END).encode(),
    "a folded name": (HEAD + VIA + REST + "X-Everline-Via\r\n : x\r\n" + END).encode(),
    "a reply to nothing": ("SIP/2.0 200 OK\r\n" + VIA + REST + END).encode(),
    "a reply of latin-1": ("SIP/2.0 200 OK\r\n" + VIA + REST + END)
    .replace("rubbish", "r\xfc")
    .encode("latin-1"),
    "a strange reply": ("SIP/2.0 999999999 OK\r\n" + VIA + REST + END).encode(),
    "digest without its parts": (
        HEAD + VIA + REST + 'Proxy-Authorization: Digest realm="everline"\r\n' + END
    ).encode(),
    "digest of latin-1": (
        HEAD
        + VIA
        + REST
        + 'Proxy-Authorization: Digest realm="everline", username="\xfc", nonce="x", uri="y", '
        'response="00000000000000000000000000000000"\r\n' + END
    ).encode("latin-1"),
}


def is_served(site: Site, trunk: SipPeer, edge: SipPeer) -> None:
    """See that a call passes."""
    while edge.receive(0.01) or trunk.receive(0.01):
        pass
    trunk.send(trunk.request("INVITE", f"sip:4930111@{site.address}", body=SDP))
    edge.respond(edge.wait("INVITE"), 200, body=SDP)
    assert trunk.wait(200).status == 200


@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH.keys())
def test_rubbish_harms_nobody(site: Site, rubbish: bytes) -> None:
    stranger, trunk, edge = site.peer(), site.trunk(), site.edge()
    site.put("steer", "4930111", edge.address)
    for peer in (stranger, trunk, edge):
        peer.send(rubbish)
    is_served(site, trunk, edge)


def test_a_number_with_strange_bytes_is_a_bad_request(site: Site) -> None:
    trunk = site.trunk()
    invite = trunk.request("INVITE", f"sip:49XX@{site.address}").encode()
    trunk.send(invite.replace(b"49XX", b"49\xfc\xfe"))
    assert trunk.final().status == 400


def test_given_a_row_is_corrupt_then_the_caller_is_sent_elsewhere(site: Site) -> None:
    site.put("ha1", "alice", ha1_of("alice", "pw"))
    site.put("home", "alice", "0.0")
    phone, edge = site.peer(), site.edge()
    register(phone, "alice")
    site.put("gate", "alice", "nonsense")
    offer(edge, "alice", "c", (1, 7))
    assert edge.final().status == 503
    # The lock was let go of: the gate works again as soon as the row does.
    site.put("gate", "alice", "1.6.idle.")
    offer(edge, "alice", "c", (1, 8))
    assert phone.wait("INVITE").status == 0


def test_a_body_of_bytes_passes_unchanged(site: Site) -> None:
    trunk, edge = site.trunk(), site.edge()
    site.put("steer", "4930111", edge.address)
    body = bytes(range(128, 256))
    invite = trunk.request("INVITE", f"sip:4930111@{site.address}", body="B" * len(body))
    trunk.send(invite.encode().replace(b"B" * len(body), body))
    edge.socket.settimeout(5)
    assert edge.socket.recv(65535).endswith(body)


def test_what_is_malformed_leaves_no_numbers_in_the_log(site: Site) -> None:
    trunk = site.trunk()
    trunk.send((HEAD + VIA + REST + "Bad Header\r\n : x\r\n" + END).replace("4930111", "4930777"))
    trunk.send(trunk.request("OPTIONS", f"sip:{site.address}"))
    assert trunk.final().status == 200
    assert "4930777" not in site.log_text()


def test_tcp_is_served_and_rubbish_on_it_is_not(site: Site) -> None:
    site.put("ha1", "alice", ha1_of("alice", "pw"))
    site.put("home", "alice", "0.0")
    for rubbish in (b"\x16\x03\x01" + bytes(400), b"A" * 70000, RUBBISH["a huge length"]):
        with socket.create_connection((site.address, 5060), timeout=2) as bad:
            bad.sendall(rubbish)
    phone = site.peer()
    request = phone.request(
        "REGISTER", "sip:everline", from_uri="sip:alice@everline", to_uri="sip:alice@everline"
    ).replace("SIP/2.0/UDP", "SIP/2.0/TCP")
    with socket.create_connection((site.address, 5060), timeout=2) as good:
        good.sendall(request.encode())
        assert good.recv(4096).startswith(b"SIP/2.0 401")
    assert register(phone, "alice").status == 200
