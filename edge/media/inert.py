"""PURE. The session descriptions of a party that is not there: a queue.

Its music is made by the relay.
"""

from __future__ import annotations

from edge.media.lines import joined
from edge.media.sdp import AUDIO, EVENTS, FACING, Direction, first_usable, parse

NOWHERE_PORT = 9
"""The discard port (RFC 863): where the queue pretends to listen."""
_OUR_EVENTS = f"{EVENTS}8000"


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
    return joined(lines)


def inert_offer() -> bytes:
    """Offer for a party that only plays, to someone who sent no offer of their own."""
    formats = [("0", "PCMU/8000"), ("8", "PCMA/8000"), ("101", "telephone-event/8000")]
    return joined([*_head(), *_audio_lines("RTP/AVP", formats, Direction.SENDRECV)])


def _is_ours(encoding: str) -> bool:
    return encoding in AUDIO or encoding == _OUR_EVENTS


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
