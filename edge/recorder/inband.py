"""PURE. Finds keyed digits in the audio of a telephone that has no telephone-event (ITU-T Q.23).

A digit is one tone of a low group and one of a high group, and hardly anything else, for 40 ms or
more (Q.24). Which one is not looked at.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from custody import g711
from custody.frame import BLOCK, RATE_HZ

_LOW: Final = (697, 770, 852, 941)
_HIGH: Final = (1209, 1336, 1477, 1633)
LISTENED: Final = 3
"""Blocks that are listened to at once: two for a digit, and one more that may have come with it."""
_PURITY: Final = 0.75
"""Share of a block's energy that the two tones have; what people say comes nowhere near."""
_SURE: Final = 0.9
"""The same where a mistake takes the caller from the agent, and not 20 ms from the recording."""
_TWIST: Final = 8.0
"""How much stronger, in energy, one tone may be: 9 dB."""
_QUIET: Final = 200.0
"""RMS below which nobody hears a digit."""
_OFF: Final = (0.985, 1.0, 1.015)
"""Q.24: a digit is one also with its tones so far beside their frequencies."""
_LOWS: Final = len(_LOW) * len(_OFF)
_HERTZ: Final = np.outer((*_LOW, *_HIGH), _OFF).ravel()
_ANGLES: Final = 2 * np.pi * np.outer(np.arange(BLOCK), _HERTZ) / RATE_HZ
_WAVES: Final = np.concatenate([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1).astype(np.float32)
_TONES: Final = len(_HERTZ)


def digits(heard: bytes, codec: int) -> npt.NDArray[np.bool_]:
    """Tell of each block of 20 ms whether it is part of a digit. `heard` is whole blocks."""
    blocks = g711.decode(heard, codec).astype(np.float32).reshape(-1, BLOCK)
    found = _pairs(blocks)
    # One block alone is a syllable, or a click: a digit lasts for two.
    return found & (np.roll(found, 1) | np.roll(found, -1))


def begun(heard: bytes, codec: int) -> npt.NDArray[np.bool_]:
    """Tell of each `LISTENED` blocks, which may be of as many callers, whether a digit is there."""
    blocks = g711.decode(heard, codec).astype(np.float32).reshape(-1, BLOCK)
    found = _pairs(blocks, _SURE).reshape(-1, LISTENED)
    is_digit: npt.NDArray[np.bool_] = np.any(found[:, 1:] & found[:, :-1], axis=1)
    return is_digit


def _pairs(blocks: npt.NDArray[np.float32], purity: float = _PURITY) -> npt.NDArray[np.bool_]:
    """Tell where two tones, one of each group, are about all there is."""
    energy = np.einsum("ij,ij->i", blocks, blocks) / BLOCK
    projected = (blocks @ _WAVES) ** 2
    tones = (projected[:, :_TONES] + projected[:, _TONES:]) * (2 / BLOCK**2)
    low, high = tones[:, :_LOWS].max(axis=1), tones[:, _LOWS:].max(axis=1)
    found: npt.NDArray[np.bool_] = (
        (energy > _QUIET**2)
        & (low + high > purity * energy)
        & (low < _TWIST * high)
        & (high < _TWIST * low)
    )
    return found
