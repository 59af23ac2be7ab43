"""A blunt SIP speaker for tests: sends the very bytes it is told to, reads with a time limit."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

_numbers = itertools.count(1)

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it came, with its header fields in order."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: str
    at_s: float
    """When it came, on the monotonic clock."""

    @property
    def status(self) -> int:
        """Its status, 0 for a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        """The request's method, or that of the request it answers."""
        return self["CSeq"].split()[1]

    @property
    def uri(self) -> str:
        """The Request-URI."""
        return self.start.split()[1]

    def __getitem__(self, name: str) -> str:
        """Return the first field of that name, or ""."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        """Return every field of that name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def to_tag(self) -> str:
        """The tag of To, or ""."""
        found = re.search(r";tag=([^;>\s]+)", self["To"])
        return found[1] if found else ""


def parse(datagram: bytes) -> Message:
    """Split what came; the proxy under test writes one field a line."""
    head, _, body = datagram.decode("latin-1").partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    fields = tuple(
        (name.strip(), value.strip()) for name, _, value in (s.partition(":") for s in lines)
    )
    return Message(start=start, headers=fields, body=body, at_s=time.monotonic())


class SipPeer:
    """One UDP address."""

    def __init__(self, host: str, port: int, proxy: tuple[str, int]) -> None:
        self.host, self.port, self.proxy = host, port, proxy
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.port = self.socket.getsockname()[1]

    def close(self) -> None:
        """Give the address back."""
        self.socket.close()

    @property
    def address(self) -> str:
        """host:port."""
        return f"{self.host}:{self.port}"

    def send(self, text: str | bytes) -> None:
        """Send these bytes to the proxy."""
        self.socket.sendto(text.encode() if isinstance(text, str) else text, self.proxy)

    def receive(self, timeout_s: float = 2.0) -> Message | None:
        """Return the next message, None if none comes in time."""
        self.socket.settimeout(timeout_s)
        with contextlib.suppress(TimeoutError):
            while True:
                datagram = self.socket.recv(65535)
                if len(datagram) > 4:
                    return parse(datagram)
        return None

    def messages(self, timeout_s: float) -> Iterator[Message]:
        """Yield what comes until nothing has come for that long in all."""
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0:
            message = self.receive(left)
            if message is None:
                return
            yield message

    def wait(self, wanted: int | str, timeout_s: float = 3.0) -> Message:
        """Return the next response with that status (or request of that method); skip others."""
        seen = []
        for message in self.messages(timeout_s):
            found = message.status or message.method
            if found == wanted:
                return message
            seen.append(message.start)
        raise AssertionError(
            f"no {wanted} came to {self.address} within {timeout_s} s; came: {seen}"
        )

    def final(self, timeout_s: float = 3.0) -> Message:
        """Return the next final response."""
        for message in self.messages(timeout_s):
            if message.status >= 200:
                return message
        raise AssertionError(f"no final response came to {self.address} within {timeout_s} s")

    def request(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        uri: str,
        *,
        headers: str = "",
        body: str = "",
        call_id: str = "",
        cseq: int = 1,
        from_uri: str = "",
        from_tag: str = "f",
        to_uri: str = "",
        to_tag: str = "",
        contact: str = "",
        branch: str = "",
        max_forwards: int = 70,
    ) -> str:
        """Write a request from this address."""
        number = next(_numbers)
        to = f"<{to_uri or uri}>" + (f";tag={to_tag}" if to_tag else "")
        branch = branch or f"z9hG4bK{self.port}x{number}"
        return (
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.address};branch={branch};rport\r\n"
            f"Max-Forwards: {max_forwards}\r\n"
            f"From: <{from_uri or f'sip:test@{self.host}'}>;tag={from_tag}\r\n"
            f"To: {to}\r\n"
            f"Call-ID: {call_id or f'call-{self.port}-{number}@{self.host}'}\r\n"
            f"CSeq: {cseq} {method}\r\n"
            f"Contact: <{contact or f'sip:test@{self.address}'}>\r\n"
            f"{headers}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def respond(  # noqa: PLR0913 - the parts of a response
        self,
        request: Message,
        status: int,
        *,
        reason: str = "Whatever",
        to_tag: str = "t",
        contact: str = "",
        headers: str = "",
        body: str = "",
    ) -> None:
        """Answer a request."""
        copied = "".join(
            f"{name}: {value}\r\n"
            for name, value in request.headers
            if name.lower() in ("via", "from", "call-id", "cseq", "record-route")
        )
        to = request["To"] + (f";tag={to_tag}" if status > 100 and not request.to_tag else "")
        self.send(
            f"SIP/2.0 {status} {reason}\r\n{copied}To: {to}\r\n"
            f"Contact: <{contact or f'sip:uas@{self.address}'}>\r\n"
            f"{headers}Content-Length: {len(body)}\r\n\r\n{body}"
        )


def challenge_of(response: Message) -> dict[str, str]:
    """Return the parameters of a digest challenge."""
    field = response["WWW-Authenticate"] or response["Proxy-Authenticate"]
    return dict(re.findall(r'(\w+)="?([^",]+)"?', field))


def credentials(challenge: dict[str, str], method: str, uri: str, user: str, ha1: str) -> str:
    """Return the value of (Proxy-)Authorization, RFC 2617 §3.2.2 with qop=auth."""
    ha2 = hashlib.md5(f"{method}:{uri}".encode()).hexdigest()  # noqa: S324 - what the digest is made of
    nonce = challenge["nonce"]
    text = f"{ha1}:{nonce}:00000001:cnonce:auth:{ha2}"
    response = hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - likewise
    return (
        f'Digest username="{user}", realm="everline", nonce="{nonce}", uri="{uri}", '
        f'response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="cnonce"'
    )


def ha1_of(user: str, password: str) -> str:
    """Return MD5(user:everline:password)."""
    return hashlib.md5(f"{user}:everline:{password}".encode()).hexdigest()  # noqa: S324 - likewise
