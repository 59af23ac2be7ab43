"""The one socket on which every fork of a site's calls arrives, read in bunches by a timer.

Knows a stream by the port that rtpengine sends it from; what comes from anywhere else is counted
and dropped. A timer rather than a callback a packet: most of what a packet costs is being woken.
"""

from __future__ import annotations

import socket
import time
from typing import Final

from edge.recorder.channel import Channel

_LARGEST: Final = 4096
BUFFER_BYTES: Final = 16 * 1024 * 1024
RATE_PER_S: Final = 8000


class Stream:
    """A party's fork: which channel it is, and when the recording's time began."""

    __slots__ = ("channel", "last_s", "started_s")

    def __init__(self, channel: Channel, started_s: float) -> None:
        self.channel = channel
        self.started_s = started_s
        self.last_s = 0.0
        """When the last packet came; 0: none yet."""


class Intake:
    """The socket and who sends to it."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003 - the socket module's signature
        _widen(self._socket)
        self._socket.bind((host, port))
        self.host, self.port = self._socket.getsockname()[:2]
        self._streams: dict[tuple[str, int], Stream] = {}
        self._buffer = bytearray(_LARGEST)
        self.packets = 0
        self.strays = 0

    def add(self, source: tuple[str, int], stream: Stream) -> None:
        """Take what comes from `source`."""
        self._streams[source] = stream

    def remove(self, source: tuple[str, int], stream: Stream) -> None:
        """Take nothing more from there for `stream`.

        The relay may have given the port to another call's copy by now, whose stream stays.
        """
        if self._streams.get(source) is stream:
            del self._streams[source]

    def drain(self, limit: int) -> int:
        """Take up to `limit` packets; return how many there were."""
        receive, buffer, streams = self._socket.recvfrom_into, self._buffer, self._streams
        now_s = time.monotonic()
        for count in range(limit):
            try:
                size, source = receive(buffer)
            except OSError:
                self.packets += count
                return count
            stream = streams.get(source)
            if stream is None:
                self.strays += 1
                continue
            stream.last_s = now_s
            stream.channel.take(buffer, size, int((now_s - stream.started_s) * RATE_PER_S))
        self.packets += limit
        return limit

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _widen(sock: socket.socket) -> None:
    """Let the kernel keep some seconds of packets, should this process be held up."""
    force = getattr(socket, "SO_RCVBUFFORCE", 33)
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, BUFFER_BYTES)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
