"""Delays packets between two hosts: `python -m drills.lab.relay RUN_DIR`, a process of its own.

The router sends the packets of slow directions to the TUN device that this process holds; each is
written back to it when its time has come, and is then routed to its target as usual. For kernels
without netem. The table of delays is `RUN_DIR/relay.json`, rows of [source, target, delay_ms,
jitter_ms]; any datagram on `RUN_DIR/relay.sock` makes it read the table again and is answered.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from drills.lab.wan_rules import RELAY_DEVICE, RELAY_TABLE

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
MOST_WAITING = 200_000
"""Packets held at once; more are dropped, as a full router would."""
MOST_AT_ONCE = 256
"""Packets read before the clock is looked at again."""

Delays = dict[bytes, tuple[float, float]]
"""Source and target as 8 bytes of the IP header -> shortest delay and its spread, in seconds."""


def table_path(run_dir: Path) -> Path:
    """Where the table of delays is."""
    return run_dir / "relay.json"


def control_path(run_dir: Path) -> Path:
    """Where the relay is told to read it again."""
    return run_dir / "relay.sock"


def open_tun(name: str) -> int:
    """Make a TUN device that lives as long as the returned descriptor.

    PermissionError in a user namespace.
    """
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError:
        os.close(tun)
        raise
    return tun


def read_table(path: Path) -> Delays:
    """Return the table of delays; empty when there is no file."""
    delays: Delays = {}
    with contextlib.suppress(FileNotFoundError):
        for source, target, delay_ms, jitter_ms in json.loads(path.read_text()):
            key = socket.inet_aton(source) + socket.inet_aton(target)
            delays[key] = ((delay_ms - jitter_ms) / 1000, 2 * jitter_ms / 1000)
    return delays


class Relay:
    """Packets that wait, in the order in which their time comes."""

    def __init__(self, tun: int, delays: Delays) -> None:
        self.delays = delays
        self._tun = tun
        self._waiting: list[tuple[float, int, bytes]] = []
        self._number = 0

    def wait_s(self, now: float) -> float | None:
        """Return how long until the next packet's time, None when none waits."""
        return max(0.0, self._waiting[0][0] - now) if self._waiting else None

    def take_in(self) -> None:
        """Read what the router has sent, and let it wait."""
        waiting, delays, tun = self._waiting, self.delays, self._tun
        now = time.monotonic()
        for _ in range(MOST_AT_ONCE):
            try:
                packet = os.read(tun, 65536)
            except BlockingIOError:
                return
            shortest, spread = delays.get(packet[12:20], (0.0, 0.0))
            if len(waiting) >= MOST_WAITING:
                continue
            due = now + shortest + (spread * random.random() if spread else 0.0)  # noqa: S311 - no secret
            self._number += 1
            heapq.heappush(waiting, (due, self._number, packet))

    def let_out(self) -> None:
        """Give back every packet whose time has come."""
        waiting, tun = self._waiting, self._tun
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            # A packet that the kernel refuses is lost, as on a real wire.
            with contextlib.suppress(OSError):
                os.write(tun, heapq.heappop(waiting)[2])


def serve(run_dir: Path) -> None:
    """Relay for ever."""
    tun = open_tun(RELAY_DEVICE)
    commands = (
        f"link set {RELAY_DEVICE} up mtu 1500 txqueuelen 10000\n"
        f"route replace default dev {RELAY_DEVICE} table {RELAY_TABLE}\n"
    )
    subprocess.run(("ip", "-batch", "-"), input=commands, text=True, check=True)
    relay = Relay(tun, read_table(table_path(run_dir)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as control:
        control_path(run_dir).unlink(missing_ok=True)
        control.bind(str(control_path(run_dir)))
        while True:
            wait_s = relay.wait_s(time.monotonic())
            readable, _, _ = select.select([tun, control.fileno()], [], [], wait_s)
            if control.fileno() in readable:
                _, sender = control.recvfrom(64)
                relay.delays = read_table(table_path(run_dir))
                if sender:
                    control.sendto(b"read", sender)
            if tun in readable:
                relay.take_in()
            relay.let_out()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
