"""The answer of a party whom nobody asks: hold and resume end at the edge. PURE.

When one side puts the call on hold the other is not bothered with a re-INVITE: what it last said of
itself still holds, with the direction that the offer leaves open to it (RFC 3264 §6.1).
"""

from __future__ import annotations

from edge.media.sdp import FACING, Direction, audio

_LINES = {f"a={direction}".encode() for direction in Direction}


def standing_answer(last: bytes, offer: bytes) -> bytes:
    """Return `last`, a party's session description, as its answer to `offer`.

    Raises `SdpError` when `offer` has no audio that we can use.
    """
    direction = f"a={FACING[audio(offer).direction]}".encode()
    answer: list[bytes] = []
    for line in last.splitlines():
        if line.strip() in _LINES:
            continue
        answer.append(line)
        if line.startswith(b"m="):
            answer.append(direction)  # in every section: the refused ones do not mind
    return b"".join(line + b"\r\n" for line in answer)
