"""PURE. What somebody has said of their session, with something of it changed.

As it has to be to be told to the other side, or to be taken up again: the lines that are not
touched stay as they are, byte by byte.
"""

from __future__ import annotations

import re

from edge.media.errors import SdpError
from edge.media.lines import grouped, joined, lines_of
from edge.media.sdp import (
    AUDIO,
    Direction,
    audio,
    codecs,
    events,
    first_spoken,
    is_direction,
    parse,
    talk,
)

_VERSION = re.compile(r"[0-9]{1,18}")
_BOTH_WAYS = f"a={Direction.SENDRECV}"
_NO_WAY = f"a={Direction.INACTIVE}"


def with_events(sdp: bytes, like: bytes) -> bytes:
    """Let `sdp` take events (RFC 4733), by the number that they have in `like`, if in any.

    Of several it takes those of the clock of what is spoken.
    """
    try:
        section, known = talk(sdp), talk(like)
    except SdpError:
        return sdp
    clocks = tuple(f"/{encoding.rpartition('/')[2]}" for _, encoding in codecs(section))
    theirs = events(known)
    fitting = [each for each in theirs if each[1].endswith(clocks)] or theirs[:1]
    free = [(item, name.lower()) for item, name in fitting if item not in section.formats]
    return _with_formats(sdp, free) if free and not events(section) else sdp


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
    named = [each for each in codecs(known) if each[1] in AUDIO]
    return _with_formats(sdp, [each for each in named if each[0] not in section.formats])


def _with_formats(sdp: bytes, formats: list[tuple[str, str]]) -> bytes:
    """Return it with these formats and encodings behind those of its audio."""
    head, *groups = grouped(lines_of(sdp))
    mine = groups[first_spoken(parse(sdp))]
    mine[0] = " ".join([mine[0], *(item for item, _ in formats)])
    mine += [f"a=rtpmap:{item} {encoding}" for item, encoding in formats]
    return joined([*head, *(line for group in groups for line in group)])


def asked_offer(told: bytes) -> bytes:
    """Return what somebody was told last, as the offer that they ask for now: all is open to them.

    Whoever has put us on hold was told that they hear nothing; they may ask in order to resume, and
    an offer that says the same leaves them no other answer (RFC 6337 §5.3). If it is another
    description its version is the next (RFC 3264 §8), as the relay's own will be.
    """
    offer = open_to_all(told)
    if offer == told:
        return told
    return joined([_next_version(line) for line in lines_of(offer)])


def idle(told: bytes) -> bytes:
    """Return what somebody was told last, with nothing to be sent either way.

    Its version stays (RFC 3264 §8 wants the next): what the relay says next may be what it has said
    before, and a telephone that goes by versions would take that for older, and stay silent.
    """
    head, *groups = grouped(lines_of(told))
    lines = [line for line in head if not is_direction(line)]
    for first, *rest in groups:
        lines += [first, *(line for line in rest if not is_direction(line)), _NO_WAY]
    return joined(lines)


def open_to_all(sdp: bytes) -> bytes:
    """Return the same offer with its audio both ways; as it is if it makes no sense, or is so."""
    try:
        sections = parse(sdp)
        chosen = first_spoken(sections)
    except SdpError:
        return sdp
    if sections[chosen].direction is Direction.SENDRECV:
        return sdp
    head, *groups = grouped(lines_of(sdp))
    groups[chosen] = [*(line for line in groups[chosen] if not is_direction(line)), _BOTH_WAYS]
    lines = [line for line in head if not is_direction(line)]
    return joined([*lines, *(line for group in groups for line in group)])


def _next_version(line: str) -> str:
    words = line.split(" ")
    if not line.startswith("o=") or len(words) < 3 or not _VERSION.fullmatch(words[2]):  # noqa: PLR2004 - the third word
        return line
    return " ".join([*words[:2], str(int(words[2]) + 1), *words[3:]])


def at_discard_port(sdp: bytes) -> bytes:
    """Return the same session, at a place where nobody listens (RFC 863)."""
    chosen = first_spoken(parse(sdp))
    lines, section = [], -1
    for line in lines_of(sdp):
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
    return joined(lines)


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
    if lines[-1]:
        # What the relay writes behind it would be read as part of that line.
        lines[-1:] = [lines[-1].removesuffix(b"\r") + b"\r", b""]
    return b"\n".join(lines)
