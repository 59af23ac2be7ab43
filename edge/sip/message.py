"""A SIP message as it came off the wire: start line and an index of the header, nothing more.

Parsing is lazy. `parse` finds the lines and files them by long lower-case name; what a line says is
read when somebody asks, and what the transaction layer always asks (Via, CSeq, tags) is remembered.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Generic, TypeVar

from edge.sip.errors import RemoteError, SipError
from edge.sip.headers import (
    NameAddr,
    Via,
    first_of,
    parse_cseq,
    parse_name_addr,
    parse_via,
    split_list,
    tokens_of,
)

VERSION = "SIP/2.0"
ENCODING = "utf-8"
ERRORS = "surrogateescape"
"""Header bytes that are not UTF-8 survive the way in and out."""

_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
_USUAL = (
    "Via From To Call-ID CSeq Contact Max-Forwards Content-Type Content-Length Record-Route Route "
    "Allow Supported Require User-Agent Server Expires Session-Expires Min-SE Reason Authorization "
    "WWW-Authenticate Proxy-Authenticate Accept Date Subject Event RSeq RAck Retry-After"
)
# Spelling on the wire -> key; anything else takes the slower way in `_key`.
_KEYS = {name: name.lower() for name in _USUAL.split()} | _COMPACT
_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANK = re.compile(rb"\r?\n\r?\n|\r\r")
_FOLD = re.compile(r"\r\n[ \t]+")
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_BOUNDARY = re.compile(r";\s*boundary\s*=\s*(?:\"([^\"]+)\"|([^\s;,\"]+))", re.IGNORECASE)
_MAX_FORWARDS = 255
_LARGEST = 32_768
_TOO_LARGE = "Message Too Large"
"""A header of more than so many characters: most of it is said again in each answer, and in what is
said within its dialog, and has to fit a datagram."""
_SINGLE = ("from", "to", "call-id", "cseq")
KEEP_ALIVE = "keep-alive"
"""What an empty datagram is, and nobody needs to hear of (RFC 5626 §3.5.1)."""
_FIRST_FINAL = 200
_FIRST_FAILURE = 300
_STATUS_RANGE = range(100, 700)


T = TypeVar("T")


class Once(Generic[T]):
    """A property that is computed when first asked for and then stands in the instance.

    Until Python 3.12 `functools.cached_property` takes a lock each time, and costs more.
    """

    def __init__(self, compute: Callable[[Message], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__
        self._name = compute.__name__

    def __get__(self, message: Message, _owner: type[Message]) -> T:
        value = self._compute(message)
        message.__dict__[self._name] = value
        return value


class NotSipError(SipError):
    """A datagram that is no SIP message at all: there is nobody to answer."""


class Message:
    """What requests and responses have in common."""

    def __init__(self, fields: dict[str, list[str]], body: bytes, broken: str) -> None:
        self._fields = fields
        self.body = body
        self.broken = broken
        """Why this message cannot be taken at face value, or nothing."""

    def first(self, name: str) -> str:
        """Return the first field of this long lower-case name, or nothing."""
        held = self._fields.get(name)
        return held[0] if held else ""

    def all(self, name: str) -> list[str]:
        """Return every field of this name as written, comma lists unsplit."""
        return self._fields.get(name, [])

    def elements(self, name: str) -> list[str]:
        """Return every element of a comma-separated field, over all its repetitions."""
        return [part for value in self.all(name) for part in split_list(value) if part]

    def tokens(self, name: str) -> frozenset[str]:
        """Return the option tags, in small letters, or the methods that a field lists."""
        held = self._fields.get(name)
        return tokens_of(held, folds=name != "allow") if held else frozenset()

    def joined(self) -> dict[str, str]:
        """Return all fields by name, repeated ones joined by a comma."""
        return {
            name: held[0] if len(held) == 1 else ", ".join(held)
            for name, held in self._fields.items()
        }

    @Once
    def via(self) -> Via:
        """Return the topmost Via."""
        value = self.first("via")
        return parse_via(first_of(value) if "," in value else value)

    @Once
    def cseq(self) -> tuple[int, str]:
        """Return number and method of the CSeq."""
        return parse_cseq(self.first("cseq"))

    @Once
    def from_(self) -> NameAddr:
        """Return the From field."""
        return parse_name_addr(self.first("from"))

    @Once
    def to(self) -> NameAddr:
        """Return the To field."""
        return parse_name_addr(self.first("to"))

    @property
    def call_id(self) -> str:
        """The Call-ID, as written."""
        return self.first("call-id")

    @property
    def contact(self) -> str:
        """The URI of the first Contact, or nothing."""
        value = self.first("contact")
        return parse_name_addr(first_of(value)).uri if value else ""

    @property
    def sdp(self) -> bytes | None:
        """The session description: the body, or that part of a multipart body."""
        if not self.body:
            return None
        content_type = self.first("content-type")
        media = content_type.partition(";")[0].strip().lower()
        if media == "application/sdp" or not media:
            return self.body
        if media.startswith("multipart/"):
            return _part(self.body, content_type)
        return None

    def release(self) -> None:
        """Let go of header and body. What `check` has read, CSeq and tags, stays."""
        self._fields = {}
        self.body = b""

    def check(self) -> None:
        """Raise RemoteError for whatever makes this message unfit to be acted upon."""
        if self.broken:
            raise RemoteError(513 if self.broken is _TOO_LARGE else 400, self.broken)
        fields = self._fields
        for name in _SINGLE:
            held = fields.get(name)
            if held is None or not held[0]:
                raise RemoteError(400, f"Missing {name}")
            if len(held) > 1:
                raise RemoteError(400, f"Repeated {name}")
        _ = self.via, self.from_, self.to
        self._check_length()

    def _check_length(self) -> None:
        held = self._fields.get("content-length")
        if held is None:
            if self.body.isspace():
                self.body = b""
            return
        text = held[0]
        if len(held) > 1 or not text.isascii() or not text.isdigit():
            raise RemoteError(400, "Malformed Content-Length")
        length = int(text) if len(text) < len("65536000") else len(self.body) + 1
        if length > len(self.body):
            raise RemoteError(400, "Content-Length beyond the datagram")
        if length < len(self.body):
            # RFC 3261 §18.3: what follows in a datagram is not part of the message.
            self.body = self.body[:length]


class Request(Message):
    """A request."""

    def __init__(  # noqa: PLR0913, PLR0917 - built in one place, from a start line
        self,
        method: str,
        uri: str,
        version: str,
        fields: dict[str, list[str]],
        body: bytes,
        broken: str,
    ) -> None:
        super().__init__(fields, body, broken)
        self.method = method
        self.uri = uri
        self.version = version

    def check(self) -> None:
        """Raise RemoteError with the status that this request deserves, if it is no good."""
        if self.version != VERSION and self.version.upper() != VERSION:
            raise RemoteError(505, "Version Not Supported")
        super().check()
        if self.cseq[1] != self.method:
            raise RemoteError(400, "CSeq method does not match")
        hops = self._fields.get("max-forwards")
        if hops is not None:
            text = hops[0].lstrip("0") or hops[0][:1]
            fits = len(hops) == 1 and text.isascii() and text.isdigit() and len(text) <= len("255")
            if not fits or int(text) > _MAX_FORWARDS:
                raise RemoteError(400, "Malformed Max-Forwards")


class Response(Message):
    """A response."""

    def __init__(
        self, status: int, reason: str, fields: dict[str, list[str]], body: bytes, broken: str
    ) -> None:
        super().__init__(fields, body, broken)
        self.status = status
        self.reason = reason
        self.is_final = status >= _FIRST_FINAL
        self.is_success = _FIRST_FINAL <= status < _FIRST_FAILURE


def parse(datagram: bytes) -> Request | Response:
    """File a datagram's lines. NotSipError if it has not even the outline of a SIP message."""
    head, blank, body = datagram.lstrip(b"\r\n").partition(b"\r\n\r\n")
    text = head.decode(ENCODING, ERRORS)
    broken = ""
    if not blank or "\n" in text.replace("\r\n", "") or text.count("\r") != text.count("\r\n"):
        text, body = _with_bare_ends(datagram.lstrip(b"\r\n"))
        broken = "Bare CR or LF in the header"
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    if len(text) > _LARGEST:
        broken = _TOO_LARGE
    lines = text.split("\r\n")
    fields: dict[str, list[str]] = {}
    start = lines[0]
    del lines[0]
    for line in lines:
        name, colon, value = line.partition(":")
        key = _KEYS.get(name) or _key(name)
        if not colon or not key:
            broken = "Malformed header field"
            continue
        held = fields.get(key)
        if held is None:
            fields[key] = [value.strip(" \t")]
        else:
            held.append(value.strip(" \t"))
    if start.startswith("SIP/"):
        return _response(start, fields, body, broken)
    return _request(start, fields, body, broken)


def _with_bare_ends(datagram: bytes) -> tuple[str, bytes]:
    """Return header and body of a message whose lines end in other ways than in CRLF.

    Those ends could smuggle a field into what we answer or relay, so it is not taken. But proxies
    do take it, and one that passed on such an INVITE, and had no refusal, took us for dead.
    """
    found = _BLANK.search(datagram)
    if found is None:
        raise NotSipError("no empty line after the header" if datagram else KEEP_ALIVE)
    head = datagram[: found.start()].decode(ENCODING, ERRORS)
    return _LINE_END.sub("\r\n", head), datagram[found.end() :]


def _key(name: str) -> str:
    name = name.rstrip(" \t")
    if not _TOKEN.fullmatch(name):
        return ""
    lower = name.lower()
    return _COMPACT.get(lower, lower)


def _response(start: str, fields: dict[str, list[str]], body: bytes, broken: str) -> Response:
    version, _, rest = start.partition(" ")
    code, _, reason = rest.partition(" ")
    if (
        version.upper() != VERSION
        or len(code) != len("200")
        or not code.isascii()
        or not code.isdigit()
    ):
        raise NotSipError("malformed status line")
    status = int(code)
    if status not in _STATUS_RANGE:
        raise NotSipError("status out of range")
    return Response(status, reason, fields, body, broken)


def _request(start: str, fields: dict[str, list[str]], body: bytes, broken: str) -> Request:
    method, _, rest = start.partition(" ")
    uri, _, version = rest.rpartition(" ")
    if not version.upper().startswith("SIP/") or not uri or " " in uri or "\t" in uri:
        broken = "Malformed request line"
        uri, _, version = rest.strip().rpartition(" ")
        if not version.upper().startswith("SIP/"):
            raise NotSipError("malformed start line")
    if not _TOKEN.fullmatch(method):
        raise NotSipError("malformed method")
    return Request(method, uri, version, fields, body, broken)


def _part(body: bytes, content_type: str) -> bytes | None:
    """Find the session description in a multipart body (RFC 5621)."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        return None
    boundary = b"--" + (found[1] or found[2]).encode(ENCODING, ERRORS)
    for part in body.split(boundary)[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        kind = b"application/sdp" in head.lower()
        if kind:
            return content.removesuffix(b"\r\n")
    return None
