"""Digits as tones in the audio: found whatever they are, and nothing else taken for one."""

from __future__ import annotations

import itertools
import random
import struct

import numpy as np
import numpy.typing as npt
import pytest

from custody import g711
from custody.frame import BLOCK, BLOCKS, RATE_HZ, SAMPLES, State
from edge.phone import tones
from edge.recorder import inband
from edge.recorder.timeline import CALLER, PATIENCE, Timeline

LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
LAWS = (0, 8)


Sound = npt.NDArray[np.float64]


def wave(hertz: tuple[float, ...], samples: int, loud: float = 6000.0) -> Sound:
    at = np.arange(samples) / RATE_HZ
    angles = 2 * np.pi * np.outer(hertz, at) + np.array(hertz)[:, None]
    sound: Sound = loud * np.sin(angles).sum(axis=0)
    return sound


def law(samples: Sound, codec: int = 0) -> bytes:
    return g711.encode(np.clip(samples, -32_000, 32_000).astype(np.int16), codec)


@pytest.mark.parametrize("codec", LAWS)
@pytest.mark.parametrize("pair", list(itertools.product(LOW, HIGH)))
def test_every_digit_is_found_in_all_its_length(pair: tuple[int, int], codec: int) -> None:
    off = 1.015  # Q.24: 1.5 % beside its frequency it has still to be known
    for hertz in (pair, (pair[0] * off, pair[1] / off)):
        found = inband.digits(law(wave(hertz, 4 * BLOCK), codec), codec)
        assert found.all()


@pytest.mark.parametrize("codec", LAWS)
def test_a_digit_beside_noise_of_the_line_is_found(codec: int) -> None:
    rng = np.random.default_rng(7)
    noisy = wave((770, 1477), 5 * BLOCK, 3000) + rng.normal(0, 300, 5 * BLOCK)
    assert inband.digits(law(noisy, codec), codec).all()


def test_nothing_else_is_taken_for_a_digit() -> None:
    rng = np.random.default_rng(11)
    others = [
        wave((440,), 50 * BLOCK),
        wave((697,), 50 * BLOCK),
        wave((425, 480, 620), 50 * BLOCK),
        rng.normal(0, 3000, 50 * BLOCK),
        np.zeros(50 * BLOCK),
        wave((697, 1209), 50 * BLOCK, 40.0),  # nobody hears it
    ]
    for each in others:
        assert not inband.digits(law(each), 0).any()


def test_the_chords_by_which_tests_tell_people_apart_are_none() -> None:
    for number in range(300):
        chord = tones.samples(tones.chord_for(str(number)))
        assert not inband.digits(law(np.tile(chord.astype(float), 4)), 0).any()


def test_speech_is_none() -> None:
    """Voices as glottal pulses through moving formants: rich in harmonics, as all speech is."""
    rng = random.Random(3)  # noqa: S311 - a voice
    for pitch in (95, 120, 180, 220):
        at = np.arange(100 * BLOCK) / RATE_HZ
        voice = np.zeros(len(at))
        formants = [rng.uniform(300, 800), rng.uniform(900, 2200), rng.uniform(2300, 3200)]
        for number in range(1, int(3400 / pitch)):
            gain = sum(1 / (1 + ((number * pitch - each) / 120) ** 2) for each in formants)
            voice += gain * np.sin(2 * np.pi * number * pitch * at)
        assert not inband.digits(law(2000 * voice), 0).any()


def play(made: Timeline, first: int, sound: bytes) -> None:
    for index in range(len(sound) // BLOCK):
        number = first + index
        head = struct.pack("!BBHII", 0x80, 0, number, number * BLOCK, 7)
        packet = head + sound[index * BLOCK : (index + 1) * BLOCK]
        made.sides[CALLER].take(packet, len(packet), number * BLOCK)


@pytest.mark.parametrize("begin", [10, 47, 49, 50])
def test_a_digit_is_masked_with_what_is_around_it_also_over_the_end_of_a_second(
    begin: int,
) -> None:
    made = Timeline()
    voice = law(wave((300, 2500), BLOCK))
    digit = law(wave((852, 1336), 5 * BLOCK))
    play(made, 0, voice * begin)
    play(made, begin, digit)
    play(made, begin + 5, voice * (2 * BLOCKS - begin - 5))
    frames = [made.due(n * SAMPLES + PATIENCE) for n in (1, 2)]
    states = b"".join(frame.states[0] for frame in frames if frame is not None)
    masked = [number for number, state in enumerate(states) if state == State.MASKED]
    assert masked == list(range(begin - 2, begin + 7))


def test_who_has_telephone_events_is_not_listened_to_for_tones() -> None:
    made = Timeline()
    made.sides[CALLER].event_clocks = {101: 8000}
    play(made, 0, law(wave((852, 1336), BLOCKS * BLOCK)))
    frame = made.due(SAMPLES + PATIENCE)
    assert frame is not None
    assert State.MASKED not in frame.states[0]


def test_what_is_masked_in_doubt_keeps_nobody_from_the_agent() -> None:
    """A tenth and more of other sound, as in a vowel that happens to lie on a digit."""
    digit = wave((852, 1336), inband.LISTENED * BLOCK, 3000)
    vowel = digit + wave((1150,), inband.LISTENED * BLOCK, 1800)
    assert inband.digits(law(vowel), 0).all()
    assert not inband.begun(law(vowel), 0).any()
    assert inband.begun(law(digit), 0).all()
