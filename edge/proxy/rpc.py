"""Kamailio's JSON-RPC over a Unix datagram socket, as asyncio calls.

Owns the socket, the matching of answers to questions, and time limits. Knows nothing of htables.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from pathlib import Path
from typing import Any

import msgspec

from edge.proxy.errors import ProxyRefusedError, ProxyUnreachableError

BIGGEST_DATAGRAM = 1 << 20
IN_FLIGHT = 8
"""Questions on the way at once: the socket's queue at Kamailio holds about ten datagrams."""
ATTEMPTS = 2


class _Fault(msgspec.Struct):
    code: int
    message: str


class _Answer(msgspec.Struct):
    id: int
    result: Any = None
    error: _Fault | None = None


class RpcClient:
    """One Kamailio's RPC. Calls may run side by side; each has its own time limit.

    Every call that the project makes is idempotent, so a lost question or answer is asked again.
    """

    def __init__(self, path: Path, *, timeout_s: float = 0.5) -> None:
        self._path = str(path)
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[_Answer]] = {}
        self._socket: socket.socket | None = None
        self._turns = asyncio.Semaphore(IN_FLIGHT)

    async def call(self, method: str, *params: str | int) -> Any:  # noqa: ANN401 - JSON of any shape
        """Return the result of one call.

        Raises ProxyUnreachableError if it does not answer, ProxyRefusedError if it answers a fault.
        """
        async with self._turns:
            for _ in range(ATTEMPTS):
                with contextlib.suppress(TimeoutError, OSError):
                    async with asyncio.timeout(self._timeout_s):
                        answer = await self._ask(method, params)
                    if answer.error is not None:
                        raise ProxyRefusedError(method, answer.error.code, answer.error.message)
                    return answer.result
        raise ProxyUnreachableError(
            f"Kamailio did not answer {method} at {self._path} within "
            f"{ATTEMPTS} x {self._timeout_s} s: is it running?"
        )

    async def _ask(self, method: str, params: tuple[str | int, ...]) -> _Answer:
        loop = asyncio.get_running_loop()
        question_id = next(self._ids)
        answer: asyncio.Future[_Answer] = loop.create_future()
        self._waiting[question_id] = answer
        question = {"jsonrpc": "2.0", "method": method, "params": params, "id": question_id}
        try:
            await loop.sock_sendto(self._open(), msgspec.json.encode(question), self._path)
            return await answer
        finally:
            del self._waiting[question_id]

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            # An abstract name of the kernel's choice: Kamailio answers to it, no file is left.
            self._socket.bind("")
            asyncio.get_running_loop().add_reader(self._socket, self._read)
        return self._socket

    def _read(self) -> None:
        if self._socket is None:
            return
        with contextlib.suppress(BlockingIOError):
            datagram = self._socket.recv(BIGGEST_DATAGRAM)
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                answer = msgspec.json.decode(datagram, type=_Answer)
                waiting = self._waiting.get(answer.id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
