"""The generator's process: a `Crowd` on two sockets. `python -m loadtests.bench.generator SCENE`.

Reads orders from standard input, one JSON object a line (`{"rate": 100, "seconds": 4}`; `scene`:
what is other in it), runs each and prints its summary as one line. A process of its own, so that it
shares no lock with anything.
"""

from __future__ import annotations

import gc
import json
import os
import select
import socket
import struct
import sys
import time
from typing import Final

from msgspec.structs import replace

from loadtests.bench.crowd import Crowd
from loadtests.bench.ledger import Summary
from loadtests.bench.scene import DEADLINE_S, Scene, Way

BUFFER_BYTES: Final = 8 * 1024 * 1024
SO_RCVBUFFORCE: Final = 33
READS_PER_TURN: Final = 64
_STAMP: Final = struct.Struct("@qq")
_SO_TIMESTAMPNS: Final = getattr(socket, "SO_TIMESTAMPNS", 35)


def address(text: str) -> tuple[str, int]:
    """Split `host:port`."""
    host, _, port = text.rpartition(":")
    return host, int(port)


class Sockets:
    """One socket each way, connected to the edge; and where the music goes, which nobody reads."""

    def __init__(self, scene: Scene) -> None:
        self.by_way = {
            Way.CALLERS: _sip_socket(scene.callers, scene.edge),
            Way.AGENTS: _sip_socket(scene.agents, scene.edge),
        }
        self._sinks = [
            _sink(address(text)[0], scene.rtp_port) for text in (scene.callers, scene.agents)
        ]
        self._ways = {sock: way for way, sock in self.by_way.items()}

    def close(self) -> None:
        """Let go of them."""
        for sock in (*self.by_way.values(), *self._sinks):
            sock.close()

    def send(self, crowd: Crowd) -> None:
        """Send what the crowd has to say."""
        for way, datagram in crowd.outgoing:
            try:
                self.by_way[way].send(datagram)
            except ConnectionRefusedError:
                crowd.ledger.fail("edge is not there")
        crowd.outgoing.clear()

    def receive(self, crowd: Crowd, wait_s: float) -> None:
        """Wait for datagrams and hand them over, with the time at which the kernel had them."""
        for sock in select.select(list(self._ways), (), (), max(0.0, wait_s))[0]:
            way = self._ways[sock]
            for _ in range(READS_PER_TURN):
                try:
                    datagram, control, _, _ = sock.recvmsg(65535, 64)
                except (BlockingIOError, ConnectionRefusedError):
                    break
                now = time.monotonic()
                crowd.take(way, datagram, now, now - _age_s(control))
            self.send(crowd)


def run(crowd: Crowd, sockets: Sockets, rate: float, seconds: float) -> Summary:
    """Place `rate` calls a second, evenly, for so long; wait until all are over."""
    began = time.monotonic()
    total, placed = max(1, round(rate * seconds)), 0
    ends_s = began + seconds + DEADLINE_S + 2.0
    while placed < total or crowd.under_way:
        now = time.monotonic()
        while placed < total and (due := began + placed / rate) <= now:
            crowd.ledger.lag_s = max(crowd.ledger.lag_s, now - due)
            crowd.call(now)
            placed += 1
            sockets.send(crowd)
        crowd.tick(now)
        sockets.send(crowd)
        nexts = [ends_s]
        if placed < total:
            nexts.append(began + placed / rate)
        if crowd.next_due_s is not None:
            nexts.append(crowd.next_due_s)
        sockets.receive(crowd, min(nexts) - time.monotonic())
    last_over_s = began + (total - 1) / rate + crowd.length_s
    crowd.ledger.behind_s = max(0.0, time.monotonic() - last_over_s)
    return crowd.ledger.summary(time.monotonic() - began)


def idle(sockets: Sockets, scene: Scene, order: socket.socket | int) -> None:
    """Answer probes until an order is there."""
    crowd = Crowd(scene, "idle")
    while not select.select([order], [], [], 0)[0]:
        sockets.receive(crowd, 0.02)


def main() -> int:
    """Serve orders until standard input ends."""
    scene = Scene(**json.loads(sys.argv[1]))
    sockets = Sockets(scene)
    gc.freeze()
    buffer = b""
    turn = 0
    while True:
        idle(sockets, scene, 0)
        more = os.read(0, 65536)
        if not more:
            sockets.close()
            return 0
        buffer += more
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            order = json.loads(line)
            turn += 1
            told = replace(scene, **order.get("scene", {}))
            crowd = Crowd(told, f"{os.getpid()}x{turn}")
            summary = run(crowd, sockets, order["rate"], order["seconds"])
            sys.stdout.write(json.dumps(summary.as_json()) + "\n")
            sys.stdout.flush()


def _sip_socket(own: str, edge: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)  # noqa: FBT003 - the socket module's signature
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
            break
        except PermissionError:
            continue
    sock.bind(address(own))
    sock.connect(address(edge))
    return sock


def _sink(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.bind((host, port))
    return sock


def _age_s(control: list[tuple[int, int, bytes]]) -> float:
    for _, kind, data in control:
        if kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _STAMP.unpack_from(data)
            waited_ns: int = time.time_ns() - seconds * 1_000_000_000 - nanoseconds
            return max(0.0, waited_ns / 1e9)
    return 0.0


if __name__ == "__main__":
    sys.exit(main())
