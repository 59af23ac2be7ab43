"""Which sites' audio does not arrive here: what the media probes' numbers say. PURE.

Each edge sends every edge of the other sites `A_SECOND` numbered packets a second, as large as RTP
packets are; who receives them sees by the numbers what is missing. Nobody answers, so each
direction is judged by itself: the end that does not hear says so.

A site is lossy when of all that its edges sent in the last `WINDOW_S` more than `LOSSY` is missing,
or when nothing came from any of them for `SILENT_S`. It is sound again below `SOUND`. A site that
was never heard says nothing: it may be of a version that sends none.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from state.model import EdgeId, SiteId

A_SECOND: Final = 20
WINDOW_S: Final = 6.0
LOSSY: Final = 0.05
SOUND: Final = 0.02
SILENT_S: Final = 3.0
FEWEST: Final = 40
"""Of fewer packets nothing is said."""
LATE_S: Final = 1.0
"""Who looks so much too late was frozen, and has lost packets itself."""

_HEAD: Final = struct.Struct("!4sIIB")
_MAGIC: Final = b"EvMP"
_SIZE: Final = 172
"""Of an RTP packet with 20 ms of G.711."""


class Numbered(Struct, frozen=True):
    """One packet of a media probe."""

    edge: EdgeId
    life: int
    """Another one with each process: the numbers begin anew."""
    number: int


def pack(packet: Numbered) -> bytes:
    """Return the datagram."""
    name = packet.edge.encode()
    return (_HEAD.pack(_MAGIC, packet.life, packet.number, len(name)) + name).ljust(_SIZE, b"\0")


def unpack(datagram: bytes) -> Numbered | None:
    """Return what a datagram says; None: it is none of ours."""
    if len(datagram) < _HEAD.size:
        return None
    magic, life, number, length = _HEAD.unpack_from(datagram)
    name = datagram[_HEAD.size : _HEAD.size + length]
    if magic != _MAGIC or not name.isascii() or len(name) != length:
        return None
    return Numbered(EdgeId(name.decode()), life, number)


class _Stream:
    """What came from one edge."""

    def __init__(self) -> None:
        self.life = -1
        self.arrived: deque[tuple[float, int]] = deque()
        self.heard_s = 0.0

    def take(self, packet: Numbered, now_s: float) -> None:
        if packet.life != self.life:
            self.life = packet.life
            self.arrived.clear()
        self.arrived.append((now_s, packet.number))
        self.heard_s = now_s

    def begin_anew(self, now_s: float) -> None:
        """Forget what came, but not that it does: whoever is silent from now on is silent."""
        self.arrived.clear()
        self.heard_s = now_s

    def count(self, now_s: float) -> tuple[int, int]:
        """Return how many packets came within the window, and how many should have."""
        while self.arrived and self.arrived[0][0] < now_s - WINDOW_S:
            self.arrived.popleft()
        numbers = {number for _, number in self.arrived}
        return (len(numbers), max(numbers) - min(numbers) + 1) if numbers else (0, 0)


class Paths:
    """What arrives here from the other sites."""

    def __init__(self) -> None:
        self._streams: dict[EdgeId, _Stream] = {}
        self._lossy: frozenset[SiteId] = frozenset()
        self._looked_s: float | None = None

    def take(self, packet: Numbered, now_s: float) -> None:
        """Count a packet."""
        self._streams.setdefault(packet.edge, _Stream()).take(packet, now_s)

    def lossy(self, edges: Mapping[EdgeId, SiteId], now_s: float) -> frozenset[SiteId]:
        """Return the sites whose packets do not arrive; `edges` live. Ask once a second."""
        for gone in self._streams.keys() - edges.keys():
            del self._streams[gone]
        was_frozen = self._looked_s is not None and now_s - self._looked_s > 1.0 + LATE_S
        self._looked_s = now_s
        if was_frozen:
            for stream in self._streams.values():
                stream.begin_anew(now_s)
        by_site: dict[SiteId, list[_Stream]] = {site: [] for site in edges.values()}
        for edge, stream in self._streams.items():
            by_site[edges[edge]].append(stream)
        self._lossy = frozenset(
            site
            for site, streams in by_site.items()
            if self._is_lossy(streams, now_s, was_lossy=site in self._lossy)
        )
        return self._lossy

    @staticmethod
    def _is_lossy(streams: list[_Stream], now_s: float, *, was_lossy: bool) -> bool:
        if not streams:
            return was_lossy
        if all(now_s - stream.heard_s > SILENT_S for stream in streams):
            return True
        # One that is silent is a dead process, while its sister is heard.
        counts = [each.count(now_s) for each in streams if now_s - each.heard_s <= SILENT_S]
        came, due = sum(count[0] for count in counts), sum(count[1] for count in counts)
        if due < FEWEST:
            return was_lossy
        return 1.0 - came / due > (SOUND if was_lossy else LOSSY)
