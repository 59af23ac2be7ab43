"""The one shell of the SIP stack: a UDP socket on the running asyncio loop.

It reads with `recvmsg` and SO_TIMESTAMPNS, so that the stack knows how long each datagram has
waited in the socket: a process that was frozen must not answer calls that went elsewhere meanwhile.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import Self

from edge.sip.events import Address, Event
from edge.sip.stack import SipStack

SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
"""Linux's number; Python does not name it before 3.14."""
BUFFER_BYTES = 4 * 1024 * 1024
MAX_DATAGRAM = 65535
READS_PER_TURN = 64
"""So many datagrams at once, then other tasks get a turn."""
TOKEN_BYTES = 8
TOKENS_AT_ONCE = 256
_STAMP = struct.Struct("@qq")


class Tokens:
    """Words that nobody can foresee. The kernel is asked for many at a time."""

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0

    def next(self) -> str:
        """Return one that was not there before."""
        if self._at == len(self._bytes):
            self._bytes, self._at = secrets.token_bytes(TOKEN_BYTES * TOKENS_AT_ONCE), 0
        start = self._at
        self._at += TOKEN_BYTES
        return self._bytes[start : self._at].hex()


class SipEndpoint:
    """A `SipStack` on a UDP socket. Call the stack through `stack`, then `flush`."""

    def __init__(
        self,
        stack: SipStack,
        sock: socket.socket,
        on_event: Callable[[Event], None],
    ) -> None:
        self.stack = stack
        self._socket = sock
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.received = 0
        self.waited_s = 0.0
        """How long all datagrams together had waited in the socket before they were read."""
        self.sent = 0
        self.unsent = 0
        """Datagrams that the kernel refused: full buffers, no route. Retransmission covers them."""
        self._loop.add_reader(sock.fileno(), self._readable)

    @classmethod
    def open(  # noqa: PLR0913 - what is configurable about an endpoint
        cls,
        *,
        local: Address,
        product: str,
        on_event: Callable[[Event], None],
        contact_user: str = "everline",
        handles: Iterable[str] = (),
        session_expires_s: int | None = None,
        max_invite_age_s: float | None = None,
        bye_timeout_s: float | None = None,
        cancel_timeout_s: float | None = None,
        goodbye_hold_s: float | None = None,
    ) -> Self:
        """Bind `local` (port 0: any) and start. OSError if the address cannot be had."""
        version = ipaddress.ip_address(local.host).version
        family = socket.AF_INET6 if version == 6 else socket.AF_INET  # noqa: PLR2004
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)  # noqa: FBT003 - the socket module's signature
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            sock.bind((local.host, local.port))
        except OSError:
            sock.close()
            raise
        stack = SipStack(
            local=Address(local.host, sock.getsockname()[1]),
            product=product,
            token=Tokens().next,
            contact_user=contact_user,
            handles=handles,
            session_expires_s=session_expires_s,
            max_invite_age_s=max_invite_age_s,
            bye_timeout_s=bye_timeout_s,
            cancel_timeout_s=cancel_timeout_s,
            goodbye_hold_s=goodbye_hold_s,
        )
        return cls(stack, sock, on_event)

    @property
    def local(self) -> Address:
        """Where we listen."""
        host, port = self._socket.getsockname()[:2]
        return Address(host, port)

    def now(self) -> float:
        """Return the instant to give to the stack's commands."""
        return self._loop.time()

    def flush(self) -> None:
        """Send what the stack has to say, and set the timer anew. To be called after commands."""
        for datagram, address in self.stack.take_outgoing():
            self._send(datagram, address)
        self._arm()

    def close(self) -> None:
        """Stop at once; what the stack still had to say is not said. Closing again does nothing."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket.fileno())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._socket.close()

    def _readable(self) -> None:
        wall_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
        now = self._loop.time()
        try:
            self._read(now, wall_ns)
        finally:
            self.flush()

    def _read(self, now: float, wall_ns: int) -> None:
        for _ in range(READS_PER_TURN):
            try:
                datagram, control, _flags, source = self._socket.recvmsg(
                    MAX_DATAGRAM, socket.CMSG_SPACE(_STAMP.size)
                )
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                # An ICMP error of something sent before; the next read is another datagram's.
                continue
            self.received += 1
            age_s = _age_s(control, wall_ns)
            self.waited_s += age_s
            events = self.stack.receive(datagram, Address(source[0], source[1]), now, age_s=age_s)
            self._hand_out(events)

    def _hand_out(self, events: list[Event]) -> None:
        for event in events:
            self._on_event(event)

    def _send(self, datagram: bytes, address: Address) -> None:
        try:
            self._socket.sendto(datagram, (address.host, address.port))
        except OSError:
            self.unsent += 1
        else:
            self.sent += 1

    def _arm(self) -> None:
        due = self.stack.next_deadline
        if self._timer is not None:
            if due is not None and self._timer.when() <= due and not self._timer.cancelled():
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        try:
            self._hand_out(self.stack.handle_timers(self._loop.time()))
        finally:
            self.flush()


def _age_s(control: list[tuple[int, int, bytes]], wall_ns: int) -> float:
    """Return how long a datagram has waited, by the kernel's stamp; never below zero."""
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= _STAMP.size:
            seconds, nanoseconds = _STAMP.unpack_from(data)
            waited_ns: int = wall_ns - seconds * 1_000_000_000 - nanoseconds
            return max(0.0, waited_ns / 1e9)
    return 0.0
