"""Frames: what goes in comes out, and a listener hears it where it was."""

from __future__ import annotations

import wave
from io import BytesIO

import numpy as np
import pytest

from custody import g711, listening
from custody.errors import FormatError
from custody.frame import BLOCK, BLOCKS, LAYOUT, SAMPLES, Frame, State, pack, unpack


def tone(loudness: int, codec: int = 0, samples: int = SAMPLES) -> bytes:
    wave_ = loudness * np.sin(2 * np.pi * 500 * np.arange(samples) / 8000)
    return g711.encode(wave_.astype(np.int16), codec)


def frame(blocks: int = BLOCKS, **changes: object) -> Frame:
    values: dict[str, object] = {
        "start": 8000,
        "codecs": (0, 8),
        "states": (bytes([State.AUDIO] * blocks), bytes([State.SILENT] * blocks)),
        "left": tone(8000, 0, blocks * BLOCK),
        "right": tone(100, 8, blocks * BLOCK),
        **changes,
    }
    return Frame(**values)  # type: ignore[arg-type]  # as tests build them


@pytest.mark.parametrize("blocks", [0, 1, 49, 50])
@pytest.mark.parametrize("index", [0, 1])
def test_a_frame_comes_back_as_it_was(blocks: int, index: int) -> None:
    before = frame(blocks)
    after = unpack(pack(before, index))
    assert (after.left, after.right, after.states, after.start, after.codecs) == (
        before.left,
        before.right,
        before.states,
        before.start,
        before.codecs,
    )


def test_a_whole_frame_fills_its_place_exactly() -> None:
    assert len(pack(frame(), 0)) == LAYOUT.holds(0)
    assert len(pack(frame(), 7)) == LAYOUT.holds(7)
    assert len(pack(frame(49), 7)) < LAYOUT.holds(7)


def test_sealing_adds_less_than_two_percent() -> None:
    assert LAYOUT.frame_bytes < 2 * SAMPLES * 1.02


@pytest.mark.parametrize("raw", [b"", b"\x02" * 100, pack(frame(), 0)[:500], b"\x01\xff" * 60])
def test_rubbish_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        unpack(raw)


def test_a_listener_hears_what_was_said_and_silence_elsewhere() -> None:
    opened = unpack(pack(frame(), 0))
    file = BytesIO(listening.wav_header(SAMPLES) + listening.pcm(opened))
    with wave.open(file) as heard:
        assert (heard.getnchannels(), heard.getframerate(), heard.getnframes()) == (
            2,
            8000,
            SAMPLES,
        )
        samples = np.frombuffer(heard.readframes(SAMPLES), dtype="<i2").reshape(-1, 2)
    assert 7000 < samples[:, 0].max() < 8500
    assert not samples[:, 1].any()


def test_the_waveform_shows_who_was_loud_when() -> None:
    frames = [unpack(pack(frame(), 0)), unpack(pack(frame(start=24_000), 1))]
    found = listening.Waveform(32_000)
    for each in frames:
        found.take(each)
    left, right = found.sides
    assert len(left) == 40
    assert [level > 40 for level in left] == [False] * 10 + [True] * 10 + [False] * 10 + [True] * 10
    assert max(right) < 3
