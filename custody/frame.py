"""PURE. One second of two-channel G.711 as a frame holds it: what was heard, and how loud it was.

    version | blocks | codecs (2) | start (8) | states (50) | levels (20) | left | right

A block is 20 ms. `start` counts samples of 8 kHz from the recording's beginning. A whole frame has
50 blocks; only a segment's last frame has fewer, or none. Levels are peaks of 100 ms, so that a
waveform can be drawn from one frame in ten thousand bytes without decoding it.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

from msgspec import Struct

from custody.errors import FormatError
from custody.payload_types import PAYLOAD_TYPES
from custody.stream import HEADER_BYTES, TAG_BYTES, Layout

VERSION: Final = 1
RATE_HZ: Final = 8000
BLOCK: Final = 160
"""Samples, and bytes, of 20 ms."""
BLOCKS: Final = 50
SAMPLES: Final = BLOCK * BLOCKS
LEVEL: Final = 800
"""Samples whose peak is one level: 100 ms."""
LEVELS: Final = SAMPLES // LEVEL
_HEAD: Final = struct.Struct("!BBBBQ50s20s")
BODY_BYTES: Final = _HEAD.size + 2 * SAMPLES
LAYOUT: Final = Layout(HEADER_BYTES + BODY_BYTES + TAG_BYTES)
_PAD: Final = bytes(HEADER_BYTES)
"""Frames after the first have the header's room too."""


class State(IntEnum):
    """What a block of one channel is."""

    SILENT = 0
    """Nothing came: nobody spoke, or it was lost; the manifest counts the losses."""
    AUDIO = 1
    PAUSED = 2
    """Not recorded because somebody asked for it."""
    MASKED = 3
    """Not recorded because the caller keyed digits."""
    HELD = 4
    """Not recorded because the party held the other: what it sends then is music, or noise."""


class Frame(Struct, frozen=True, kw_only=True):
    """One second, or less at the end of a segment."""

    start: int
    codecs: tuple[int, int]
    """RTP payload types: 0 is mu-law, 8 A-law."""
    states: tuple[bytes, bytes]
    """Left and right, one `State` a block."""
    left: bytes
    right: bytes
    levels: tuple[bytes, bytes] = (b"", b"")

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return len(self.states[0])

    @property
    def samples(self) -> int:
        """How many samples a channel has."""
        return self.blocks * BLOCK


def pack(frame: Frame, index: int) -> bytes:
    """Return what is sealed as frame `index` of its segment."""
    states = bytes(
        left | right << 4 for left, right in zip(frame.states[0], frame.states[1], strict=True)
    )
    levels = frame.levels
    if not levels[0] and frame.blocks:
        levels = (_levels(frame.left, frame.codecs[0]), _levels(frame.right, frame.codecs[1]))
    head = _HEAD.pack(
        VERSION,
        frame.blocks,
        *frame.codecs,
        frame.start,
        states,
        levels[0].ljust(LEVELS, b"\0") + levels[1].ljust(LEVELS, b"\0"),
    )
    pad = _PAD if index and frame.blocks == BLOCKS else b""
    return b"".join((head, frame.left, frame.right, pad))


def unpack(raw: bytes) -> Frame:
    """Return the frame. Raise `FormatError`."""
    if len(raw) < _HEAD.size or raw[0] != VERSION:
        raise FormatError("a frame of a version that is not known here")
    _, blocks, left_codec, right_codec, start, states, levels = _HEAD.unpack_from(raw)
    samples, begin = blocks * BLOCK, _HEAD.size
    if blocks > BLOCKS or len(raw) < begin + 2 * samples:
        raise FormatError("a frame that is shorter than it says")
    if left_codec not in PAYLOAD_TYPES or right_codec not in PAYLOAD_TYPES:
        raise FormatError("a frame in a codec that is not known here")
    packed = states[:blocks]
    return Frame(
        start=start,
        codecs=(left_codec, right_codec),
        states=(packed.translate(_LOW), packed.translate(_HIGH)),
        left=raw[begin : begin + samples],
        right=raw[begin + samples : begin + 2 * samples],
        levels=(levels[:LEVELS], levels[LEVELS:]),
    )


_LOW: Final = bytes(each & 0x0F for each in range(256))
_HIGH: Final = bytes(each >> 4 for each in range(256))


def _levels(channel: bytes, codec: int) -> bytes:
    """Return the peak of each 100 ms, 0 to 255."""
    # Who records has numpy anyway; who plays need not wait for it at the start.
    import numpy as np  # noqa: PLC0415

    from custody import g711  # noqa: PLC0415

    peaks = g711.MAGNITUDE[codec][np.frombuffer(channel, dtype=np.uint8)]
    if rest := len(peaks) % LEVEL:
        peaks = np.concatenate([peaks, np.zeros(LEVEL - rest, dtype=np.uint8)])
    tops: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = peaks.reshape(-1, LEVEL).max(axis=1)
    return tops.tobytes()
