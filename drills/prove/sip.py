"""The few SIP messages that the people of a run send. PURE.

They are as a Kamailio hands them on: two Vias, a Record-Route, a Contact behind the proxy. Reading
and answering is the benchmark's.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.bench.wire import Heard, sdp, uri_in

GONE = b"481 Call/Transaction Does Not Exist"
BODY = sdp(b"198.18.11.10", 40000)


@dataclass(slots=True, kw_only=True)
class Dialog:
    """One end of a dialog, from which requests are made."""

    proxy: str
    """`host:port` of the site's proxy."""
    call_id: str
    local: str
    """From, with our tag."""
    remote: str
    """To; with their tag as soon as that is known."""
    target: str
    """Request-URI: their Contact."""
    cseq: int = 1


def invite(dialog: Dialog, number: str, site: str, branch: str) -> bytes:
    """Return a caller's INVITE."""
    extra = (
        f"Record-Route: <sip:{dialog.proxy};lr=on>\r\n"
        f"Contact: <sip:{number}@198.18.11.10:5060>\r\n"
        f"X-Everline-Trunk: prove\r\nX-Everline-Via: {site}\r\n"
    )
    return request(dialog, "INVITE", branch, extra, BODY)


def request(dialog: Dialog, method: str, branch: str, extra: str = "", body: bytes = b"") -> bytes:
    """Return a request of a dialog."""
    kind = "Content-Type: application/sdp\r\n" if body else ""
    head = (
        f"{method} {dialog.target} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {dialog.proxy};branch=z9hG4bKp{branch}\r\n"
        f"Via: SIP/2.0/UDP 198.18.11.10:5060;branch=z9hG4bKq{branch}\r\nMax-Forwards: 69\r\n"
        f"From: {dialog.local}\r\nTo: {dialog.remote}\r\nCall-ID: {dialog.call_id}\r\n"
        f"CSeq: {dialog.cseq} {method}\r\n{extra}{kind}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def of_telephone(proxy: str, heard: Heard, tag: str) -> Dialog:
    """Return the agent's end of the dialog that an edge's INVITE makes."""
    return Dialog(
        proxy=proxy,
        call_id=heard.call_id.decode(),
        local=f"{heard.first(b'to').decode()};tag={tag}",
        remote=heard.first(b"from").decode(),
        target=uri_in(heard.first(b"contact")).decode(),
    )


def consulting(dialog: Dialog, agent: str, site: str, branch: str) -> bytes:
    """Return the INVITE of an agent to a colleague, of whom the proxy has asked proof."""
    extra = (
        f"Record-Route: <sip:{dialog.proxy};lr=on>\r\n"
        f"Contact: <sip:{agent}@198.18.21.10:5060>\r\n"
        f"X-Everline-Agent: {agent}\r\nX-Everline-Via: {site}\r\n"
    )
    return request(dialog, "INVITE", branch, extra, BODY)


def accepted(heard: Heard, contact: bytes, tag: bytes = b"") -> bytes:
    """Return the 200 to a request of the edge's, with what we can hear if it asks that."""
    body = BODY if heard.start.startswith(b"INVITE") else b""
    return heard.answer(b"200 OK", contact, body, tag=tag)


def contact(proxy: str, user: str) -> bytes:
    """Return what a telephone's answers say of the way to it."""
    return (
        f"Record-Route: <sip:{proxy};lr=on>\r\nContact: <sip:{user}@198.18.21.10:5060>\r\n"
    ).encode()
