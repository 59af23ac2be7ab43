"""PURE. Opens one segment: any frame of it, in any order, or all that is there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from custody import frame as frames
from custody.errors import FormatError, TamperedError
from custody.frame import LAYOUT, Frame
from custody.manifest import Segment
from custody.place import Place
from custody.stream import HEADER_BYTES, FrameCipher


class Reader:
    """Reads a segment of `size` bytes whose first bytes are `head`."""

    def __init__(self, key: bytes, place: Place, head: bytes, size: int) -> None:
        self._cipher = FrameCipher(key, place.bound(), head)
        self.whole = LAYOUT.whole(size)
        """Frames that are whole; the last one comes behind them."""

    def frame(self, index: int, sealed: bytes | memoryview) -> Frame:
        """Open a whole frame."""
        return frames.unpack(self._cipher.open(index, sealed, is_last=False))

    def end(self, sealed: bytes | memoryview) -> Frame:
        """Open the last frame; that it opens shows that nothing is missing before it."""
        return frames.unpack(self._cipher.open(self.whole, sealed, is_last=True))


def read_all(key: bytes, place: Place, sealed: bytes) -> tuple[list[Frame], bool]:
    """Return the frames of a segment, and whether it has its end.

    A segment that was not closed opens up to its last whole frame. Raise `TamperedError` when a
    whole frame does not open.
    """
    reader = Reader(key, place, sealed[:HEADER_BYTES], len(sealed))
    view = memoryview(sealed)
    found = [reader.frame(index, view[slice(*LAYOUT.span(index))]) for index in range(reader.whole)]
    start = reader.whole * LAYOUT.frame_bytes or HEADER_BYTES
    try:
        found.append(reader.end(view[start:]))
    except (TamperedError, FormatError):
        return found, False
    return found, True


def check(segment: Segment, sealed: bytes, sealed_key: bytes) -> Iterator[str]:
    """Say what of a segment is not as the manifest has it; needs no key."""
    if len(sealed) != segment.size:
        yield f"segment {segment.number} has {len(sealed)} bytes, not {segment.size}"
    if hashlib.sha256(sealed).hexdigest() != segment.sha256:
        yield f"segment {segment.number} is not the one that was written"
    if hashlib.sha256(sealed_key).hexdigest() != segment.sealed_key:
        yield f"the key of segment {segment.number} is not the one that was written"


def read_checked(segment: Segment, place: Place, key: bytes, sealed: bytes) -> list[Frame]:
    """Return the frames, which are as many as the manifest lists. Raise `TamperedError`."""
    if len(sealed) != segment.size:
        # Behind the last whole frame of an unclosed segment nothing is sealed that would show it.
        raise TamperedError(f"segment {segment.number} has {len(sealed)} bytes, not {segment.size}")
    found, is_closed = read_all(key, place, sealed)
    samples = sum(each.samples for each in found)
    if is_closed != segment.is_complete or samples != segment.samples:
        raise TamperedError(f"segment {segment.number} is cut off: it holds {samples} samples")
    expected = segment.start
    for each in found:
        if each.start != expected:
            raise TamperedError(f"segment {segment.number} is out of order")
        expected += each.samples
    return found
