"""Whether two who have been joined hear each other though one was told nothing of it. PURE.

Our port towards a caller never moves, whoever is behind it (`edge.media.plan`, law 5). So a caller
whose telephone refuses a new session (RFC 3261 §14.1: the old one stands then) is where the audio
is, if the codecs agree.
"""

from __future__ import annotations

from edge.media.errors import SdpError
from edge.media.sdp import Direction, Section, audio, codecs


def is_served(said: bytes, told: bytes, now: bytes) -> bool:
    """Tell whether somebody who `said` this of themselves and goes by `told` needs not be told.

    `now` is what the relay would have them told. Each side sends the first codec that both have
    named (RFC 3264 §5.1, §6.1): theirs has to be taken, and ours to be one that they listen for.
    """
    try:
        theirs, before, after = audio(said), audio(told), audio(now)
    except SdpError:
        return False
    agreed = [each for each in codecs(before) if each in codecs(theirs)]
    wanted = codecs(after)
    return (
        _place(before) == _place(after)
        and before.direction in {Direction.SENDRECV, after.direction}
        and agreed[:1] != []
        and agreed[0] in wanted
        and wanted[0] in agreed
    )


def _place(section: Section) -> tuple[str, int, str]:
    return section.host, section.port, section.profile
