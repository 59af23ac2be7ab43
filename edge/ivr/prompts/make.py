"""Make the prompts in this folder anew: `python -m edge.ivr.prompts.make`.

8 kHz, mono, mu-law: of linear samples in a WAV, rtpengine suspects disguised surround sound and
spends 7 ms of CPU on each start, of these 0.4 ms. Speech comes from espeak-ng (a tool of
development; the WAVs are committed), music from the few lines below, so that nobody holds a right
in either.
"""

# ruff: noqa: INP001 - a script; with an __init__.py it would be part of edge.ivr, which is pure

from __future__ import annotations

import io
import struct
import subprocess
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from custody import g711

Samples = npt.NDArray[np.float64]

HERE = Path(__file__).parent
RATE = 8000
PACKET_SAMPLES = 160
MULAW_FORMAT = 7
"""In a WAV (RFC 2361)."""
MULAW_PAYLOAD_TYPE = 0
SPEECH = {
    "greeting": "Welcome to Everline. Please hold the line.",
    "goodbye": "We cannot take your call. Good bye.",
    "announcement": "This call is recorded.",
    "consent": "May we record this call? Press one to agree. Else just hold the line.",
    "unrecorded": "This call is not recorded.",
    "callback": "Shall we call you back? Press one, and you keep your place. Else hold the line.",
    "called_back": "We will call you back. Good bye.",
}
BEAT_S = 0.625
"""32 beats are 20 s."""
PADS = ((57, 60, 64, 67), (53, 57, 60, 64), (48, 55, 60, 64), (55, 59, 62, 65))
"""Am7, F, C, G7 as MIDI notes, two bars of four beats each."""
MELODY = (76, 72, 69, 72, 76, 79, 76, 72, 77, 76, 72, 69, 72, 76, 77, 79) * 2


def main() -> None:
    """Write every WAV."""
    for name, text in SPEECH.items():
        write(HERE / f"{name}.wav", speech(text), loudness=0.1)
    write(HERE / "music.wav", music(), loudness=0.05)


def speech(text: str) -> Samples:
    """Speak `text`, without the silence around it."""
    command = ["espeak-ng", "-v", "en", "-s", "190", "--stdout", text]
    done = subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - constants
    with wave.open(io.BytesIO(done.stdout)) as reader:
        rate = reader.getframerate()
        # espeak-ng writes to a pipe and cannot know the length beforehand: read what there is.
        sound = np.frombuffer(done.stdout[44:], dtype="<i2").astype(np.float64) / 32768
    loud = np.flatnonzero(np.abs(sound) > 0.01)  # noqa: PLR2004 - 1 % of full scale
    return resample(sound[loud[0] : loud[-1]], rate)


def resample(sound: Samples, rate: int) -> Samples:
    """Bring `sound` to 8 kHz, by its spectrum: nothing above 4 kHz remains to alias."""
    length = round(len(sound) * RATE / rate)
    spectrum = np.fft.rfft(sound)[: length // 2 + 1]
    return np.fft.irfft(spectrum, length) * (length / len(sound))


def music() -> Samples:
    """Play slow chords with a melody over them; the end joins the beginning."""
    beat = round(BEAT_S * RATE)
    track = np.zeros(32 * beat)
    for bar, notes in enumerate(PADS):
        for note in notes:
            add(track, pad(note, 8 * beat + beat), bar * 8 * beat)
    for step, note in enumerate(MELODY):
        add(track, bell(note, 3 * beat), step * beat)
    return track


def add(track: Samples, sound: Samples, start: int) -> None:
    """Mix `sound` in; what hangs over the end goes to the beginning, so that the loop is smooth."""
    places = (np.arange(len(sound)) + start) % len(track)
    np.add.at(track, places, sound)


def pad(note: int, length: int) -> Samples:
    """Hold a note softly: five partials that beat against a slightly sharper double."""
    t = np.arange(length) / RATE
    pitch = hertz(note)
    sound = np.zeros(length)
    for partial in range(1, 6):
        for detune in (0.997, 1.003):
            sound += np.sin(2 * np.pi * pitch * partial * detune * t + note) / partial**1.5
    fade = np.minimum(1, np.minimum(t, t[::-1]) / BEAT_S)
    return sound * fade


def bell(note: int, length: int) -> Samples:
    """Strike a note: inharmonic partials that die away."""
    t = np.arange(length) / RATE
    sound = np.zeros(length)
    for ratio, weight, decay in (
        (1, 1.0, 2.0),
        (2.01, 0.6, 3.0),
        (2.76, 0.4, 5.0),
        (4.1, 0.2, 7.0),
    ):
        sound += weight * np.sin(2 * np.pi * hertz(note) * ratio * t) * np.exp(-decay * t)
    return 2.5 * sound * np.minimum(1, t / 0.005) * np.minimum(1, t[::-1] / 0.05)


def hertz(note: int) -> float:
    """Turn a MIDI note into its frequency."""
    return float(440 * 2 ** ((note - 69) / 12))


def write(path: Path, sound: Samples, *, loudness: float) -> None:
    """Write a mu-law WAV whose root mean square is `loudness` of full scale."""
    level = sound * (loudness / np.sqrt(np.mean(sound**2)))
    whole = len(level) - len(level) % PACKET_SAMPLES
    linear = np.clip(np.round(level[:whole] * 32767), -32767, 32767).astype(np.int16)
    codes = g711.encode(linear, MULAW_PAYLOAD_TYPE)
    parts = (
        (b"fmt ", struct.pack("<HHIIHHH", MULAW_FORMAT, 1, RATE, RATE, 1, 8, 0)),
        (b"fact", struct.pack("<I", whole)),
        (b"data", codes),
    )
    body = b"WAVE" + b"".join(name + struct.pack("<I", len(part)) + part for name, part in parts)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


if __name__ == "__main__":
    main()
