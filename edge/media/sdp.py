"""Session descriptions as far as the edge has to understand them: RFC 8866, RFC 3264.

Owns the few questions the edge asks (can we talk to this side at all, is it on hold) and the
session descriptions of a party that is not there: a queue, whose music rtpengine makes.
Everything else about session descriptions is rtpengine's work. PURE.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from edge.media.errors import SdpError

NOWHERE_PORT = 9
"""The discard port (RFC 863): where the queue pretends to listen."""
_STATIC_ENCODINGS = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000", "18": "G729/8000"}
"""RFC 3551 §6: payload types that need no a=rtpmap."""
_AUDIO = frozenset({"PCMU/8000", "PCMA/8000"})
OPUS = "OPUS/48000"
"""Handed on between telephones that both speak it, and recorded; not made by us."""
_EVENTS = "TELEPHONE-EVENT/"
"""Of any clock: telephones name one for each of their codecs' (RFC 4733 §2.1)."""
_OUR_EVENTS = f"{_EVENTS}8000"
_PROFILES = frozenset({"RTP/AVP", "RTP/AVPF"})
_LONGEST = 16_384
_PORT = re.compile(r"[0-9]{1,9}(?:/|\Z)")
"""Of so many digits that it can be read: Python refuses to make a number of thousands."""
_VERSION = re.compile(r"[0-9]{1,18}")
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


_BOTH_WAYS = f"a={Direction.SENDRECV}"


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
        return self.is_spoken and not _AUDIO.isdisjoint(map(self.encodings.get, self.formats))


@lru_cache(maxsize=256)
def parse(sdp: bytes) -> tuple[Section, ...]:
    """Read the m= sections; `SdpError` when there is none or one makes no sense.

    Kept for a moment: each step of a call asks something else of the same few descriptions.
    """
    if len(sdp) > _LONGEST:
        raise SdpError(f"session description of {len(sdp)} bytes, more than {_LONGEST}")
    head, *groups = _split(_lines(sdp))
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


def codecs(section: Section) -> list[tuple[str, str]]:
    """Return its formats and encodings, the preferred first, but for events (RFC 4733)."""
    named = ((item, section.encodings.get(item, "")) for item in section.formats)
    return [each for each in named if not each[1].startswith(_EVENTS)]


def _events(section: Section) -> list[tuple[str, str]]:
    """Return the formats and encodings of its events."""
    named = ((item, section.encodings.get(item, "")) for item in section.formats)
    return [each for each in named if each[1].startswith(_EVENTS)]


def keys_apart(sdp: bytes) -> bool:
    """Tell whether its writer keys digits as events of their own (RFC 4733), beside the audio."""
    try:
        section = talk(sdp)
    except SdpError:
        return False
    return bool(_events(section))


def with_events(sdp: bytes, like: bytes) -> bytes:
    """Let `sdp` take events (RFC 4733), by the number that they have in `like`, if in any.

    Of several it takes those of the clock of what is spoken.
    """
    try:
        section, known = talk(sdp), talk(like)
    except SdpError:
        return sdp
    clocks = tuple(f"/{encoding.rpartition('/')[2]}" for _, encoding in codecs(section))
    theirs = _events(known)
    fitting = [each for each in theirs if each[1].endswith(clocks)] or theirs[:1]
    free = [(item, name.lower()) for item, name in fitting if item not in section.formats]
    return _with_formats(sdp, free) if free and not _events(section) else sdp


def with_ours(sdp: bytes, before: bytes) -> bytes:
    """Let `sdp` name the codecs of ours that its writer has named `before`, if it names none now.

    Whoever answers an offer with one codec has not unlearnt the others, and may have to hear music.
    """
    try:
        section, known = talk(sdp), audio(before)
    except SdpError:
        return sdp
    if section.is_usable:
        return sdp
    named = [each for each in codecs(known) if each[1] in _AUDIO]
    return _with_formats(sdp, [each for each in named if each[0] not in section.formats])


def _with_formats(sdp: bytes, formats: list[tuple[str, str]]) -> bytes:
    """Return it with these formats and encodings behind those of its audio."""
    head, *groups = _split(_lines(sdp))
    mine = groups[first_spoken(parse(sdp))]
    mine[0] = " ".join([mine[0], *(item for item, _ in formats)])
    mine += [f"a=rtpmap:{item} {encoding}" for item, encoding in formats]
    return _join([*head, *(line for group in groups for line in group)])


def speaks_opus(sdp: bytes) -> bool:
    """Tell whether its writer may send Opus."""
    try:
        section = talk(sdp)
    except SdpError:
        return False
    return OPUS in section.encodings.values()


def inert_answer(offer: bytes) -> bytes:
    """Answer `offer` for a party that only plays: every audio codec of ours, at the discard port.

    Sections we have no use for are refused with port 0 (RFC 3264 §6).
    """
    sections = parse(offer)
    chosen = first_usable(sections)
    lines = _head()
    for index, section in enumerate(sections):
        if index == chosen:
            ours = [(item, section.encodings.get(item, "")) for item in section.formats]
            lines += _audio_lines(
                section.profile,
                [pair for pair in ours if _is_ours(pair[1])],
                FACING[section.direction],
            )
        else:
            lines.append(f"m={section.kind} 0 {section.profile} {' '.join(section.formats)}")
    return _join(lines)


def inert_offer() -> bytes:
    """Offer for a party that only plays, to someone who sent no offer of their own."""
    formats = [("0", "PCMU/8000"), ("8", "PCMA/8000"), ("101", "telephone-event/8000")]
    return _join([*_head(), *_audio_lines("RTP/AVP", formats, Direction.SENDRECV)])


def asked_offer(told: bytes) -> bytes:
    """Return what somebody was told last, as the offer that they ask for now: all is open to them.

    Whoever has put us on hold was told that they hear nothing; they may ask in order to resume, and
    an offer that says the same leaves them no other answer (RFC 6337 §5.3). If it is another
    description its version is the next (RFC 3264 §8), as the relay's own will be.
    """
    offer = open_to_all(told)
    if offer == told:
        return told
    return _join([_next_version(line) for line in _lines(offer)])


def open_to_all(sdp: bytes) -> bytes:
    """Return the same offer with its audio both ways; as it is if it makes no sense, or is so."""
    try:
        sections = parse(sdp)
        chosen = first_spoken(sections)
    except SdpError:
        return sdp
    if sections[chosen].direction is Direction.SENDRECV:
        return sdp
    head, *groups = _split(_lines(sdp))
    groups[chosen] = [*(line for line in groups[chosen] if not _is_direction(line)), _BOTH_WAYS]
    lines = [line for line in head if not _is_direction(line)]
    return _join([*lines, *(line for group in groups for line in group)])


def _next_version(line: str) -> str:
    words = line.split(" ")
    if not line.startswith("o=") or len(words) < 3 or not _VERSION.fullmatch(words[2]):  # noqa: PLR2004 - the third word
        return line
    return " ".join([*words[:2], str(int(words[2]) + 1), *words[3:]])


def _is_direction(line: str) -> bool:
    return line.startswith("a=") and line[2:] in Direction._value2member_map_


def at_discard_port(sdp: bytes) -> bytes:
    """Return the same session, at a place where nobody listens (RFC 863)."""
    chosen = first_spoken(parse(sdp))
    lines, section = [], -1
    for line in _lines(sdp):
        if line.startswith("m="):
            section += 1
            if section == chosen:
                kind, _, rest = line.split(" ", 2)
                line = f"{kind} 9 {rest}"  # noqa: PLW2901 - the same, elsewhere
        elif line.startswith("c="):
            line = "c=IN IP4 127.0.0.1"  # noqa: PLW2901 - as above
        elif line.startswith("a=rtcp:"):
            continue
        lines.append(line)
    return _join(lines)


def copied(offer: bytes) -> Section:
    """Return the section of a fork's offer, in whatever codec; `SdpError` if there is no audio."""
    for section in parse(offer):
        if section.kind == "audio" and section.port > 0:
            return section
    raise SdpError("a copy without audio")


def listening_answer(offer: bytes, host: str, port: int) -> bytes:
    """Answer a fork's offer: everything in it, to `host`:`port`, where nobody speaks."""
    section = copied(offer)
    channels = {OPUS: "/2"}  # RFC 7587 §7: always so, whatever is in it
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} {section.profile} {' '.join(section.formats)}",
        *(
            f"a=rtpmap:{item} {encoding}{channels.get(encoding, '')}"
            for item, encoding in section.encodings.items()
        ),
        "a=recvonly",
    ]
    return _join(lines)


def with_origin(sdp: bytes, session_id: int) -> bytes:
    """Put our own origin and session name in place of the writer's.

    Each side then sees one session from beginning to end, whoever is behind it (RFC 3264 §8), and
    learns neither user nor host names of the other. Versions are rtpengine's to count.
    """
    lines = sdp.split(b"\n")
    for index, line in enumerate(lines):
        if line.startswith(b"m="):
            break
        if line.startswith(b"o="):
            lines[index] = b"o=everline %d 1 IN IP4 127.0.0.1\r" % session_id
        elif line.startswith((b"s=", b"i=")):
            lines[index] = line[:2] + b"-\r"
    return b"\n".join(lines)


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


def _is_ours(encoding: str) -> bool:
    return encoding in _AUDIO or encoding == _OUR_EVENTS


def _head() -> list[str]:
    return ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]


def _audio_lines(profile: str, formats: list[tuple[str, str]], direction: Direction) -> list[str]:
    return [
        f"m=audio {NOWHERE_PORT} {profile} {' '.join(item for item, _ in formats)}",
        *(
            f"a=rtpmap:{item} {'telephone-event/8000' if encoding == _OUR_EVENTS else encoding}"
            for item, encoding in formats
        ),
        "a=ptime:20",
        f"a={direction}",
    ]


def _lines(sdp: bytes) -> list[str]:
    """Return what `_join` makes the same bytes of again: names may be in any charset.

    Parted as bytes: a text has more ends of lines than SDP, as U+2028 in a name.
    """
    lines = (line.rstrip(b"\r") for line in sdp.split(b"\n"))
    return [line.decode("utf-8", "surrogateescape") for line in lines if line]


def _join(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")


def _split(lines: Iterable[str]) -> list[list[str]]:
    """Cut at the m= lines: first what stands before them all, then one group a section."""
    groups: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            groups.append([])
        groups[-1].append(line)
    return groups


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
        if _is_direction(line):
            return Direction(line[2:])
    return None
