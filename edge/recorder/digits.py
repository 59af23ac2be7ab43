"""Digits that parties key, as rtpengine tells of them (`--dtmf-log-dest`): JSON over UDP.

The relay hands telephone events (RFC 4733) of a caller to nobody, so this is how the recorder
learns of them. A digit is looked at and forgotten: it is never kept, and never logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import Struct

from edge.media.plan import Party

_KEYS = "0123456789*#ABCD"
"""RFC 4733 §3.2, table 3: events 0 to 15."""


class Digit(Struct, frozen=True, kw_only=True):
    """One key that was pressed and let go."""

    media: str
    """The call's name at the relay."""
    party: Party
    key: str
    duration_s: float
    is_withheld: bool = True
    """The relay has kept its packets from the copy, whose numbers are missing there."""

    def __repr__(self) -> str:
        """Say everything but which."""
        return f"Digit(media={self.media!r}, party={self.party!r})"


class _Told(Struct):
    callid: str
    source_tag: str
    event: int
    duration: int
    """Milliseconds."""
    type: str


class DigitIntake(asyncio.DatagramProtocol):
    """Gives each digit to `on_digit`; what is no such message is counted."""

    def __init__(self, on_digit: Callable[[Digit], object]) -> None:
        self._on_digit = on_digit
        self.strays = 0

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take what the relay says."""
        del addr
        try:
            told = msgspec.json.decode(data, type=_Told)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.strays += 1
            return
        if told.type != "DTMF" or not 0 <= told.event < len(_KEYS):
            return
        self._on_digit(
            Digit(
                media=told.callid,
                party=Party(told.source_tag),
                key=_KEYS[told.event],
                duration_s=max(0, told.duration) / 1000,
            )
        )
