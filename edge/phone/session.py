"""A phone's half of offer and answer (RFC 3264): one audio stream, PCMU or PCMA. PURE."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from custody.payload_types import PAYLOAD_TYPES
from edge.media import sdp as sdp_rules
from edge.media.errors import SdpError
from edge.media.sdp import Direction

_DIRECTIONS = {
    (True, True): Direction.SENDRECV,
    (True, False): Direction.SENDONLY,
    (False, True): Direction.RECVONLY,
    (False, False): Direction.INACTIVE,
}
"""By whether we send and whether we listen."""


EVENT_TYPE = 101
"""Ours for telephone-event; dynamic, so the other side may choose another."""
_EVENT_ENCODING = "TELEPHONE-EVENT/8000"


class Remote(Struct, frozen=True, kw_only=True):
    """Where the other side wants to have our packets, and what it lets us do."""

    host: str
    port: int
    payload_type: int
    may_send: bool
    """Whether the other side listens."""
    event_type: int | None = None
    """The payload type of telephone-event (RFC 4733 §3), if the other side takes keyed digits."""


@dataclass(slots=True, kw_only=True)
class MediaSession:
    """What the phone says of itself; the version counts up with every change (RFC 3264 §8)."""

    host: str
    port: int
    session_id: int
    payload_types: tuple[int, ...] = (0, 8)
    version: int = 0
    has_events: bool = True
    """Whether the phone has telephone-event; one without it keys tones in its audio."""
    on_hold: bool = False
    """We have put the other side on hold."""
    _last: str = ""

    def offer(self) -> bytes:
        """Describe ourselves as we are: all codecs; sendonly when we hold the other side."""
        direction = Direction.SENDONLY if self.on_hold else Direction.SENDRECV
        event_type = EVENT_TYPE if self.has_events else None
        return self._write(self.payload_types, event_type, direction, ())

    def answer(self, offer: bytes) -> bytes:
        """Answer with the first codec of theirs that we have; `SdpError` when there is none."""
        section = sdp_rules.audio(offer)
        chosen = self._choose(section)
        others = tuple(
            f"m={other.kind} 0 {other.profile} {' '.join(other.formats)}"
            for other in sdp_rules.parse(offer)
            if other != section
        )
        direction = _DIRECTIONS[
            section.direction in (Direction.SENDRECV, Direction.RECVONLY),
            section.direction in (Direction.SENDRECV, Direction.SENDONLY) and not self.on_hold,
        ]
        return self._write((chosen,), self._event_type(section), direction, others)

    def remote(self, sdp: bytes) -> Remote:
        """Read where to send, from their offer or their answer; `SdpError` when we cannot."""
        section = sdp_rules.audio(sdp)
        return Remote(
            host=section.host,
            port=section.port,
            payload_type=self._choose(section),
            may_send=not section.is_on_hold,
            event_type=self._event_type(section),
        )

    def _event_type(self, section: sdp_rules.Section) -> int | None:
        return _event_type(section) if self.has_events else None

    def _choose(self, section: sdp_rules.Section) -> int:
        for item in section.formats:
            if item.isdecimal() and int(item) in self.payload_types:
                return int(item)
        raise SdpError("no codec in common: this phone speaks PCMU and PCMA")

    def _write(
        self,
        payload_types: tuple[int, ...],
        event_type: int | None,
        direction: Direction,
        others: tuple[str, ...],
    ) -> bytes:
        events = () if event_type is None else (event_type,)
        formats = " ".join(map(str, (*payload_types, *events)))
        body = [
            "s=-",
            f"c=IN IP4 {self.host}",
            "t=0 0",
            f"m=audio {self.port} RTP/AVP {formats}",
            *(f"a=rtpmap:{item} {PAYLOAD_TYPES[item]}/8000" for item in payload_types),
            *(f"a=rtpmap:{item} telephone-event/8000" for item in events),
            *(f"a=fmtp:{item} 0-15" for item in events),
            "a=ptime:20",
            f"a={direction}",
            *others,
        ]
        text = "\r\n".join(body)
        if text != self._last:
            self._last = text
            self.version += 1
        origin = f"o=- {self.session_id} {self.version} IN IP4 {self.host}"
        return f"v=0\r\n{origin}\r\n{text}\r\n".encode()


def _event_type(section: sdp_rules.Section) -> int | None:
    """Return the payload type under which `section` takes telephone-events, if it does."""
    for item in section.formats:
        if item.isdecimal() and section.encodings.get(item) == _EVENT_ENCODING:
            return int(item)
    return None
