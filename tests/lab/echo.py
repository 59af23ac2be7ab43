"""Sends numbered datagrams from one host to another and counts what arrives, and when."""

from __future__ import annotations

import socket
import time

from msgspec import Struct

from drills.lab.namespaces import socket_in
from drills.lab.plan import LabPlan

SO_RCVBUFFORCE = 33
"""Linux: past the limit that the system sets; the socket module does not name it."""


class Arrivals(Struct, frozen=True, kw_only=True):
    """What came of a burst."""

    sent: int
    delays_ms: tuple[float, ...]
    """One for each datagram that arrived, in order of arrival."""
    spent_s: float

    @property
    def lost_pct(self) -> float:
        """Share of what was sent that never came."""
        return 100.0 * (1 - len(self.delays_ms) / self.sent)

    @property
    def middle_ms(self) -> float:
        """Median delay."""
        return sorted(self.delays_ms)[len(self.delays_ms) // 2]


def send(  # noqa: PLR0913 - each is what it says
    plan: LabPlan,
    source: str,
    target: str,
    *,
    count: int = 1,
    per_s: float = 5000.0,
    patience_s: float = 0.3,
) -> Arrivals:
    """Send `count` datagrams at a rate; take in all, or until none has come for `patience_s`."""
    with (
        socket_in(source, socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket_in(target, socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 * 1024 * 1024)
        receiver.bind((plan.host(target).address, 0))
        sender.connect(receiver.getsockname())
        delays: list[float] = []
        began = time.monotonic()

        def take_in(wait_s: float) -> bool:
            receiver.settimeout(wait_s)
            try:
                sent_s = float(receiver.recv(256))
            except (TimeoutError, BlockingIOError):
                return False
            delays.append((time.monotonic() - sent_s) * 1000)
            return True

        for number in range(count):
            sender.send(str(time.monotonic()).ljust(172, "0").encode())
            due = began + (number + 1) / per_s
            while (left := due - time.monotonic()) > 0:
                take_in(left)
        while len(delays) < count and take_in(patience_s):
            pass
        spent = time.monotonic() - began
    return Arrivals(sent=count, delays_ms=tuple(delays), spent_s=spent)


def reaches(plan: LabPlan, source: str, target: str) -> bool:
    """Return whether a datagram gets through."""
    return bool(send(plan, source, target, patience_s=0.1).delays_ms)
