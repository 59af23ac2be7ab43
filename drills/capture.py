"""Records the packets of interfaces to one pcap file, with the kernel's own times.

A program of its own, so that it shares nothing with those whose word it is to check. It ends at
SIGTERM; then it says on standard output how many packets it wrote and how many the kernel had to
drop. SIP is kept whole, of RTP the head: any tool reads the file. Packets of one interface are in
their order; of several, one may be written before an earlier one of another.

    python -m drills.capture FILE INTERFACE...
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

_ETH_P_ALL: Final = 3
_SOL_PACKET: Final = 263
_PACKET_STATISTICS: Final = 6
_SO_TIMESTAMPNS: Final = 35
_SO_RCVBUFFORCE: Final = 33
_BUFFER_BYTES: Final = 32 << 20
_PCAP_NS: Final = 0xA1B23C4D
_ETHERNET: Final = 1
_LONGEST: Final = 4096
_RTP_HEAD: Final = 14 + 20 + 8 + 12
_SIP_PORTS: Final = frozenset({5060, 5061, 5081, 5082})
_STAMP: Final = struct.Struct("@qq")
_UDP: Final = 17
_BATCH: Final = 256


def record(interfaces: Sequence[str], file: BinaryIO, until: int) -> tuple[int, int]:
    """Write packets until `until` can be read; return how many were written, and dropped."""
    file.write(struct.pack("=IHHiIII", _PCAP_NS, 2, 4, 0, 0, _LONGEST, _ETHERNET))
    packets = 0
    with contextlib.ExitStack() as open_taps:
        taps = [open_taps.enter_context(contextlib.closing(_tap(each))) for each in interfaces]
        while True:
            ready, _, _ = select.select([*(tap.fileno() for tap in taps), until], [], [])
            packets += sum(_drain(tap, file) for tap in taps if tap.fileno() in ready)
            if until in ready:
                # Whatever waits is of before that; a busy machine may have left more than a batch.
                for tap in taps:
                    while count := _drain(tap, file):
                        packets += count
                return packets, sum(_dropped(tap) for tap in taps)


def _tap(interface: str) -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    # As much as we may have: beyond the usual limit only root outside any user namespace.
    for option in (socket.SO_RCVBUF, _SO_RCVBUFFORCE):
        with contextlib.suppress(PermissionError):
            tap.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
    tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    tap.setblocking(False)  # noqa: FBT003 - its only parameter
    tap.bind((interface, _ETH_P_ALL))
    return tap


def _dropped(tap: socket.socket) -> int:
    statistics = tap.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
    return int(struct.unpack("=II", statistics)[1])


def _drain(tap: socket.socket, file: BinaryIO) -> int:
    for count in range(_BATCH):
        try:
            frame, extra, _, _ = tap.recvmsg(_LONGEST, 64)
        except BlockingIOError:
            return count
        seconds, nanos = _STAMP.unpack_from(extra[0][2])
        kept = frame if is_whole(frame) else frame[:_RTP_HEAD]
        file.write(struct.pack("=IIII", seconds, nanos, len(kept), len(frame)))
        file.write(kept)
    return _BATCH


def is_whole(frame: bytes) -> bool:
    """Tell whether it is SIP, or nothing that carries audio."""
    if len(frame) < _RTP_HEAD or frame[12:14] != b"\x08\x00" or frame[23] != _UDP:
        return True
    at = 14 + 4 * (frame[14] & 15)
    if len(frame) < at + 4:
        return True
    ports = struct.unpack_from("!HH", frame, at)
    return not _SIP_PORTS.isdisjoint(ports)


def main(path: str, *interfaces: str) -> None:
    """Record until told to stop."""
    wake, woken = os.pipe()
    signal.signal(signal.SIGTERM, lambda _number, _frame: os.write(woken, b"."))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Path(path).open("wb") as file:
        packets, dropped = record(interfaces, file, wake)
    sys.stdout.write(json.dumps({"packets": packets, "dropped": dropped}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
