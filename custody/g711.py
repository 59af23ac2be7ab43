"""G.711 as tables: 8 bits on the wire, 16 bits linear. PURE."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from custody.payload_types import SILENCE

Linear = npt.NDArray[np.int16]

_BIAS = 33


def _mulaw_decode_table() -> Linear:
    codes = ~np.arange(256, dtype=np.int64) & 0xFF
    magnitude = ((((codes & 0x0F) << 1) + _BIAS) << ((codes >> 4) & 7)) - _BIAS
    return (np.where(codes & 0x80, -magnitude, magnitude) << 2).astype(np.int16)


def _alaw_decode_table() -> Linear:
    codes = np.arange(256, dtype=np.int64) ^ 0x55
    exponent = (codes >> 4) & 7
    mantissa = ((codes & 0x0F) << 1) + 1
    magnitude = np.where(exponent > 0, (mantissa + 32) << np.maximum(exponent - 1, 0), mantissa)
    return (np.where(codes & 0x80, magnitude, -magnitude) << 3).astype(np.int16)


def _encode_table(decode: Linear, silence: int) -> npt.NDArray[np.uint8]:
    """For each 16-bit sample (as unsigned index) find the code whose value is nearest."""
    order = np.argsort(decode, kind="stable")
    values = decode[order].astype(np.int64)
    borders = (values[1:] + values[:-1]) / 2
    samples = np.arange(65_536, dtype=np.uint16).astype(np.int16).astype(np.int64)
    table = order[np.searchsorted(borders, samples)].astype(np.uint8)
    table[0] = silence
    return table


_DECODE = {0: _mulaw_decode_table(), 8: _alaw_decode_table()}
_ENCODE = {kind: _encode_table(table, SILENCE[kind]) for kind, table in _DECODE.items()}
MAGNITUDE: dict[int, npt.NDArray[np.uint8]] = {
    kind: (np.minimum(np.abs(table.astype(np.int32)), 32_767) >> 7).astype(np.uint8)
    for kind, table in _DECODE.items()
}
"""How loud a code is, 0 to 255."""
TRANSCODE = {
    (0, 8): _ENCODE[8][_DECODE[0].view(np.uint16)].tobytes(),
    (8, 0): _ENCODE[0][_DECODE[8].view(np.uint16)].tobytes(),
}
"""From one law to the other, for `bytes.translate`."""


def encode(samples: Linear, payload_type: int) -> bytes:
    """Compress 16-bit samples; `payload_type` is 0 (mu-law) or 8 (A-law)."""
    codes: npt.NDArray[np.uint8] = _ENCODE[payload_type][samples.view(np.uint16)]
    return codes.tobytes()


def decode(payload: bytes, payload_type: int) -> Linear:
    """Expand a payload to 16-bit samples."""
    samples: Linear = _DECODE[payload_type][np.frombuffer(payload, dtype=np.uint8)]
    return samples
