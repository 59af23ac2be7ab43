"""Reading and writing messages: compact names, folding, lists, addresses, and what may not pass."""

from __future__ import annotations

import pytest

from edge.sip.builder import Identity, Outgoing, header_lines, write_request, write_response
from edge.sip.digest import challenge_in, proof
from edge.sip.errors import LocalError, RemoteError
from edge.sip.events import Address
from edge.sip.headers import parse_name_addr, parse_via, split_list
from edge.sip.message import NotSipError, Request, Response, parse
from edge.sip.transaction_layer import response_address
from edge.sip.uri import parse_uri

HEAD = (
    "INVITE sip:b@x SIP/2.0\r\nv: SIP/2.0/UDP [2001:db8::9]:5070;branch=z9hG4bKx;rport,\r\n"
    '\tSIP/2.0/UDP far;branch=z9hG4bKy\r\nf: "A, B" <sip:a@x>;tag=1\r\nt: sip:b@x;x=y\r\n'
    "i: c@d\r\nCSeq:  5   INVITE\r\nm: <sip:a@192.0.2.1>, <sip:other@x>\r\nk: timer\r\n"
    "Supported: 100rel , replaces\r\nl: 3\r\n\r\n"
)


def request() -> Request:
    message = parse(HEAD.encode() + b"abcdef")
    assert isinstance(message, Request)
    message.check()
    return message


def test_compact_names_folding_and_lists_are_read() -> None:
    message = request()
    assert (message.via.host, message.via.port, message.via.branch) == (
        "[2001:db8::9]",
        5070,
        "z9hG4bKx",
    )
    assert message.via.has_rport
    assert (message.from_.uri, message.from_.tag) == ("sip:a@x", "1")
    assert (message.to.uri, message.to.params, message.to.tag) == ("sip:b@x", ";x=y", "")
    assert message.contact == "sip:a@192.0.2.1"
    assert message.tokens("supported") == {"timer", "100rel", "replaces"}
    assert message.cseq == (5, "INVITE")
    assert message.body == b"abc", "what follows Content-Length is not part of it"
    assert message.joined()["supported"] == "timer, 100rel , replaces"


def test_a_response_copies_all_vias_and_fills_in_the_first() -> None:
    wire = write_response(request(), Address("2001:db8::77", 4321), 180, to_tag="mine")
    answer = parse(wire)
    assert isinstance(answer, Response)
    first, second = answer.elements("via")
    assert "rport=4321" in first
    assert "received=2001:db8::77" in first
    assert second == "SIP/2.0/UDP far;branch=z9hG4bKy"
    assert answer.to.tag == "mine"


@pytest.mark.parametrize(
    ("via", "source", "expected"),
    [
        ("h:5070;rport", Address("192.0.2.7", 999), Address("192.0.2.7", 999)),
        ("h:5070", Address("192.0.2.7", 999), Address("192.0.2.7", 5070)),
        ("h", Address("192.0.2.7", 999), Address("192.0.2.7", 5060)),
        ("h;maddr=192.0.2.66", Address("192.0.2.7", 5060), Address("192.0.2.7", 5060)),
    ],
    ids=["rport", "sent-by", "default port", "maddr is not followed"],
)
def test_a_response_goes_to_where_the_request_came_from(
    via: str, source: Address, expected: Address
) -> None:
    message = parse(f"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\n\r\n".encode())
    assert isinstance(message, Request)
    assert response_address(message, source) == expected


@pytest.mark.parametrize(
    ("text", "host", "port", "user", "loose"),
    [
        ("sip:a@192.0.2.1:5070;lr", "192.0.2.1", 5070, "a", True),
        ("sip:[2001:db8::1]", "2001:db8::1", None, None, False),
        ("sips:a:pw@example.com;transport=udp;lr=on?X=y", "example.com", None, "a:pw", True),
        ("sip:user;par=u%40x@example.com;lrx", "example.com", None, "user;par=u%40x", False),
    ],
)
def test_a_uri_is_taken_apart(
    text: str,
    host: str,
    port: int | None,
    user: str | None,
    loose: bool,  # noqa: FBT001
) -> None:
    uri = parse_uri(text)
    assert (uri.host, uri.port, uri.user, uri.is_loose) == (host, port, user, loose)


@pytest.mark.parametrize(
    "text",
    ["sip:", "sip:@x", "sip:a@", "sip:a b@x", "sip:a@x:0", "sip:a@x:99999", "x", "sip:a@x y"],
)
def test_a_malformed_uri_is_refused(text: str) -> None:
    with pytest.raises(RemoteError):
        parse_uri(text)


@pytest.mark.parametrize(
    "value", ['"a <sip:x@y>', "<sip:x@y", "", "sip:a@b?c=d", "<sip:a@b> x", '"a"', "< sip:a@b >"]
)
def test_a_malformed_address_is_refused(value: str) -> None:
    with pytest.raises(RemoteError):
        parse_name_addr(value)


@pytest.mark.parametrize(
    "value", ["", "SIP/2.0/UDP", "SIP/2.0/UDP h:0", "SIP/2.0/UDP h:70000", "SIP/2.0/UDP h;", "x y"]
)
def test_a_malformed_via_is_refused(value: str) -> None:
    with pytest.raises(RemoteError):
        parse_via(value)


def test_commas_in_quotes_and_brackets_do_not_split() -> None:
    value = '"a, \\"b" <sip:x,y@z>;p="1,2", <sip:q@r>'
    assert split_list(value) == ['"a, \\"b" <sip:x,y@z>;p="1,2"', "<sip:q@r>"]


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\r\n\r\n",
        b"hello",
        b"INVITE sip:a SIP/2.0\r\nVia: x\r\n",
        b"SIP/2.0 20 OK\r\n\r\n",
        b"SIP/2.0 999 OK\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_not_sip_is_recognised(wire: bytes) -> None:
    with pytest.raises(NotSipError):
        parse(wire)


def test_octets_that_are_no_utf8_survive_the_way_back() -> None:
    wire = HEAD.replace('"A, B"', '"\udcff"').encode(errors="surrogateescape") + b"abc"
    message = parse(wire)
    assert isinstance(message, Request)
    assert b'"\xff"' in write_response(message, Address("192.0.2.1", 5060), 200)


def test_a_multipart_body_gives_its_session_description() -> None:
    body = (
        b"--b\r\nContent-Type: application/isup\r\n\r\nxx\r\n"
        b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b--\r\n"
    )
    head = HEAD.replace("l: 3", f'c: multipart/mixed;boundary="b"\r\nl: {len(body)}')
    assert parse(head.encode() + body).sdp == b"v=0\r\n"


def test_a_message_beyond_a_datagram_is_a_local_error() -> None:
    identity = Identity(
        local=Address("::1", 5060), product="test", contact_user="everline", allow="INVITE"
    )
    big = Outgoing(
        method="INFO",
        uri="sip:a@b",
        routes=(),
        from_="<sip:a@b>",
        to="<sip:a@b>",
        call_id="c",
        cseq=1,
        extra="",
        body=bytes(65500),
        content_type="x/y",
    )
    assert identity.contact == "sip:everline@[::1]:5060"
    with pytest.raises(LocalError, match="65507"):
        write_request(big, identity, "z9hG4bKx")


@pytest.mark.parametrize("name", ["Via", "content-length", "Contact", "a b", ""])
def test_some_headers_are_not_the_users_to_write(name: str) -> None:
    with pytest.raises(LocalError):
        header_lines({name: "x"})


def challenged(value: str, status: int = 401) -> Response:
    name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
    message = parse(f"SIP/2.0 {status} X\r\n{name}: {value}\r\n\r\n".encode())
    assert isinstance(message, Response)
    return message


def test_digest_gives_the_answer_of_rfc_2617() -> None:
    # RFC 2617 §3.5, with its well-known user, nonce and answer.
    challenge = challenge_in(
        challenged(
            'Digest realm="testrealm@host.com", qop="auth,auth-int", '
            'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
        )
    )
    assert challenge is not None
    line = proof(challenge, ("Mufasa", "Circle Of Life"), "GET", "/dir/index.html", "0a4f113b")
    assert 'response="6629fae49393a05397450978507c4ef1"' in line
    assert line.startswith("Authorization: Digest ")
    assert 'opaque="5ccc069c403ebaf9f0171e9517f40e41"' in line


def test_digest_without_qop_and_for_a_proxy() -> None:
    challenge = challenge_in(challenged('Digest realm="r", nonce="n", stale=TRUE', 407))
    assert challenge is not None
    assert challenge.is_stale
    line = proof(challenge, ("u", "p"), "INVITE", "sip:x", "c")
    assert line.startswith("Proxy-Authorization: Digest ")
    assert "qop" not in line


@pytest.mark.parametrize(
    "value", ['Basic realm="x"', 'Digest realm="x", nonce="n", algorithm=X', "Digest"]
)
def test_a_challenge_that_we_cannot_meet_is_left(value: str) -> None:
    assert challenge_in(challenged(value)) is None
