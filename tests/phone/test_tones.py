"""Chords: what is sent is recognised, and nothing else is."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody import g711
from edge.phone.tones import (
    GRID,
    OTHER,
    PACKET_SAMPLES,
    SILENCE,
    Chord,
    Listener,
    chord_for,
    heard,
    name_of,
    samples,
)

PROMPTS = Path(__file__).parents[2] / "edge/ivr/prompts"
CODECS = pytest.mark.parametrize("payload_type", [0, 8], ids=["PCMU", "PCMA"])


@given(label=st.text(), payload_type=st.sampled_from([0, 8]))
def test_any_chord_is_recognised_after_the_codec(label: str, payload_type: int) -> None:
    chord = chord_for(label)
    payload = g711.encode(samples(chord), payload_type)
    assert name_of(payload, payload_type) == str(chord)


@given(label=st.text(), cut=st.integers(min_value=0, max_value=PACKET_SAMPLES - 1))
def test_chord_is_recognised_wherever_the_packets_are_cut(label: str, cut: int) -> None:
    assert heard(np.roll(samples(chord_for(label)), cut)) == chord_for(label)


@given(one=st.text(), two=st.text())
def test_two_chords_are_told_apart_and_their_mixture_is_neither(one: str, two: str) -> None:
    first, second = samples(chord_for(one)), samples(chord_for(two))
    if chord_for(one) == chord_for(two):
        assert one == two or np.array_equal(first, second)
        return
    assert heard(first) != heard(second)
    assert heard(((first.astype(int) + second) // 2).astype(np.int16)) is None


def test_chords_are_the_same_in_every_version() -> None:
    """Reports of one version are read by another."""
    assert str(chord_for("3848276298220188511@atlanta.example:agent")) == "1350-1900-2350-3200"
    assert str(chord_for("")) == "650-1200-1250-2600"


def test_thousands_of_calls_seldom_share_a_chord() -> None:
    chords = [chord_for(f"{number}@carrier:{side}") for number in range(1000) for side in "ac"]
    assert len(set(chords)) >= 1985
    assert all(set(chord.hertz) <= set(GRID) and len(set(chord.hertz)) == 4 for chord in chords)


@CODECS
@pytest.mark.parametrize("prompt", ["greeting", "music", "goodbye"])
def test_prompts_are_never_mistaken_for_a_chord(prompt: str, payload_type: int) -> None:
    file = (PROMPTS / f"{prompt}.wav").read_bytes()
    assert struct.unpack_from("<HHI", file, 20) == (7, 1, 8000), "mu-law, mono, 8 kHz"
    assert len(file[58:]) % PACKET_SAMPLES == 0
    sound = g711.decode(file[58:], 0)
    names = {
        name_of(g711.encode(sound[at : at + PACKET_SAMPLES], payload_type), payload_type)
        for cut in (0, 37, 80, 121)
        for at in range(cut, len(sound) - PACKET_SAMPLES, PACKET_SAMPLES)
    }
    assert OTHER in names
    assert names <= {OTHER, SILENCE}


@CODECS
def test_silence_and_comfort_noise_are_silence(payload_type: int) -> None:
    quiet = np.random.default_rng(1).normal(0, 20, PACKET_SAMPLES).astype(np.int16)
    for packet in (np.zeros(PACKET_SAMPLES, dtype=np.int16), quiet):
        assert name_of(g711.encode(packet, payload_type), payload_type) == SILENCE


@given(seed=st.integers(min_value=0, max_value=2**32), level=st.floats(100, 9000))
def test_noise_is_no_chord(seed: int, level: float) -> None:
    noise = np.random.default_rng(seed).normal(0, level, PACKET_SAMPLES)
    assert heard(np.clip(noise, -32768, 32767).astype(np.int16)) is None


@pytest.mark.parametrize("hertz", [(1000,), (1000, 2000), (300, 500, 700), (1000, 2000, 50, 3000)])
def test_fewer_lines_or_lines_off_the_grid_are_no_chord(hertz: tuple[int, ...]) -> None:
    t = np.arange(PACKET_SAMPLES) / 8000
    wave_ = sum(3000 * np.sin(2 * np.pi * line * t) for line in hertz)
    assert heard(np.asarray(wave_, dtype=np.int16)) is None


@given(st.binary(max_size=400), st.integers(min_value=0, max_value=127))
def test_any_payload_gets_a_name(payload: bytes, payload_type: int) -> None:
    assert name_of(payload, payload_type)


def test_listener_counts_what_it_hears_and_the_gaps() -> None:
    listener = Listener()
    chord = Chord((300, 500, 900, 1700))
    payload = g711.encode(samples(chord), 0)
    quiet = bytes([0xFF]) * PACKET_SAMPLES
    for now_s, packet in [(1.0, quiet), (1.02, payload), (1.04, payload), (1.5, payload)]:
        listener.hear(packet, 0, now_s)
    sound = listener.sounds[str(chord)]
    assert (sound.packets, sound.first_s, sound.last_s) == (3, 1.02, 1.5)
    assert sound.longest_gap_s == pytest.approx(0.46)
    assert sound.gap_from_s == 1.04
    assert listener.chords() == {"300-500-900-1700": 3}
    assert listener.packets(SILENCE) == 1
    assert listener.now_hearing == str(chord)


@pytest.mark.parametrize("payload_type", [0, 8])
def test_every_code_of_g711_comes_back_as_itself(payload_type: int) -> None:
    codes = bytes(range(256))
    again = g711.encode(g711.decode(codes, payload_type), payload_type)
    linear = g711.decode(codes, payload_type)
    assert np.array_equal(g711.decode(again, payload_type), linear)
    assert linear.min() == -linear.max()
    assert linear.max() == (32124 if payload_type == 0 else 32256)
