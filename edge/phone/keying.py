"""Digits that somebody keys, as packets of telephone-events (RFC 4733). PURE."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from msgspec import Struct

from edge.phone.tones import PACKET_SAMPLES

KEYS = "0123456789*#ABCD"
"""RFC 4733 §3.2: a key's place is its event code."""
PRESSED_PACKETS = 5
"""100 ms: the least that RFC 4733 §2.3.5 lets everybody recognize, with room."""
END_PACKETS = 3
"""The last packet is sent three times (§2.5.1.4), so that its loss ends nothing."""

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
