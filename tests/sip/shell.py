"""For tests with real sockets: an endpoint that loses datagrams, waiting, running the clock out."""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edge.sip.endpoint import SO_TIMESTAMPNS, SipEndpoint
from edge.sip.events import Address, Event
from edge.sip.stack import SipStack

LOOPBACK = "127.0.0.1"


class LossySocket(socket.socket):
    """A UDP socket whose every datagram, in or out, crosses two networks that each lose a share."""

    def __init__(self, loss: float, seed: int) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self._loss = loss
        self._random = random.Random(seed)  # noqa: S311 - a test's dice
        self.lost = 0

    def _loses(self) -> bool:
        lost = any(self._random.random() < self._loss for _ in range(2))
        self.lost += lost
        return lost

    def sendto(self, data: Any, address: Any, *_: Any) -> int:  # noqa: ANN401, D102 - as socket's
        return len(data) if self._loses() else super().sendto(data, address)

    def recvmsg(self, *args: int) -> Any:  # noqa: ANN401, D102 - as socket's
        received = super().recvmsg(*args)
        while self._loses():
            received = super().recvmsg(*args)
        return received


@contextmanager
def lossy_endpoint(
    on_event: Callable[[Event], None], *, loss: float, seed: int = 1
) -> Iterator[tuple[SipEndpoint, LossySocket]]:
    """Open an endpoint on loopback whose datagrams get lost both ways."""
    sock = LossySocket(loss, seed)
    sock.setblocking(False)  # noqa: FBT003 - the socket module's signature
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    sock.bind((LOOPBACK, 0))
    stack = SipStack(
        local=Address(LOOPBACK, sock.getsockname()[1]),
        product="test",
        token=lambda: secrets.token_hex(8),
    )
    endpoint = SipEndpoint(stack, sock, on_event)
    try:
        yield endpoint, sock
    finally:
        endpoint.close()


async def until(condition: Callable[[], bool], *, within_s: float, what: str = "it") -> None:
    """Wait for `condition`, looking often."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"{what} did not happen in time"
        await asyncio.sleep(0.01)


def run_out(endpoint: SipEndpoint) -> None:
    """Close the endpoint, let its stack's clock run on, and check that nothing is left."""
    now = endpoint.now()
    endpoint.close()
    stack = endpoint.stack
    while (due := stack.next_deadline) is not None:
        now = max(now, due)
        stack.handle_timers(now)
    assert (stack.legs(), stack.transactions()) == (0, 0)
