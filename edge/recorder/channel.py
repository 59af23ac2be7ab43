"""PURE. One party's packets on the recording's time: RTP (RFC 3550) of G.711 into a window.

Owns the mapping from RTP timestamps to samples since the recording began. There is no queue to
play out from: a packet is put where it belongs in a window of some seconds, so that reordering
costs nothing, and what never comes stays silence. Written for ten thousand packets a second.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from custody import g711
from custody.frame import BLOCK, BLOCKS, RATE_HZ, SAMPLES, State
from custody.manifest import Losses
from custody.payload_types import PAYLOAD_TYPES, SILENCE
from edge.recorder import inband
from edge.recorder.opus import CLOCK_HZ, OpusSide

_HEADER: Final = struct.Struct("!BBHII")
_HEADER_BYTES: Final = 12
_VERSION_BITS: Final = 0xC0
_VERSION: Final = 0x80
_HALF_SEQUENCE: Final = 0x8000
_HALF_TIME: Final = 0x8000_0000
WINDOW_S: Final = 4
AHEAD: Final = RATE_HZ // 2
"""A packet so many samples before its time, by our clock, has a timestamp that jumped."""
_STUBBORN: Final = 10
"""So many packets in a row that come after their second was sealed: the timestamp went back."""
_EVENT_BYTES: Final = 4
_AROUND: Final = 2 * BLOCK
"""Masked before and behind a keyed digit: a telephone may begin with its tone."""


class Channel:
    """One side of a recording: left or right."""

    def __init__(self, start: int) -> None:
        """Begin with a window at `start`, a whole number of blocks."""
        self.base = start
        self.codec: int | None = None
        self.event_clocks: Mapping[int, int] = {}
        """The payload types of telephone-event (RFC 4733), if the party has any, with their Hz."""
        self.opus: OpusSide | None = None
        """What decodes the party's Opus, if it may speak that."""
        self.opus_types: frozenset[int] = frozenset()
        self.stamp = int(State.AUDIO)
        """What comes now: audio, or of a pause or a hold, wherever its sender's clock has it."""
        self.keyed: list[tuple[int, int]] = []
        """Where digits were keyed, as samples from and to."""
        self._bytes = bytearray(b"\xff" * (SAMPLES * WINDOW_S))
        self._states = bytearray(BLOCKS * WINDOW_S)
        self._newest = -1
        """The block that was written last, in blocks since the recording began."""
        self._heard = -1
        """The block up to which `newest` has been taken."""
        self._ssrc = -1
        self._offset = 0
        """Sample of the recording less RTP timestamp, for the present source."""
        self._highest = 0
        self._first = 0
        self._of_source = 0
        self._lost_before = 0
        self._stubborn = 0
        self._was_opus = False
        self._is_other_clock = False
        """The same source goes on in another codec, whose timestamps run otherwise."""
        self._is_keying = False
        """The relay has kept packets of a keyed digit from us: the next numbers missing are its."""
        self.received = 0
        self.late = 0
        self.foreign = 0

    def take(self, packet: bytearray | bytes, size: int, now: int) -> None:  # noqa: PLR0912, PLR0915, C901 - the hot path is one function
        """Take `size` bytes that arrived at sample `now`."""
        if size <= _HEADER_BYTES or packet[0] & _VERSION_BITS != _VERSION:
            self.foreign += 1
            return
        first, kind, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
        kind &= 0x7F
        begin = _HEADER_BYTES
        if first & 0x3F:
            begin, size = _payload(packet, size)
            if begin >= size:
                self.foreign += 1
                return
        if self.opus_types:
            if kind in self.opus_types:
                self._take_opus(packet, begin, size, now)
                return
            if self._was_opus and kind in PAYLOAD_TYPES:
                self._was_opus, self._is_other_clock = False, True
            elif self._was_opus and self.opus and self.event_clocks.get(kind) == CLOCK_HZ:
                timestamp = self.opus.clock(timestamp, ssrc)
        if ssrc != self._ssrc or self._is_other_clock:
            self._new_source(ssrc, sequence, timestamp, now)
        else:
            ahead = (sequence - self._highest) & 0xFFFF
            if ahead < _HALF_SEQUENCE:
                self._highest += ahead
                if self._is_keying and ahead:
                    self._of_source += ahead - 1
                    self._is_keying = False
        self._of_source += 1
        self.received += 1
        at = timestamp + self._offset
        # Timestamps go round after 2^32 samples; the offset goes with them.
        if at < now - _HALF_TIME:
            self._offset += 1 << 32
            at += 1 << 32
        elif at > now + _HALF_TIME:
            at -= 1 << 32  # overtaken by one from after the turn
        if kind != self.codec:
            if kind in self.event_clocks:
                self._key(packet[begin:size], self.event_clocks[kind], at, now)
                return
            if kind not in PAYLOAD_TYPES:
                self.foreign += 1
                return
            if self.codec is None:
                self._begin_with(kind)
        length = size - begin
        place = at - self.base
        if at > now + AHEAD or place < 0:
            place = self._out_of_time(timestamp, at, now)
        if place < 0 or place + length > SAMPLES * WINDOW_S:
            self.late += 1
            return
        self._stubborn = 0
        if kind == self.codec:
            self._bytes[place : place + length] = packet[begin:size]
        else:
            told = bytes(packet[begin:size]).translate(g711.TRANSCODE[(kind, self.codec or 0)])
            self._bytes[place : place + length] = told
        block, stamp = place // BLOCK, self.stamp
        self._states[block] = stamp
        self._newest = (self.base + place) // BLOCK
        last = (place + length - 1) // BLOCK
        while block < last:
            block += 1
            self._states[block] = stamp

    def find_digits(self, blocks: int) -> None:
        """Mask digits in the audio of the window's first blocks, and a little beyond.

        For who has no telephone-event: whose digits are tones like all that they say.
        """
        if self.event_clocks or not any(self._states[:blocks]):
            return
        ahead = (blocks * BLOCK) + _AROUND
        found = inband.digits(bytes(self._bytes[:ahead]), self.codec or 0)
        for block in found.nonzero()[0].tolist():
            start = self.base + block * BLOCK
            self._mask(start, start + BLOCK)

    def newest(self) -> bytes | None:
        """Return the last blocks in which a digit could be heard; None: there is nothing new.

        For who has no telephone-event.
        """
        if self.event_clocks or self._newest == self._heard:
            return None
        self._heard = self._newest
        last = (self._newest + 1) * BLOCK - self.base
        first = last - inband.LISTENED * BLOCK
        return bytes(self._bytes[first:last]) if first >= 0 else None

    def second(self) -> tuple[bytes, bytes]:
        """Return the samples and states of the window's first second."""
        return bytes(self._bytes[:SAMPLES]), bytes(self._states[:BLOCKS])

    def advance(self, samples: int = SAMPLES) -> None:
        """Let the window go on: what comes for the time before it is late."""
        silence = bytes([SILENCE[self.codec or 0]])
        del self._bytes[:samples]
        self._bytes += silence * samples
        blocks = samples // BLOCK
        del self._states[:blocks]
        self._states += bytes(blocks)
        self.base += samples
        self.keyed = [span for span in self.keyed if span[1] > self.base]

    def speaks_opus(self, types: frozenset[int]) -> None:
        """Take these payload types for Opus from now on; none: the party does not speak it."""
        self.opus_types = types
        if types and self.opus is None:
            self.opus = OpusSide()

    def _take_opus(self, packet: bytearray | bytes, begin: int, size: int, now: int) -> None:
        told = None if self.opus is None else self.opus.as_g711(packet, begin, size)
        if told is None:
            self.foreign += 1
            return
        if not self._was_opus:
            self._was_opus = self._is_other_clock = True
        types, self.opus_types = self.opus_types, frozenset()
        self.take(told, len(told), now)
        self.opus_types = types

    def key(self, now: int, samples: int, *, is_withheld: bool = True) -> None:
        """Note that a digit has been keyed, `samples` long; the relay may withhold its packets."""
        self._mask(now - samples, now)
        self._is_keying = self._is_keying or is_withheld

    @property
    def losses(self) -> Losses:
        """What became of the packets so far."""
        return Losses(received=self.received, lost=self._lost, late=self.late, foreign=self.foreign)

    @property
    def _lost(self) -> int:
        if self._ssrc < 0:
            return 0
        return self._lost_before + max(0, self._highest - self._first + 1 - self._of_source)

    def _new_source(self, ssrc: int, sequence: int, timestamp: int, now: int) -> None:
        """Begin with a source at the moment of its first packet: its clock is another."""
        self._is_other_clock = False
        self._lost_before = self._lost
        self._ssrc, self._first, self._highest, self._of_source = ssrc, sequence, sequence, 0
        self._anchor(timestamp, now)

    def _anchor(self, timestamp: int, now: int) -> None:
        """Say that `timestamp` is now. On whole blocks, so that a packet of 20 ms is one block."""
        self._offset = now // BLOCK * BLOCK - timestamp
        self._stubborn = 0

    def _out_of_time(self, timestamp: int, at: int, now: int) -> int:
        """Return where a packet goes that is far too early or too late; below 0: nowhere."""
        self._stubborn += 1
        if at <= now + AHEAD and self._stubborn < _STUBBORN:
            return -1
        self._anchor(timestamp, now)
        return now // BLOCK * BLOCK - self.base

    def _begin_with(self, kind: int) -> None:
        self.codec = kind
        heard = bytes([SILENCE[kind]])
        self._bytes[:] = heard * len(self._bytes)

    def _key(self, event: bytearray | bytes, clock_hz: int, at: int, now: int) -> None:
        """Note a keyed digit, and not which (RFC 4733 §2.3): its packets tell how long it is.

        Whose timestamps are of another clock than those of the audio it is keyed until now.
        """
        if len(event) < _EVENT_BYTES:
            return
        samples = int.from_bytes(event[2:4]) * RATE_HZ // clock_hz
        start = at if (clock_hz == CLOCK_HZ) is self._was_opus else now - samples
        self._mask(start, start + samples)

    def _mask(self, start: int, end: int) -> None:
        span = (start - _AROUND, end + _AROUND)
        if self.keyed and span[0] <= self.keyed[-1][1]:
            span = (min(span[0], self.keyed[-1][0]), max(span[1], self.keyed.pop()[1]))
        self.keyed.append(span)


def _payload(packet: bytearray | bytes, size: int) -> tuple[int, int]:
    """Return where the payload begins and ends: padding, extension and sources (RFC 3550 §5.1)."""
    first = packet[0]
    begin = _HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        if begin + 4 > size:
            return size, size
        begin += 4 + 4 * int.from_bytes(packet[begin + 2 : begin + 4])
    if first & 0x20:
        size -= packet[size - 1]
    return begin, size
