"""PURE. Reads session descriptions (RFC 8866): what the edge itself has to know of them.

That is little: can we talk on it, is it on hold, how are digits keyed. Everything else about them
is rtpengine's work.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from edge.media.errors import SdpError
from edge.media.lines import grouped, lines_of

_STATIC_ENCODINGS = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000", "18": "G729/8000"}
"""RFC 3551 §6: payload types that need no a=rtpmap."""
AUDIO = frozenset({"PCMU/8000", "PCMA/8000"})
"""Codecs of ours: what the queue and its music are in."""
OPUS = "OPUS/48000"
"""Handed on between telephones that both speak it, and recorded; not made by us."""
EVENTS = "TELEPHONE-EVENT/"
"""Of any clock: telephones name one for each of their codecs' (RFC 4733 §2.1)."""
_PROFILES = frozenset({"RTP/AVP", "RTP/AVPF"})
_LONGEST = 16_384
_PORT = re.compile(r"[0-9]{1,9}(?:/|\Z)")
"""Of so many digits that it can be read: Python refuses to make a number of thousands."""
_OLD_HOLD = "0.0.0.0"  # noqa: S104 - a value read, not an address bound


class Direction(StrEnum):
    """RFC 3264 §5.1, seen from whoever wrote the description."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


FACING = {
    Direction.SENDRECV: Direction.SENDRECV,
    Direction.SENDONLY: Direction.RECVONLY,
    Direction.RECVONLY: Direction.SENDONLY,
    Direction.INACTIVE: Direction.INACTIVE,
}
"""RFC 3264 §6.1, what may answer it. Never less than it allows: a caller told that the queue only
sends might stop sending, and would look dead."""


class Section(Struct, frozen=True, kw_only=True):
    """One m= section."""

    kind: str
    port: int
    profile: str
    formats: tuple[str, ...]
    encodings: dict[str, str]
    """Format -> `NAME/RATE` in capitals."""
    host: str
    direction: Direction

    @property
    def is_on_hold(self) -> bool:
        """Whether its writer will not listen: RFC 3264 §8.4, or the old way with 0.0.0.0."""
        return self.direction in (Direction.SENDONLY, Direction.INACTIVE) or self.host == _OLD_HOLD

    @property
    def may_be_silent(self) -> bool:
        """Whether its writer may send nothing: muted, or on hold (where music is no duty)."""
        return self.is_on_hold or self.direction is Direction.RECVONLY

    @property
    def is_spoken(self) -> bool:
        """Whether this is audio over plain RTP, in whatever codec two others may agree upon."""
        return self.kind == "audio" and self.port > 0 and self.profile in _PROFILES

    @property
    def is_usable(self) -> bool:
        """Whether this is audio over plain RTP in a codec of ours."""
        return self.is_spoken and not AUDIO.isdisjoint(map(self.encodings.get, self.formats))


@lru_cache(maxsize=256)
def parse(sdp: bytes) -> tuple[Section, ...]:
    """Read the m= sections; `SdpError` when there is none or one makes no sense.

    Kept for a moment: each step of a call asks something else of the same few descriptions.
    """
    if len(sdp) > _LONGEST:
        raise SdpError(f"session description of {len(sdp)} bytes, more than {_LONGEST}")
    head, *groups = grouped(lines_of(sdp))
    if not head or not head[0].startswith("v=0"):
        raise SdpError("session description does not begin with v=0")
    if not groups:
        raise SdpError("session description without a medium (m= line)")
    return tuple(_section(group, head) for group in groups)


def audio(sdp: bytes) -> Section:
    """Return the section that we can talk on; `SdpError` (answer 488) if there is none."""
    sections = parse(sdp)
    return sections[first_usable(sections)]


def talk(sdp: bytes) -> Section:
    """Return the section on which its writer talks with another; `SdpError` if there is none.

    Unlike `audio` in whatever codec: of several that they were offered telephones answer with one.
    """
    sections = parse(sdp)
    return sections[first_spoken(sections)]


def first_usable(sections: tuple[Section, ...]) -> int:
    """Return which section we can talk on; `SdpError` if none."""
    for index, section in enumerate(sections):
        if section.is_usable:
            return index
    raise SdpError("session description offers no audio in PCMU or PCMA over plain RTP")


def first_spoken(sections: tuple[Section, ...]) -> int:
    """Return which section somebody talks on, one in a codec of ours first; `SdpError` if none."""
    for index, section in enumerate(sections):
        if section.is_usable:
            return index
    for index, section in enumerate(sections):
        if section.is_spoken:
            return index
    raise SdpError("session description has no audio over plain RTP")


def codecs(section: Section) -> list[tuple[str, str]]:
    """Return its formats and encodings, the preferred first, but for events (RFC 4733)."""
    return [each for each in _named(section) if not each[1].startswith(EVENTS)]


def events(section: Section) -> list[tuple[str, str]]:
    """Return the formats and encodings of its events (RFC 4733)."""
    return [each for each in _named(section) if each[1].startswith(EVENTS)]


def _named(section: Section) -> list[tuple[str, str]]:
    return [(item, section.encodings.get(item, "")) for item in section.formats]


def keys_apart(sdp: bytes) -> bool:
    """Tell whether its writer keys digits as events of their own (RFC 4733), beside the audio."""
    try:
        section = talk(sdp)
    except SdpError:
        return False
    return bool(events(section))


def speaks_opus(sdp: bytes) -> bool:
    """Tell whether its writer may send Opus."""
    try:
        section = talk(sdp)
    except SdpError:
        return False
    return OPUS in section.encodings.values()


def is_direction(line: str) -> bool:
    """Tell whether a line of a description says who sends (RFC 8866 §6.7)."""
    return line.startswith("a=") and line[2:] in Direction._value2member_map_


def _section(lines: list[str], head: list[str]) -> Section:
    words = lines[0][2:].split()
    if len(words) < 4 or not _PORT.match(words[1]) or not lines[0].isascii():  # noqa: PLR2004 - its four words
        raise SdpError("malformed m= line")
    port = int(words[1].partition("/")[0])
    if port > 65_535:  # noqa: PLR2004 - the largest port
        raise SdpError(f"port {port} does not exist")
    formats = tuple(words[3:])
    return Section(
        kind=words[0],
        port=port,
        profile=words[2],
        formats=formats,
        encodings=_encodings(lines, formats),
        host=_host(lines) or _host(head),
        direction=_direction(lines) or _direction(head) or Direction.SENDRECV,
    )


def _encodings(lines: list[str], formats: tuple[str, ...]) -> dict[str, str]:
    found = {item: _STATIC_ENCODINGS[item] for item in formats if item in _STATIC_ENCODINGS}
    for line in lines:
        if line.startswith("a=rtpmap:"):
            item, _, encoding = line[9:].partition(" ")
            found[item] = "/".join(encoding.strip().upper().split("/")[:2])
    return found


def _host(lines: list[str]) -> str:
    for line in lines:
        if line.startswith("c="):
            return line.split()[-1].partition("/")[0]
    return ""


def _direction(lines: list[str]) -> Direction | None:
    for line in lines:
        if is_direction(line):
            return Direction(line[2:])
    return None
