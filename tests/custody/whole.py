"""A whole segment at once, where the recorder seals frame by frame."""

from __future__ import annotations

from custody.stream import FrameCipher


def seal_all(key: bytes, place: bytes, head: bytes, frames: list[bytes]) -> bytes:
    """Return a whole segment; the last of `frames` is its end."""
    cipher = FrameCipher(key, place, head)
    last = len(frames) - 1
    return head + b"".join(
        cipher.seal(index, frame, is_last=index == last) for index, frame in enumerate(frames)
    )
