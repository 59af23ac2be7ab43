"""PURE. Opus (RFC 6716, RFC 7587) as the G.711 that recordings are kept in.

Decoded in the recorder, at 8 kHz and one channel, so that a frame stays as long whatever a
telephone speaks, and any second of a recording is found by its number. A packet becomes the RTP
packet that a telephone with G.711 would have sent: number and source stay, the clock of 48 kHz
becomes one of 8. What is lost stays silence, as with G.711; what libopus would make up in its place
nobody has said.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
import opuslib_next

from custody import g711
from custody.frame import RATE_HZ

CLOCK_HZ: Final = 48_000
"""Of every Opus stream, whatever it carries (RFC 7587 §4.1)."""
_PER_SAMPLE: Final = CLOCK_HZ // RATE_HZ
_LONGEST: Final = RATE_HZ * 120 // 1000
"""Samples of the longest packet, 120 ms."""
_LAW: Final = 0
_HEADER: Final = struct.Struct("!BBHII")
_HALF: Final = 0x8000_0000
_MARKER: Final = 0x80


class OpusSide:
    """One party's Opus."""

    def __init__(self) -> None:
        self._decoder = opuslib_next.Decoder(RATE_HZ, 1)
        self._source = -1
        self._ticks = 0
        """The last timestamp, as if it never went round."""

    def as_g711(self, packet: bytes | bytearray, begin: int, size: int) -> bytes | None:
        """Return the packet in mu-law, of one whose payload is from `begin` to `size`.

        None: it holds nothing to hear.
        """
        _, kind, sequence, timestamp, source = _HEADER.unpack_from(packet)
        told = self.clock(timestamp, source)
        try:
            pcm = self._decoder.decode(bytes(packet[begin:size]), _LONGEST)
        except opuslib_next.OpusError:
            return None
        law = g711.encode(np.frombuffer(pcm, dtype="<i2"), _LAW)
        return _HEADER.pack(0x80, (kind & _MARKER) | _LAW, sequence, told, source) + law

    def clock(self, timestamp: int, source: int) -> int:
        """Return the timestamp of 8 kHz of a packet of theirs, whatever it carries."""
        if source != self._source:
            # Another telephone, or the same anew: nothing of the old sound goes on in it.
            self._decoder = opuslib_next.Decoder(RATE_HZ, 1)
            self._source, self._ticks = source, timestamp
        step = (timestamp - self._ticks) & 0xFFFF_FFFF
        self._ticks += step if step < _HALF else step - (1 << 32)
        return (self._ticks // _PER_SAMPLE) & 0xFFFF_FFFF
