"""Digits that somebody keys: as telephone-events (RFC 4733), or tones in the audio (Q.23). PURE."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from custody import g711
from edge.phone.tones import PACKET_SAMPLES, RATE_HZ

KEYS = "0123456789*#ABCD"
"""RFC 4733 §3.2: a key's place is its event code."""
PRESSED_PACKETS = 5
"""100 ms: the least that RFC 4733 §2.3.5 lets everybody recognize, with room."""
END_PACKETS = 3
"""The last packet is sent three times (§2.5.1.4), so that its loss ends nothing."""

TONE_PACKETS = 4
"""80 ms of a tone, and as long between two: the least that a telephone keys (Q.24) is 40."""

_LOW_HZ = {
    key: hertz
    for keys, hertz in zip(("123A", "456B", "789C", "*0#D"), (697, 770, 852, 941), strict=True)
    for key in keys
}
_HIGH_HZ = {
    key: hertz
    for keys, hertz in zip(("147*", "2580", "369#", "ABCD"), (1209, 1336, 1477, 1633), strict=True)
    for key in keys
}
_TONE_AMPLITUDE = 6000.0
_EVENT = struct.Struct("!BBH")
_END = 0x80
_VOLUME = 10
_MARKER = 0x80


class Keyed(Struct, frozen=True):
    """One packet in place of an audio packet."""

    kind: int
    """The second octet of the RTP header: marker and payload type."""
    age_samples: int
    """How long before this packet the event began."""
    payload: bytes


def packets_of(digits: str, payload_type: int) -> Iterator[Keyed]:
    """Yield what is sent, one every 20 ms. ValueError for what is no key of a telephone."""
    for digit in digits:
        code = KEYS.index(digit)
        for number in range(PRESSED_PACKETS + END_PACKETS):
            is_over = number >= PRESSED_PACKETS
            lasted = min(number + 1, PRESSED_PACKETS) * PACKET_SAMPLES
            payload = _EVENT.pack(code, (_END if is_over else 0) | _VOLUME, lasted)
            kind = payload_type | (_MARKER if number == 0 else 0)
            yield Keyed(kind, number * PACKET_SAMPLES, payload)


def tones_of(digits: str, payload_type: int, voice: bytes) -> Iterator[Keyed]:
    """Yield the same for a phone without telephone-event; `voice` is what it sends otherwise.

    KeyError for what is no key of a telephone.
    """
    at = np.arange(TONE_PACKETS * PACKET_SAMPLES) / RATE_HZ
    for digit in digits:
        wave = sum(np.sin(2 * np.pi * hertz[digit] * at) for hertz in (_LOW_HZ, _HIGH_HZ))
        tone = g711.encode(np.round(_TONE_AMPLITUDE * wave).astype(np.int16), payload_type)
        for start in range(0, len(tone), PACKET_SAMPLES):
            yield Keyed(payload_type, 0, tone[start : start + PACKET_SAMPLES])
        for _ in range(TONE_PACKETS):
            yield Keyed(payload_type, 0, voice)
