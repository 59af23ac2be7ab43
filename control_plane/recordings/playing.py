"""Makes the bytes of a WAV from a recording, from any byte on, a second at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from custody import listening
from custody.frame import RATE_HZ, SAMPLES
from custody.library import Library, SegmentInStore
from custody.listening import SAMPLE_BYTES, WAV_HEADER_BYTES
from custody.manifest import Manifest, Segment

LONGEST_S: Final = 4 * 3600
"""Of a waveform."""


def size_of(account: Manifest) -> int:
    """Return how long the whole WAV is."""
    return WAV_HEADER_BYTES + account.samples * SAMPLE_BYTES


async def wav(library: Library, account: Manifest, start: int, end: int) -> AsyncIterator[bytes]:
    """Yield bytes `start` to `end` of the WAV.

    Raise `TamperedError` or `NoKeyError`; nothing of a frame that does not open is given out.
    """
    await asyncio.to_thread(listening.prepare)
    if start < WAV_HEADER_BYTES:
        yield listening.wav_header(account.samples)[start:end]
        start = WAV_HEADER_BYTES
    at, until = start - WAV_HEADER_BYTES, end - WAV_HEADER_BYTES
    opened = _Opened(library, account)
    while at < until:
        first, chunk = await opened.around(at // SAMPLE_BYTES)
        skip = at - first * SAMPLE_BYTES
        piece = chunk[skip : skip + until - at]
        at += len(piece)
        yield piece


async def peaks(library: Library, account: Manifest) -> tuple[list[int], list[int]]:
    """Return how loud each party was when, of `LONGEST_S` at most; no sound is kept for it.

    Raise as `wav` does.
    """
    found = listening.Waveform(min(account.samples, LONGEST_S * RATE_HZ))
    async for frame in library.frames(account):
        found.take(frame)
    return found.sides


class _Opened:
    """A recording's segments, opened as they are come to."""

    def __init__(self, library: Library, account: Manifest) -> None:
        self._library = library
        self._account = account
        self._segment: tuple[Segment, SegmentInStore] | None = None

    async def around(self, sample: int) -> tuple[int, bytes]:
        """Return PCM that has `sample` in it, and where it begins; silence in a gap."""
        for segment in self._account.segments:
            if segment.start <= sample < segment.start + segment.samples:
                index = (sample - segment.start) // SAMPLES
                frame = await (await self._open(segment)).frame(index)
                return frame.start, listening.pcm(frame)
        nexts = [each.start for each in self._account.segments if each.start > sample]
        until = min([*nexts, sample + SAMPLES, self._account.samples])
        return sample, bytes((until - sample) * SAMPLE_BYTES)

    async def _open(self, segment: Segment) -> SegmentInStore:
        if self._segment is None or self._segment[0] is not segment:
            self._segment = (segment, await self._library.open_segment(self._account, segment))
        return self._segment[1]
