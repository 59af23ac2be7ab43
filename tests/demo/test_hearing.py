"""The demo's own ear, against tones that somebody else made."""

from __future__ import annotations

import numpy as np

from custody import g711
from custody.frame import BLOCK, BLOCKS, Frame
from drills.demo.hearing import Recorded, chords, patterns
from edge.phone import tones


def frame(left: bytes, right: bytes) -> Frame:
    return Frame(
        start=0,
        codecs=(0, 0),
        states=(bytes([1] * BLOCKS), bytes([1] * BLOCKS)),
        left=left * BLOCKS,
        right=right * BLOCKS,
    )


def packet(label: str) -> bytes:
    return g711.encode(tones.samples(tones.chord_for(label)), 0)


def test_each_channel_is_heard_for_itself() -> None:
    frames = [frame(packet("caller"), packet("agent"))]
    assert chords(frames, 0) == {str(tones.chord_for("caller"))}
    assert chords(frames, 1) == {str(tones.chord_for("agent"))}


def test_silence_and_noise_are_no_chord() -> None:
    noise = g711.encode(np.random.default_rng(1).integers(-9000, 9000, BLOCK).astype(np.int16), 0)
    assert chords([frame(b"\xff" * BLOCK, noise)], 0) == frozenset()
    assert chords([frame(b"\xff" * BLOCK, noise)], 1) == frozenset()


def test_what_is_sought_is_what_went_over_the_wire() -> None:
    found = patterns([frame(packet("caller"), b"\xff" * BLOCK)])
    assert found == {packet("caller")[:40]}


def test_a_third_voice_is_noticed() -> None:
    good = Recorded(
        call="c",
        caller=frozenset({"1"}),
        agent=frozenset({"2"}),
        due_left="1",
        due_right="2",
        allowed=frozenset({"1", "2"}),
    )
    assert good.is_heard
    assert not Recorded(
        call="c",
        caller=frozenset({"1", "3"}),
        agent=frozenset({"2"}),
        due_left="1",
        due_right="2",
        allowed=frozenset({"1", "2"}),
    ).is_heard
