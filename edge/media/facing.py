"""The answer of a party whom nobody asks: hold and resume end at the edge. PURE.

When one side puts the call on hold the other is not bothered with a re-INVITE: what it last said of
itself still holds, with the direction that the offer leaves open to it (RFC 3264 §6.1).
"""

from __future__ import annotations

from edge.media.errors import SdpError
from edge.media.sdp import FACING, Direction, Section, codecs, first_spoken, parse, talk

_LINES = {f"a={direction}".encode() for direction in Direction}


def standing_answer(last: bytes, offer: bytes) -> bytes:
    """Return `last`, a party's session description, as its answer to `offer`.

    It has the offer's media, in their order (RFC 3264 §6), also where the offer has more of them
    than `last`, or fewer: what `last` does not go on with is refused. Raises `SdpError` when one of
    the two has no audio, or the offer has it in no codec of `last`.
    """
    sections = parse(offer)
    chosen = first_spoken(sections)
    if not sections[chosen].is_usable and not _have_in_common(sections[chosen], talk(last)):
        raise SdpError("the other side speaks in no codec of the offer")
    head, *theirs = _groups(last)
    spoken = first_spoken(parse(last))
    answer = [line for line in head if line.strip() not in _LINES]
    for index, section in enumerate(sections):
        if index == chosen:
            # It may stand elsewhere: behind the same audio, encrypted, that they had offered too.
            answer += _facing(theirs[spoken], section)
        elif index != spoken and index < len(theirs) and _goes_on(theirs[index], section):
            answer += _facing(theirs[index], section)
        else:
            answer += _refused(section)
    return b"".join(line + b"\r\n" for line in answer)


def _have_in_common(one: Section, other: Section) -> bool:
    named = {encoding for _, encoding in codecs(other) if encoding}
    return any(encoding in named for _, encoding in codecs(one))


def _groups(sdp: bytes) -> list[list[bytes]]:
    groups: list[list[bytes]] = [[]]
    for line in sdp.splitlines():
        if line.startswith(b"m="):
            groups.append([])
        groups[-1].append(line)
    return groups


def _goes_on(theirs: list[bytes], section: Section) -> bool:
    """Tell whether it is a medium of that kind and transport, refused by neither, nor by us."""
    kind, port, profile = theirs[0][2:].split()[:3]
    is_same = (kind, profile) == (section.kind.encode(), section.profile.encode())
    is_ours = section.is_spoken or (section.kind != "audio" and section.port > 0)
    return is_ours and is_same and port != b"0"


def _facing(theirs: list[bytes], section: Section) -> list[bytes]:
    direction = f"a={FACING[section.direction]}".encode()
    return [theirs[0], direction, *(line for line in theirs[1:] if line.strip() not in _LINES)]


def _refused(section: Section) -> list[bytes]:
    return [f"m={section.kind} 0 {section.profile} {' '.join(section.formats)}".encode()]
