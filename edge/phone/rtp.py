"""RTP streams (RFC 3550) of G.711 in packets of 20 ms, many of them on one timer.

Owns sockets and timing; what a packet means is `tones`' business. No RTCP, no jitter buffer: nobody
listens but a `Listener`.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge.phone.keying import Keyed, packets_of, tones_of
from edge.phone.tones import PACKET_SAMPLES, Listener

_HEADER = struct.Struct("!BBHII")
_VERSION = 0x80
_PACKET_S = 0.02
_SLOTS = 4
"""Streams are spread over the 20 ms, so that their packets do not leave in one burst."""
_SLOT_S = _PACKET_S / _SLOTS
_HOPELESS_S = 0.2
"""Further behind than this (the process stood still), packets are left out instead of made up
for."""
_STILL_S = 0.04
"""Later than this, who listens hears a gap that is longer than two packets."""
_STALLS = 256
_DRAIN = 64
"""Packets read from one socket before the others get their turn."""
_LARGEST = 2048


class RtpClock:
    """The one timer of all streams of a process. Runs while there are any; never drifts."""

    def __init__(self) -> None:
        self._slots: tuple[list[RtpStream], ...] = tuple([] for _ in range(_SLOTS))
        self._slot = 0
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.skipped = 0
        """Slots left out because the process was too late."""
        self.stalls: deque[tuple[float, float]] = deque(maxlen=_STALLS)
        """From when to when the process stood still, the last of them; the event loop's clock."""

    def add(self, stream: RtpStream) -> None:
        """Let `stream` send a packet every 20 ms from now on."""
        min(self._slots, key=len).append(stream)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._due_s = loop.time()
            self._timer = loop.call_at(self._due_s, self._tick, loop)

    def remove(self, stream: RtpStream) -> None:
        """Let it send no more; one that does not is fine."""
        for slot in self._slots:
            if stream in slot:
                slot.remove(stream)
        if self._timer is not None and not any(self._slots):
            self._timer.cancel()
            self._timer = None

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        if now_s - self._due_s > _STILL_S:
            self.stalls.append((self._due_s, now_s))
        if now_s - self._due_s > _HOPELESS_S:
            missed = int((now_s - self._due_s) / _SLOT_S)
            self.skipped += missed
            self._due_s += missed * _SLOT_S
        while self._due_s <= now_s:
            for stream in self._slots[self._slot]:
                stream.send_packet()
            self._slot = (self._slot + 1) % _SLOTS
            self._due_s += _SLOT_S
        self._timer = loop.call_at(self._due_s, self._tick, loop)


@dataclass(slots=True)
class _Source:
    """What arrived under one SSRC."""

    first: int
    highest: int
    received: int = 1

    def take(self, sequence: int) -> None:
        """Count a packet; sequence numbers go round after 65,536 (RFC 3550 A.1)."""
        self.received += 1
        ahead = (sequence - self.highest) & 0xFFFF
        if ahead < 0x8000:  # noqa: PLR2004 - half of the circle: a later one, not an older one
            self.highest += ahead

    @property
    def lost(self) -> int:
        return max(0, self.highest - self.first + 1 - self.received)


class RtpStream:
    """One socket that sends the same packet over and over, and listens."""

    def __init__(
        self,
        clock: RtpClock,
        host: str,
        *,
        port: int = 0,
        on_sound: Callable[[str], None] | None = None,
    ) -> None:
        """Open a socket at `host`; it receives from the first moment and sends after `send_to`.

        `on_sound` is called with the name of what is heard whenever that changes.
        """
        self._on_sound = on_sound
        self.listener = Listener()
        self.sent = 0
        self.received = 0
        self.send_errors = 0
        self.last_received_s: float | None = None
        """On the event loop's clock."""
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._remote: tuple[str, int] | None = None
        self._keys: deque[Keyed] = deque()
        """Packets of keyed digits, which go out in place of the audio's (RFC 4733 §2.1)."""
        self._payload = b""
        self._payload_type = 0
        self._sequence = secrets.randbelow(0x8000)
        self._timestamp = secrets.randbelow(0x8000_0000)
        self._ssrc = secrets.randbits(32)
        self._sources: dict[int, _Source] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        self._socket.bind((host, port))
        self.host, self.port = self._socket.getsockname()[:2]
        self._loop.add_reader(self._socket, self._readable)

    def send_to(self, host: str, port: int, payload: bytes, payload_type: int) -> None:
        """Send `payload` to an address every 20 ms until told otherwise."""
        if self._remote is None:
            self._clock.add(self)
        self._remote = (host, port)
        self._payload = payload
        self._payload_type = payload_type

    def key(self, digits: str, payload_type: int) -> None:
        """Key `digits` from the next packet on, one after the other."""
        self._keys.extend(packets_of(digits, payload_type))

    def key_tones(self, digits: str) -> None:
        """Key them in the audio itself: a telephone that has no telephone-event."""
        self._keys.extend(tones_of(digits, self._payload_type, self._payload))

    @property
    def is_keying(self) -> bool:
        """Whether digits have still to go out."""
        return bool(self._keys)

    def pause(self) -> None:
        """Send nothing (hold); listen on."""
        self._clock.remove(self)
        self._remote = None

    def close(self) -> None:
        """Give the port back. The counters stay."""
        if self._socket.fileno() < 0:
            return
        self.pause()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    @property
    def stalls(self) -> tuple[tuple[float, float], ...]:
        """From when to when nothing was sent since this process stood still."""
        return tuple(self._clock.stalls)

    @property
    def lost(self) -> int:
        """Packets missing from the sequence of each source, so far."""
        return sum(source.lost for source in self._sources.values())

    @property
    def silent_s(self) -> float | None:
        """Seconds since the last packet; None before the first one."""
        if self.last_received_s is None:
            return None
        return self._loop.time() - self.last_received_s

    def send_packet(self) -> None:
        """Send one packet now. The clock calls this."""
        if self._remote is None:
            return
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + PACKET_SAMPLES) & 0xFFFF_FFFF
        kind, timestamp, payload = self._payload_type, self._timestamp, self._payload
        if self._keys:
            keyed = self._keys.popleft()
            # All packets of an event bear the instant at which it began (RFC 4733 §2.2.1).
            timestamp = (timestamp - keyed.age_samples) & 0xFFFF_FFFF
            kind, payload = keyed.kind, keyed.payload
        header = _HEADER.pack(_VERSION, kind, self._sequence, timestamp, self._ssrc)
        try:
            self._socket.sendto(header + payload, self._remote)
        except OSError:  # the network is cut, or the buffer full: the packet is lost, as on a wire
            self.send_errors += 1
        else:
            self.sent += 1

    def _readable(self) -> None:
        now_s = self._loop.time()
        for _ in range(_DRAIN):
            try:
                packet = self._socket.recv(_LARGEST)
            except OSError:
                return
            self._take(packet, now_s)

    def _take(self, packet: bytes, now_s: float) -> None:
        if len(packet) <= _HEADER.size or packet[0] & 0xC0 != _VERSION:
            return
        first, kind, sequence, _, ssrc = _HEADER.unpack_from(packet)
        payload_type = kind & 0x7F
        self.received += 1
        self.last_received_s = now_s
        source = self._sources.get(ssrc)
        if source is None:
            self._sources[ssrc] = _Source(first=sequence, highest=sequence)
        else:
            source.take(sequence)
        start = _HEADER.size + 4 * (first & 0x0F)  # contributing sources, RFC 3550 §5.1
        before = self.listener.now_hearing
        name = self.listener.hear(packet[start:], payload_type, now_s)
        if name != before and self._on_sound is not None:
            self._on_sound(name)
