"""PURE. What a listener gets of opened frames: 16-bit PCM, a WAV header, a waveform.

Left is the caller, right the agent. Where nothing was recorded there is silence, so that time runs
as it did in the call.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from custody.frame import BLOCK, LEVEL, RATE_HZ, Frame, State

if TYPE_CHECKING:
    from custody.g711 import Linear

CHANNELS: Final = 2
SAMPLE_BYTES: Final = 2 * CHANNELS
WAV_HEADER_BYTES: Final = 44


def prepare() -> None:
    """Import what `pcm` takes: numpy. A control plane starts without; a thread waits for it."""
    import custody.g711  # noqa: F401, PLC0415 - as it says


def wav_header(samples: int) -> bytes:
    """Return the head of a two-channel WAV of `samples` a channel."""
    size = samples * SAMPLE_BYTES
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        WAV_HEADER_BYTES - 8 + size,
        b"WAVE",
        b"fmt ",
        16,
        1,
        CHANNELS,
        RATE_HZ,
        RATE_HZ * SAMPLE_BYTES,
        SAMPLE_BYTES,
        16,
        b"data",
        size,
    )


def pcm(frame: Frame) -> bytes:
    """Return a frame as interleaved 16-bit samples."""
    import numpy as np  # noqa: PLC0415 - see `prepare`

    both = np.empty((frame.samples, CHANNELS), dtype="<i2")
    both[:, 0] = channel(frame, 0)
    both[:, 1] = channel(frame, 1)
    return both.tobytes()


def channel(frame: Frame, side: int) -> Linear:
    """Return one channel; exact silence where nothing was heard."""
    import numpy as np  # noqa: PLC0415 - see `prepare`

    from custody import g711  # noqa: PLC0415

    samples = g711.decode(frame.right if side else frame.left, frame.codecs[side])
    heard = np.frombuffer(frame.states[side], dtype=np.uint8) == State.AUDIO
    if not heard.all():
        samples = samples * np.repeat(heard, BLOCK)
    return samples


class Waveform:
    """The peaks of every 100 ms of both channels, 0 to 255; frames may leave gaps."""

    def __init__(self, samples: int) -> None:
        """Of a recording of so many samples."""
        self._count = -(-samples // LEVEL)
        self.sides = ([0] * self._count, [0] * self._count)

    def take(self, frame: Frame) -> None:
        """Take in how loud a second was."""
        first, used = frame.start // LEVEL, -(-frame.samples // LEVEL)
        for side, levels in zip(self.sides, frame.levels, strict=True):
            for index, level in enumerate(levels[:used], first):
                if index < self._count:
                    side[index] = max(side[index], level)
