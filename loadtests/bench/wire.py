"""SIP as the generator speaks it: quick, and only as much as it needs. PURE.

It plays the Kamailios between the edge and the people, so its messages look like theirs: two Vias,
a Record-Route, a Contact that only the proxy can reach.
"""

from __future__ import annotations

from msgspec import Struct

CRLF = b"\r\n"


class Heard(Struct, frozen=True):
    """A message from the edge. Header fields by lower-case name; of repeated ones, all in order."""

    start: bytes
    fields: dict[bytes, list[bytes]]
    body: bytes

    @property
    def status(self) -> int:
        """The status of a response; 0: a request."""
        return int(self.start[8:11]) if self.start.startswith(b"SIP/2.0 ") else 0

    @property
    def method(self) -> bytes:
        """The method of a request, or of the request that is answered."""
        return self.first(b"cseq").split()[1]

    @property
    def cseq(self) -> int:
        """The number in CSeq."""
        return int(self.first(b"cseq").split()[0])

    @property
    def call_id(self) -> bytes:
        """Call-ID."""
        return self.first(b"call-id")

    @property
    def request_user(self) -> bytes:
        """The user of the Request-URI."""
        return user_of(self.start)

    def first(self, name: bytes) -> bytes:
        """Return the first field of that name, or nothing."""
        values = self.fields.get(name)
        return values[0] if values else b""

    def answer(
        self, status: bytes, extra: bytes = b"", body: bytes = b"", tag: bytes = b""
    ) -> bytes:
        """Return a response to this request; `extra` are whole header lines."""
        fields = self.fields
        to = fields[b"to"][0]
        if tag and b";tag=" not in to:
            to += b";tag=" + tag
        return b"".join(
            (
                b"SIP/2.0 ", status, CRLF,
                *(b"Via: " + via + CRLF for via in fields[b"via"]),
                b"From: ", fields[b"from"][0], b"\r\nTo: ", to,
                b"\r\nCall-ID: ", fields[b"call-id"][0],
                b"\r\nCSeq: ", fields[b"cseq"][0], CRLF, extra,
                b"Content-Type: application/sdp\r\n" if body else b"",
                b"Content-Length: %d\r\n\r\n" % len(body), body,
            )
        )  # fmt: skip


def hear(datagram: bytes) -> Heard:
    """Split a message of the edge, which writes one field a line and folds none."""
    head, _, body = datagram.partition(b"\r\n\r\n")
    start, *lines = head.split(CRLF)
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields.setdefault(name.lower(), []).append(value.strip())
    return Heard(start, fields, body)


def user_of(text: bytes) -> bytes:
    """Return the user part of the first SIP URI in `text`."""
    return text.partition(b"sip:")[2].partition(b"@")[0]


def uri_in(text: bytes) -> bytes:
    """Return what stands in angle brackets."""
    return text.partition(b"<")[2].partition(b">")[0]


def sdp(host: bytes, port: int) -> bytes:
    """Return what a plain telephone says of itself."""
    return (
        b"v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
        b"m=audio %d RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    ) % (host, host, port)
