"""The only one who talks to an rtpengine: NG over UDP, with repetition and a time limit.

Knows no call flow. A command is sent again under the same cookie until its answer comes; rtpengine
repeats its answer to a repeated cookie without doing the work twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.media import ng
from edge.media.errors import MediaUnavailable
from edge.media.rtpengine.refusals import refusal

_REPEAT_AFTER_S = (0.2, 0.3)
"""Pauses between repetitions; the last one again and again."""
AT_ONCE = 48
"""Commands that wait for an answer at a time; further ones wait here for their turn. The socket of
rtpengine has the kernel's own buffer, which some ninety commands fill: one that is lost there
costs its call 0.2 s, and rtpengine is asked again when it has most to do."""
_BUFFER_BYTES = 4 * 1024 * 1024
_READS_PER_TURN = 64
"""A call is a dozen commands, and their answers come in bunches. One datagram a turn of the loop,
as asyncio's own transport reads, lets the buffer run over when the loop is busy."""
_MAX_DATAGRAM = 65535


@dataclass(slots=True)
class Counts:
    """What the client has seen since it began, for metrics."""

    sent: int = 0
    repeated: int = 0
    timeouts: int = 0
    refused: int = 0
    strays: int = 0
    """Datagrams nobody waited for: late answers, or not NG at all."""


@dataclass(slots=True)
class _Wire:
    """The socket, connected to rtpengine, and who waits for what."""

    answered: Callable[[], None]
    """Called when an answer has been taken: rtpengine has room for another command."""
    sock: socket.socket | None = None
    loop: asyncio.AbstractEventLoop | None = None
    waiting: dict[str, asyncio.Future[ng.Reply]] = field(default_factory=dict)
    """Of commands that rtpengine has, by their cookies."""
    strays: int = 0

    def open(self, address: tuple[str, int]) -> None:
        family, kind, proto, _, resolved = socket.getaddrinfo(
            *address, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )[0]
        wire = self.sock = socket.socket(family, kind, proto)
        wire.setblocking(False)  # noqa: FBT003 - the socket module's signature
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        wire.connect(resolved)
        self.loop = asyncio.get_running_loop()
        self.loop.add_reader(wire, self._readable, wire)

    def close(self) -> None:
        if self.sock is not None:
            if self.loop is not None and not self.loop.is_closed():
                self.loop.remove_reader(self.sock)
            self.sock.close()
            self.sock = None

    def send(self, datagram: bytes) -> None:
        # A refused port, or a full buffer, is the same as silence, and a repetition may cure it.
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.send(datagram)

    def _readable(self, wire: socket.socket) -> None:
        for _ in range(_READS_PER_TURN):
            try:
                data = wire.recv(_MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of something sent before
            self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            cookie, reply = ng.cookie_of(data), ng.decode(data)
        except ng.NgError:
            self.strays += 1
            return
        future = self.waiting.pop(cookie, None)
        if future is None or future.done():
            self.strays += 1
        else:
            future.set_result(reply)
        self.answered()


@dataclass(slots=True)
class _Question:
    """A command under way, or one that waits for its turn."""

    command: ng.Command
    cookie: str
    datagram: bytes
    reply: asyncio.Future[ng.Reply]
    within_s: float
    ends_s: float
    sent: int = 0
    timer: asyncio.TimerHandle | None = None


class NgClient:
    """A client of one rtpengine.

    `timeout_s` bounds every command that is not asked with a bound of its own, repetitions and the
    wait for its turn included.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float = 1.0) -> None:
        self._address = (host, port)
        self._timeout_s = timeout_s
        self._prefix = secrets.token_hex(5)
        self._numbers = itertools.count()
        self._wire = _Wire(self._send_next)
        self._counts = Counts()
        self._queue: deque[_Question] = deque()
        """Those that wait for their turn; one that is given up stays until it would be."""

    async def start(self) -> None:
        """Open the socket. Needs no rtpengine yet."""
        self._wire.open(self._address)

    def close(self) -> None:
        """Close the socket; whoever still waits gets `MediaUnavailable`."""
        self._wire.close()
        for future in (*self._wire.waiting.values(), *(each.reply for each in self._queue)):
            if not future.done():
                future.set_exception(MediaUnavailable("the rtpengine client was closed"))
        self._queue.clear()

    @property
    def counts(self) -> Counts:
        """Counters so far."""
        self._counts.strays = self._wire.strays
        return self._counts

    async def ask(self, command: ng.Command, *, within_s: float | None = None) -> ng.Reply:
        """Send `command`, return the reply; any other result than ok is raised as `MediaError`."""
        reply = await self._exchange(command, self._timeout_s if within_s is None else within_s)
        if reply.result in {"ok", "pong"}:
            return reply
        self._counts.refused += 1
        raise refusal(command, reply)

    async def _exchange(self, command: ng.Command, within_s: float) -> ng.Reply:
        if self._wire.sock is None:
            raise MediaUnavailable("the rtpengine client is not started, or was closed")
        loop = asyncio.get_running_loop()
        cookie = f"{self._prefix}_{next(self._numbers)}"
        question = _Question(
            command=command,
            cookie=cookie,
            datagram=ng.encode(cookie, command),
            reply=loop.create_future(),
            within_s=within_s,
            ends_s=loop.time() + within_s,
        )
        self._queue.append(question)
        self._send_next()
        if not question.sent:
            question.timer = loop.call_at(question.ends_s, self._send, question)
        try:
            return await question.reply
        finally:
            self._wire.waiting.pop(cookie, None)
            if question.timer is not None:
                question.timer.cancel()
            self._send_next()

    def _send_next(self) -> None:
        """Send those whose turn it is.

        At once when an answer is read, and not when whoever asked for it goes on: on a full machine
        the loop comes to that 10 ms later, in which rtpengine would have nothing to do.
        """
        while self._queue and len(self._wire.waiting) < AT_ONCE:
            question = self._queue.popleft()
            if question.reply.done():
                continue
            if question.timer is not None:
                question.timer.cancel()
            self._wire.waiting[question.cookie] = question.reply
            self._send(question)

    def _send(self, question: _Question) -> None:
        """Send it, and see to it that it is sent again or given up."""
        if self._wire.sock is None or question.reply.done():
            return
        loop = question.reply.get_loop()
        left_s = question.ends_s - loop.time()
        if left_s <= 0:
            question.reply.set_exception(self._given_up(question))
            return
        self._wire.send(question.datagram)
        self._counts.sent += 1
        self._counts.repeated += question.sent > 0
        pause_s = _REPEAT_AFTER_S[min(question.sent, len(_REPEAT_AFTER_S) - 1)]
        question.sent += 1
        question.timer = loop.call_later(min(pause_s, left_s), self._send, question)

    def _given_up(self, question: _Question) -> MediaUnavailable:
        self._counts.timeouts += 1
        host, port = self._address
        return MediaUnavailable(
            f"rtpengine at {host}:{port} did not answer `{question.command.verb}` "
            f"in {question.within_s:g} s: is it running, and is that its --listen-ng address?"
        )
