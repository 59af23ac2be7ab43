"""Everybody who talks: `python -m loadtests.bench.media.sender`, orders and results in JSON lines.

Each call is two streams of G.711, a packet every 20 ms, to the ports that the relay has given them.
Of a few calls what comes out is read, and its age taken from the kernel's time of arrival: that is
the relay's delay, and none of this process's. Of the others it goes where nobody reads it.
"""

from __future__ import annotations

import gc
import select
import socket
import struct
import sys
import time
from typing import Final

import msgspec
from msgspec import Struct

HOST: Final = "127.0.0.1"
PACKET_S: Final = 0.02
PARTS: Final = 10
"""Streams that began at different times do not send at one moment: 20 ms have so many."""
BLOCK: Final = 160
PROBE_PORT, SINK_PORT = 21000, 20999
SO_RCVBUFFORCE: Final = 33
PROBE_BUFFER: Final = 4 * 1024 * 1024
_HEAD: Final = struct.Struct("!BBHII")
_SENT: Final = struct.Struct("!Q")
_STAMP: Final = struct.Struct("@qq")
_SO_TIMESTAMPNS: Final = getattr(socket, "SO_TIMESTAMPNS", 35)
_DRAIN_S: Final = 0.2


class Order(Struct, frozen=True, kw_only=True):
    """What is to be sent."""

    ports: tuple[int, ...]
    """Of the relay, one a stream, of those that nobody listens to."""
    probes: tuple[int, ...]
    """Of the relay, one a stream, of those that are listened to."""
    seconds: float


class Told(Struct, frozen=True, kw_only=True):
    """What came of it."""

    delays_ms: list[float]
    sent: int
    """By the probes."""
    late_ms: float
    """How late a part of 20 ms was sent, at most: a sender that cannot keep up proves nothing."""


class Sender:
    """The sockets, and one clock for all."""

    def __init__(self) -> None:
        self._sink = _socket(SINK_PORT, 4096)
        self._probe = _socket(PROBE_PORT, PROBE_BUFFER)
        self._probe.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._number = 0

    def carry_out(self, order: Order) -> Told:
        """Send for so long; read what the probes' calls got."""
        delays_ms: list[float] = []
        late_s, sent = 0.0, 0
        due_s = time.monotonic()
        for _ in range(round(order.seconds / PACKET_S)):
            packet = self._packet()
            for part in range(PARTS):
                for port in order.ports[part::PARTS]:
                    self._sink.sendto(packet, (HOST, port))
                for port in order.probes[part::PARTS]:
                    _SENT.pack_into(packet, _HEAD.size, time.time_ns())
                    self._probe.sendto(packet, (HOST, port))
                    sent += 1
                due_s += PACKET_S / PARTS
                late_s = max(late_s, time.monotonic() - due_s)
                self._read(delays_ms, due_s)
        self._read(delays_ms, time.monotonic() + _DRAIN_S)
        return Told(delays_ms=delays_ms, sent=sent, late_ms=1e3 * late_s)

    def _packet(self) -> bytearray:
        self._number += 1
        packet = bytearray(_HEAD.size + BLOCK)
        at = self._number * BLOCK & 0xFFFFFFFF
        _HEAD.pack_into(packet, 0, 0x80, 8, self._number & 0xFFFF, at, 0x5EED)
        return packet

    def _read(self, delays_ms: list[float], until_s: float) -> None:
        while (left_s := until_s - time.monotonic()) > 0:
            if not select.select((self._probe,), (), (), left_s)[0]:
                return
            data, control, _, _ = self._probe.recvmsg(2048, 64)
            arrived_ns = _arrived_ns(control)
            (sent_ns,) = _SENT.unpack_from(data, _HEAD.size)
            if arrived_ns is not None and sent_ns:
                delays_ms.append((arrived_ns - sent_ns) / 1e6)


def _arrived_ns(control: list[tuple[int, int, bytes]]) -> int | None:
    for _, kind, data in control:
        if kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _STAMP.unpack_from(data)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return None


def _socket(port: int, buffer: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, buffer)
            break
        except PermissionError:
            continue
    sock.bind((HOST, port))
    return sock


def main() -> int:
    """Carry out an order a line, until standard input ends."""
    sender = Sender()
    gc.freeze()
    gc.disable()
    for line in sys.stdin.buffer:
        told = sender.carry_out(msgspec.json.decode(line, type=Order))
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
