"""PURE. Both parties of a call on one time, cut into frames of a second.

A frame is due a little after its second is over, so that what the network held up still gets into
it. Pauses and keyed digits are laid over what was heard before it is handed out. What they cover
leaves this module as silence, and so does what came while nothing was to be kept.
"""

from __future__ import annotations

from typing import Final

from custody.frame import BLOCK, BLOCKS, SAMPLES, Frame, State
from custody.payload_types import SILENCE
from edge.recorder import marks as noted
from edge.recorder.channel import Channel
from edge.recorder.marks import Marks

PATIENCE: Final = 2400
"""Samples (0.3 s) that a second waits for its last packets."""
_KEPT: Final = bytes([State.SILENT, State.AUDIO])
CALLER: Final = 0
AGENT: Final = 1


class Timeline:
    """One recording's time, in samples."""

    def __init__(self, start: int = 0, marks: Marks | None = None) -> None:
        """Begin at `start`: 0, or where a later life takes up, with what it has noted."""
        self.start = start // BLOCK * BLOCK
        self.sides = (Channel(self.start), Channel(self.start))
        self.marks = Marks() if marks is None else marks
        self._stamp()

    @property
    def base(self) -> int:
        """Where the next frame begins."""
        return self.sides[0].base

    @property
    def is_paused(self) -> bool:
        """Whether nothing is recorded now."""
        return self.marks.is_paused

    def pause(self, now: int, because: str) -> None:
        """Record nothing from now on, and nothing of what has not been handed out yet."""
        noted.begin(self.marks.pauses, max(self.base, now - BLOCK) // BLOCK * BLOCK, because)
        self._stamp()

    def resume(self, now: int, because: str | None = None) -> None:
        """Record again, as far as `because` alone was in the way; None: all that was."""
        noted.end(self.marks.pauses, -(-now // BLOCK) * BLOCK, because)
        self._stamp()

    def hold(self, now: int, *, on: bool) -> None:
        """Keep nothing of the agent from now on; or keep it again."""
        if on:
            noted.begin(self.marks.holds, max(self.base, now) // BLOCK * BLOCK, noted.HELD)
        else:
            noted.end(self.marks.holds, -(-now // BLOCK) * BLOCK)
        self._stamp()

    def _stamp(self) -> None:
        """Let what comes from now on be of what goes on now."""
        is_held = any(each.end is None for each in self.marks.holds)
        usual = State.PAUSED if self.marks.is_paused else State.AUDIO
        self.sides[CALLER].stamp = usual
        self.sides[AGENT].stamp = State.HELD if is_held and usual is State.AUDIO else usual

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
        self.sides[CALLER].find_digits(blocks)
        for number, side in enumerate(self.sides):
            heard, states = side.second()
            heard, states = _withheld(side, heard[: blocks * BLOCK], states[:blocks])
            covers = [(each.start, each.end, State.PAUSED) for each in self.marks.pauses]
            if number == AGENT:
                covers += [(each.start, each.end, State.HELD) for each in self.marks.holds]
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


def _withheld(side: Channel, heard: bytes, states: bytes) -> tuple[bytes, bytes]:
    """Put silence where what came was not to be kept, whenever its sender's clock has it.

    A party's packets may come later than the first of them did, or sooner: what is said in a pause
    stands before it then, or behind it.
    """
    if not states.strip(_KEPT):
        return heard, states
    silence, kept = bytes([SILENCE[side.codec or 0]]) * BLOCK, bytearray(heard)
    for block, state in enumerate(states):
        if state not in _KEPT:
            kept[block * BLOCK : (block + 1) * BLOCK] = silence
    return bytes(kept), states


def _cover(
    side: Channel, heard: bytes, states: bytes, span: tuple[int, int], state: State
) -> tuple[bytes, bytes]:
    """Put silence where something must not be recorded."""
    first = max(0, span[0] // BLOCK)
    last = min(len(states), -(-span[1] // BLOCK))
    if first >= last:
        return heard, states
    silence = bytes([SILENCE[side.codec or 0]]) * ((last - first) * BLOCK)
    return (
        heard[: first * BLOCK] + silence + heard[last * BLOCK :],
        states[:first] + bytes([state]) * (last - first) + states[last:],
    )
