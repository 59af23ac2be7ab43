"""What is made of a recording's sound, whatever its length."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from typing import cast

from control_plane.recordings import playing
from custody.frame import BLOCKS, SAMPLES, Frame
from custody.library import Library
from custody.manifest import Manifest, Segment

SECONDS = 600


class LongRecording:
    """A library of one recording, whose sound is made as it is read."""

    async def frames(self, _account: Manifest) -> AsyncIterator[Frame]:
        """Yield one second after the other."""
        for second in range(SECONDS):
            yield Frame(
                start=second * SAMPLES,
                codecs=(0, 0),
                states=(bytes(BLOCKS), bytes(BLOCKS)),
                left=bytes(SAMPLES),
                right=bytes(SAMPLES),
                levels=(bytes([second % 200] * 10), bytes(10)),
            )


async def test_a_waveform_keeps_no_sound_in_memory() -> None:
    segment = Segment(
        number=1, start=0, samples=SECONDS * SAMPLES, frames=SECONDS, size=0, sha256="", key_id="",
        sealed_key="",
    )  # fmt: skip
    account = Manifest(
        recording="r", tenant="main", call="r", queue="q", agents=(), site="a", recorder="a",
        started_ms=0, segments=(segment,),
    )  # fmt: skip
    tracemalloc.start()
    try:
        caller, agent = await playing.peaks(cast("Library", LongRecording()), account)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(caller), caller[-1], set(agent)) == (SECONDS * 10, (SECONDS - 1) % 200, {0})
    assert most < SECONDS * SAMPLES // 2, "far less than one channel of it"
