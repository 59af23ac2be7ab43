"""PURE. The session descriptions of a copy of what somebody sends, which the relay offers."""

from __future__ import annotations

from edge.media.errors import SdpError
from edge.media.lines import joined
from edge.media.sdp import OPUS, Section, parse


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
    return joined(lines)
