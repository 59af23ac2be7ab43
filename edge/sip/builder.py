"""Messages to be sent, written as text once and kept as bytes for retransmission."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from edge.sip.errors import LocalError
from edge.sip.events import Address
from edge.sip.headers import split_list, stamp_via
from edge.sip.message import ENCODING, ERRORS, Request
from edge.sip.uri import host_text

MAX_DATAGRAM = 65507
"""A UDP payload over IPv4 (65535 less IP and UDP headers)."""
BRANCH_COOKIE = "z9hG4bK"
SDP = "application/sdp"

REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    422: "Session Interval Too Small",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
}
_NAME = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
OURS = frozenset(
    [
        "via",
        "from",
        "to",
        "call-id",
        "cseq",
        "content-length",
        "max-forwards",
        "route",
        "record-route",
    ]
)


class Identity(Struct, frozen=True, kw_only=True):
    """What we say of ourselves in every message."""

    local: Address
    product: str
    contact_user: str
    allow: str
    """Methods, comma-separated."""

    @property
    def contact(self) -> str:
        """Our Contact URI."""
        return f"sip:{self.contact_user}@{host_text(self.local.host)}:{self.local.port}"

    def via(self, branch: str) -> str:
        """Write our Via element for a new transaction."""
        host = host_text(self.local.host)
        return f"SIP/2.0/UDP {host}:{self.local.port};rport;branch={branch}"


class Outgoing(Struct, frozen=True, kw_only=True):
    """A request of ours before it gets its Via: all that a retry has to write again."""

    method: str
    uri: str
    routes: tuple[str, ...]
    from_: str
    to: str
    call_id: str
    cseq: int
    extra: str
    """Further header lines, each ended by CRLF."""
    body: bytes
    content_type: str
    contact: bool = True


def write_request(request: Outgoing, identity: Identity, branch: str) -> bytes:
    """Write a request. LocalError if it does not fit a datagram."""
    via = identity.via(branch)
    routes = f"Route: {', '.join(request.routes)}\r\n" if request.routes else ""
    contact = f"Contact: <{identity.contact}>\r\n" if request.contact else ""
    kind = f"Content-Type: {request.content_type}\r\n" if request.body else ""
    return _join(
        f"{request.method} {request.uri} SIP/2.0\r\nVia: {via}\r\n{routes}Max-Forwards: 70\r\n"
        f"From: {request.from_}\r\nTo: {request.to}\r\nCall-ID: {request.call_id}\r\n"
        f"CSeq: {request.cseq} {request.method}\r\n{contact}{request.extra}"
        f"User-Agent: {identity.product}\r\n{kind}Content-Length: {len(request.body)}\r\n\r\n",
        request.body,
    )


def write_hop_request(request: Outgoing, method: str, via: str, to: str, extra: str) -> bytes:
    """Write CANCEL, or ACK to a failure: on the INVITE's own hop (RFC 3261 §9.1, §17.1.1.3)."""
    routes = f"Route: {', '.join(request.routes)}\r\n" if request.routes else ""
    return _join(
        f"{method} {request.uri} SIP/2.0\r\nVia: {via}\r\n{routes}Max-Forwards: 70\r\n"
        f"From: {request.from_}\r\nTo: {to}\r\nCall-ID: {request.call_id}\r\n"
        f"CSeq: {request.cseq} {method}\r\n{extra}Content-Length: 0\r\n\r\n",
        b"",
    )


def write_response(  # noqa: PLR0913 - a response has this many parts
    request: Request,
    source: Address,
    status: int,
    *,
    to_tag: str = "",
    reason: str = "",
    extra: str = "",
    body: bytes = b"",
    content_type: str = SDP,
    product: str = "",
) -> bytes:
    """Write the response to `request`, which came from `source`."""
    vias = request.all("via")
    top = vias[0]
    if "," in top:
        elements = split_list(top)
        top = ", ".join([stamp_via(elements[0], source.host, source.port), *elements[1:]])
    else:
        top = stamp_via(top, source.host, source.port)
    more = "".join(f"Via: {via}\r\n" for via in vias[1:])
    to = request.first("to")
    sender, call_id, cseq = request.first("from"), request.call_id, request.first("cseq")
    if to_tag and not request.to.tag:
        to = f"{to};tag={to_tag}"
    who = f"From: {sender}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n"
    if not (sender and to and call_id and cseq):
        # A request that lacks one of these gets its 400 all the same, without it.
        who = "".join(f"{line}\r\n" for line in who.split("\r\n") if not line.endswith(": "))
        who = who.removesuffix("\r\n")
    kind = f"Content-Type: {content_type}\r\n" if body else ""
    server = f"Server: {product}\r\n" if product else ""
    return _join(
        f"SIP/2.0 {status} {reason or REASONS.get(status, 'Unknown')}\r\nVia: {top}\r\n{more}"
        f"{who}{extra}{server}{kind}"
        f"Content-Length: {len(body)}\r\n\r\n",
        body,
    )


def names_contact(headers: Mapping[str, str] | None) -> bool:
    """Tell whether the caller writes a Contact of its own (REGISTER)."""
    return headers is not None and any(name.lower() == "contact" for name in headers)


def header_lines(
    headers: Mapping[str, str] | None, *, ours: frozenset[str] = OURS | {"contact", "content-type"}
) -> str:
    """Write the user's own header fields. LocalError if one is ours to write or breaks a line."""
    if not headers:
        return ""
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or "\r" in value or "\n" in value:
            raise LocalError(f"header field {name!r} cannot go on the wire: remove its line breaks")
        if name.lower() in ours:
            raise LocalError(f"header field {name} is written by the stack: leave it out")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def one_line(text: str, what: str) -> str:
    """Return `text` if it can stand in a header. LocalError otherwise."""
    if "\r" in text or "\n" in text:
        raise LocalError(f"{what} has a line break in it: remove it")
    return text


def copied(name: str, values: Iterable[str]) -> str:
    """Write fields copied from a request, such as Record-Route."""
    return "".join(f"{name}: {value}\r\n" for value in values)


def in_brackets(uri: str) -> str:
    """Write a URI or a whole name-addr as a From or To value without a tag."""
    return uri if "<" in uri else f"<{uri}>"


def _join(head: str, body: bytes) -> bytes:
    datagram = head.encode(ENCODING, ERRORS) + body
    if len(datagram) > MAX_DATAGRAM:
        raise LocalError(f"message of {len(datagram)} bytes: at most {MAX_DATAGRAM} fit a datagram")
    return datagram
