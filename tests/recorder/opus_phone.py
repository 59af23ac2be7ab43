"""A telephone that speaks Opus, and G.711 when told to; and what its tone is heard as."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import opuslib_next

from custody import g711
from custody.frame import BLOCK, RATE_HZ, Frame

OPUS, PCMU = 111, 0
TICKS = 960
"""Of 48 kHz, in 20 ms."""


class Telephone:
    """Sends a tone in Opus, or in G.711; keys digits in Opus as tones (Q.23), like all it says."""

    def __init__(self, *, hertz: int = 440, ssrc: int = 7, stamp: int = 0xFFFF_F000) -> None:
        self.encoder = opuslib_next.Encoder(48_000, 1, opuslib_next.APPLICATION_VOIP)
        self.hertz, self.ssrc, self.stamp = hertz, ssrc, stamp
        self.number = 65_530
        self.digit: tuple[int, int] | None = None
        """The frequencies of the one that is keyed just now."""

    def opus(self, block: int) -> bytes:
        """Return the packet of 20 ms."""
        at = (np.arange(TICKS) + block * TICKS) / 48_000
        tones = self.digit or (self.hertz,)
        wave = np.sin(2 * np.pi * np.outer(tones, at)).mean(axis=0)
        pcm = (9000 * wave).astype("<i2").tobytes()
        return self.rtp(OPUS, self.encoder.encode(pcm, TICKS), self.stamp + block * TICKS, block)

    def g711(self, block: int) -> bytes:
        """Return it in mu-law, with the timestamps of that."""
        at = (np.arange(BLOCK) + block * BLOCK) / RATE_HZ
        pcm = (9000 * np.sin(2 * np.pi * self.hertz * at)).astype(np.int16)
        return self.rtp(PCMU, g711.encode(pcm, 0), self.stamp + block * BLOCK, block)

    def event(self, block: int, begun: int, kind: int, hertz: int) -> bytes:
        """Return a packet of a digit that was begun with block `begun` (RFC 4733), by that clock.

        Its timestamp is that of its Opus, whatever clock the event is said to have.
        """
        payload = struct.pack("!BBH", 5, 10, (block + 1 - begun) * hertz // 50)
        return self.rtp(kind, payload, self.stamp + begun * TICKS, block)

    def rtp(self, kind: int, payload: bytes, stamp: int, block: int) -> bytes:
        """Return a packet."""
        number = (self.number + block) & 0xFFFF
        return struct.pack("!BBHII", 0x80, kind, number, stamp & 0xFFFF_FFFF, self.ssrc) + payload


def hertz(frames: Sequence[Frame], first: int, last: int, side: int = 0) -> int:
    """Return the strongest frequency between two blocks of a channel."""
    whole = b"".join(frame.right if side else frame.left for frame in frames)
    heard = g711.decode(whole[first * BLOCK : last * BLOCK], 0).astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    return round(float(np.argmax(spectrum)) * RATE_HZ / len(heard))
