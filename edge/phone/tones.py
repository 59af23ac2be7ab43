"""Tone patterns that tell calls apart by what is heard. PURE.

A chord is four of 61 frequencies on a grid of 50 Hz. In 20 ms, a packet of 160 samples, each of
them makes whole periods: packets of one chord are all the same, and a Fourier transform of any
one of them shows four lines and nothing else. Speech, music and noise never look so. 521,855
chords are enough that two calls of a drill hardly ever share one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from custody import g711
from custody.g711 import Linear
from custody.payload_types import PAYLOAD_TYPES

PACKET_SAMPLES = 160
RATE_HZ = 8000
GRID_HZ = RATE_HZ // PACKET_SAMPLES
LOWEST_HZ = 300
GRID = tuple(range(LOWEST_HZ, 3301, GRID_HZ))
VOICES = 4
_AMPLITUDE = 3500.0
_PHASES = (0.0, 1.9, 4.4, 2.7)
"""Radians, chosen so that the peaks of the voices seldom meet."""

_QUIET_RMS = 60.0
"""Below this a packet is silence: -55 dB of full scale."""
_PURITY = 0.98
"""Share of a packet's energy that the chord's lines hold; mu-law leaves 0.999 of it."""
_EVENNESS = 0.5
"""The weakest line's energy against the strongest's; they are sent equal."""

SILENCE = "silence"
OTHER = "other"


class Chord(Struct, frozen=True):
    """Frequencies in hertz, rising."""

    hertz: tuple[int, ...]

    def __str__(self) -> str:
        return "-".join(map(str, self.hertz))


def chord_for(label: str) -> Chord:
    """Return the chord that stands for `label`, the same in every process and version."""
    rest = int.from_bytes(hashlib.sha256(label.encode()).digest()[:16])
    grid = list(GRID)
    chosen = []
    for _ in range(VOICES):
        rest, index = divmod(rest, len(grid))
        chosen.append(grid.pop(index))
    return Chord(tuple(sorted(chosen)))


@lru_cache(maxsize=4096)
def samples(chord: Chord) -> Linear:
    """Return one packet of `chord`: 160 samples that go on seamlessly into themselves."""
    t = np.arange(PACKET_SAMPLES) / RATE_HZ
    voices = zip(chord.hertz, _PHASES, strict=True)
    wave = sum(np.sin(2 * np.pi * hertz * t + phase) for hertz, phase in voices)
    return np.round(_AMPLITUDE * wave).astype(np.int16)


def heard(packet: Linear) -> Chord | None:
    """Return the chord in 160 samples; None for anything else, two chords at once too."""
    spectrum = _lines(packet)
    strongest = np.argsort(spectrum)[-VOICES:]
    lines = spectrum[strongest]
    total = float(spectrum.sum())
    if total < _QUIET_RMS**2 or float(lines.sum()) < _PURITY * total:
        return None
    if float(lines[0]) < _EVENNESS * float(lines[-1]):
        return None
    hertz = tuple(sorted(int(line) * GRID_HZ for line in strongest))
    if hertz[0] < GRID[0] or hertz[-1] > GRID[-1]:
        return None
    return Chord(hertz)


def _lines(packet: Linear) -> npt.NDArray[np.float64]:
    """Return the energy at each multiple of 50 Hz, as mean squares of samples; no steady part."""
    spectrum = np.abs(np.fft.rfft(packet[:PACKET_SAMPLES].astype(np.float64))) ** 2
    spectrum[0] = 0.0
    energy: npt.NDArray[np.float64] = spectrum * (2 / PACKET_SAMPLES**2)
    return energy


@lru_cache(maxsize=16_384)
def name_of(payload: bytes, payload_type: int) -> str:
    """Say what a payload of 20 ms holds: a chord's name, `silence` or `other`.

    Remembered by the payload: chords repeat themselves from packet to packet, and so does a file
    that is played over and over.
    """
    if payload_type not in PAYLOAD_TYPES or len(payload) != PACKET_SAMPLES:
        return OTHER
    packet = g711.decode(payload, payload_type)
    if float(np.mean(np.square(packet, dtype=np.float64))) < _QUIET_RMS**2:
        return SILENCE
    chord = heard(packet)
    return OTHER if chord is None else str(chord)


@dataclass(slots=True, kw_only=True)
class Sound:
    """When and how often one thing was heard; times on the listener's monotonic clock."""

    packets: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    longest_gap_s: float = 0.0
    gap_from_s: float = 0.0
    """When the longest gap began."""


@dataclass(slots=True)
class Listener:
    """What one side of a call has heard, by name.

    Names are chords, `silence` and `other` (speech, music, noise).
    """

    sounds: dict[str, Sound] = field(default_factory=dict)
    now_hearing: str = ""

    def hear(self, payload: bytes, payload_type: int, now_s: float) -> str:
        """Take in a packet; return its name."""
        name = name_of(payload, payload_type)
        self.now_hearing = name
        sound = self.sounds.get(name)
        if sound is None:
            self.sounds[name] = Sound(packets=1, first_s=now_s, last_s=now_s)
            return name
        sound.packets += 1
        if now_s - sound.last_s > sound.longest_gap_s:
            sound.longest_gap_s, sound.gap_from_s = now_s - sound.last_s, sound.last_s
        sound.last_s = now_s
        return name

    def chords(self) -> dict[str, int]:
        """Return the packets heard of each chord, the most heard first."""
        found = [
            (name, sound.packets) for name, sound in self.sounds.items() if name[:1].isdecimal()
        ]
        return dict(sorted(found, key=lambda pair: -pair[1]))

    def packets(self, name: str) -> int:
        """Return how many packets of `name` were heard."""
        sound = self.sounds.get(name)
        return 0 if sound is None else sound.packets
