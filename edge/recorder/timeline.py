"""PURE. Both parties of a call on one time, cut into frames of a second.

A frame is due a little after its second is over, so that what the network held up still gets into
it. Pauses and keyed digits are laid over what was heard before it is handed out: what is covered
leaves this module as silence.
"""

from __future__ import annotations

from typing import Final

from custody import g711
from custody.frame import BLOCK, BLOCKS, SAMPLES, Frame, State
from edge.recorder.channel import Channel

PATIENCE: Final = 2400
"""Samples (0.3 s) that a second waits for its last packets."""
CALLER: Final = 0
AGENT: Final = 1


class Timeline:
    """One recording's time, in samples."""

    def __init__(self, start: int = 0) -> None:
        """Begin at `start`: 0, or where a later life takes up."""
        self.start = start // BLOCK * BLOCK
        self.sides = (Channel(self.start), Channel(self.start))
        self.pauses: list[tuple[int, int | None]] = []

    @property
    def base(self) -> int:
        """Where the next frame begins."""
        return self.sides[0].base

    @property
    def is_paused(self) -> bool:
        """Whether nothing is recorded now."""
        return bool(self.pauses) and self.pauses[-1][1] is None

    def pause(self, now: int) -> None:
        """Record nothing from now on, and nothing of what has not been handed out yet."""
        if not self.is_paused:
            self.pauses.append((max(self.base, now - BLOCK) // BLOCK * BLOCK, None))

    def resume(self, now: int) -> None:
        """Record again."""
        if self.is_paused:
            begin, _ = self.pauses[-1]
            self.pauses[-1] = (begin, max(begin, -(-now // BLOCK) * BLOCK))

    def due(self, now: int, patience: int = PATIENCE) -> Frame | None:
        """Return the next second if it is over, and has waited for what the network held up."""
        if now < self.base + SAMPLES + patience:
            return None
        return self._cut(BLOCKS)

    def rest(self, now: int) -> Frame:
        """Return what is left of the last second: the end of the recording, or of a segment."""
        return self._cut(max(0, min(BLOCKS - 1, (now - self.base) // BLOCK)))

    def _cut(self, blocks: int) -> Frame:
        base, sides = self.base, []
        for side in self.sides:
            heard, states = side.second()
            heard, states = heard[: blocks * BLOCK], states[:blocks]
            covers = [(*span, State.PAUSED) for span in self.pauses]
            covers += [(*span, State.MASKED) for span in side.keyed]
            for begin, end, state in covers:
                last = base + SAMPLES if end is None else end
                heard, states = _cover(side, heard, states, (begin - base, last - base), state)
            sides.append((heard, states, side.codec or 0))
        for side in self.sides:
            side.advance(blocks * BLOCK)
        (left, left_states, left_codec), (right, right_states, right_codec) = sides
        return Frame(
            start=base,
            codecs=(left_codec, right_codec),
            states=(left_states, right_states),
            left=left,
            right=right,
        )


def _cover(
    side: Channel, heard: bytes, states: bytes, span: tuple[int, int], state: State
) -> tuple[bytes, bytes]:
    """Put silence where something must not be recorded."""
    first = max(0, span[0] // BLOCK)
    last = min(len(states), -(-span[1] // BLOCK))
    if first >= last:
        return heard, states
    silence = bytes([g711.SILENCE[side.codec or 0]]) * ((last - first) * BLOCK)
    return (
        heard[: first * BLOCK] + silence + heard[last * BLOCK :],
        states[:first] + bytes([state]) * (last - first) + states[last:],
    )
