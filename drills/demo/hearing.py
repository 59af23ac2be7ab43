"""What is heard on a recording, and what the demo says of all of them. PURE.

Finds chords by a Fourier transform of its own: whoever sends them is not to be the one who says
that they were recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from custody import listening
from custody.frame import BLOCK, RATE_HZ, Frame

LINE_HZ = RATE_HZ // BLOCK
VOICES = 4
_QUIET = 60.0**2
_PURE = 0.98
HEARD_BLOCKS = 5
"""So often a chord has to be heard: a tenth of a second."""


class Recorded(Struct, frozen=True, kw_only=True):
    """What became of the recording of one answered call."""

    call: str
    fault: str = ""
    """Why it does not open; empty: it does."""
    is_complete: bool = False
    seconds: float = 0.0
    gaps: tuple[str, ...] = ()
    """What is missing, and why, each in words."""
    missing_s: float = 0.0
    """How long that is together."""
    caller: frozenset[str] = frozenset()
    """Chords on the left."""
    agent: frozenset[str] = frozenset()
    """Chords on the right."""
    due_left: str = ""
    due_right: str = ""
    allowed: frozenset[str] = frozenset()
    """Chords that may be heard on either side: an echo has the other party's."""

    @property
    def is_heard(self) -> bool:
        """Whether each party is on their side, and nobody else on either."""
        return (
            not self.fault
            and self.due_left in self.caller
            and self.due_right in self.agent
            and self.caller | self.agent <= self.allowed
        )


def chords(frames: Iterable[Frame], side: int) -> frozenset[str]:
    """Name the chords of one channel."""
    found: Counter[str] = Counter()
    for frame in frames:
        blocks = listening.channel(frame, side).astype(np.float64).reshape(-1, BLOCK)
        lines = np.abs(np.fft.rfft(blocks, axis=1)) ** 2 * (2 / BLOCK**2)
        lines[:, 0] = 0.0
        for block in lines:
            total = float(block.sum())
            if total < _QUIET:
                continue
            strongest = np.argsort(block)[-VOICES:]
            if float(block[strongest].sum()) >= _PURE * total:
                found["-".join(str(int(line) * LINE_HZ) for line in sorted(strongest))] += 1
    return frozenset(name for name, count in found.items() if count >= HEARD_BLOCKS)


def patterns(frames: Sequence[Frame]) -> frozenset[bytes]:
    """Return some bytes as they went over the wire, by which plaintext would be known."""
    found = set()
    for frame in frames[:: max(1, len(frames) // 3)]:
        for channel, states in ((frame.left, frame.states[0]), (frame.right, frame.states[1])):
            for index, state in enumerate(states):
                sound = channel[index * BLOCK : index * BLOCK + 40]
                if state == 1 and len(set(sound)) > 10:  # noqa: PLR2004 - no silence
                    found.add(sound)
                    break
    return frozenset(found)


class Copies(Struct, frozen=True, kw_only=True):
    """What another site has of recordings."""

    counted: int = 0
    """What the dead site had counted as replicated."""
    played: int = 0
    """Of those, what a survivor opens with its own keys."""
    due: int = 0
    """Recordings that a living site made after the kill."""
    copied: int = 0
    """Of those, what another living site opens with its own keys."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing that was counted or was due."""
        return self.played == self.counted and self.copied == self.due > 0
