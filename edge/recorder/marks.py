"""PURE. What a recording notes beside the sound: gaps, pauses, holds, digits, who was in the call.

All in samples from the recording's beginning. A mark that goes on has no end yet.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from custody.manifest import Part, Span

KEYED = "digits"
HELD = "hold"


class Mark(Struct, frozen=True, kw_only=True):
    """From one sample on, to another or until now, and what."""

    start: int
    end: int | None = None
    what: str


class Marks(Struct, kw_only=True):
    """All marks of one recording; a later life of the recorder goes on with them."""

    gaps: list[Span] = []
    pauses: list[Mark] = []
    """`what` is by whom."""
    holds: list[Mark] = []
    parts: list[Mark] = []
    """`what` is the agent."""
    masks: list[Span] = []
    wish: int = 0
    """The last wish to pause or resume that was carried out."""

    for_keys: bool = False
    """The pause is for what the caller keys: no tone of theirs is for the agent's ears."""

    @property
    def is_paused(self) -> bool:
        """Whether nothing is recorded now."""
        return any(each.end is None for each in self.pauses)

    @property
    def agent(self) -> str:
        """Who is in the call now; empty: nobody."""
        return next((each.what for each in self.parts if each.end is None), "")

    def mask(self, start: int, end: int) -> None:
        """Note keyed digits, in the order of time; what touches the last span goes into it."""
        if self.masks and start <= self.masks[-1].end:
            start, end = self.masks[-1].start, max(end, self.masks.pop().end)
        self.masks.append(Span(start=start, end=end, because=KEYED))

    def close(self, now: int) -> None:
        """End everything that goes on."""
        for marks in (self.pauses, self.holds, self.parts):
            end(marks, now)


def begin(marks: list[Mark], start: int, what: str) -> None:
    """Begin one, unless the same goes on already."""
    if not any(each.end is None and each.what == what for each in marks):
        marks.append(Mark(start=start, what=what))


def end(marks: list[Mark], now: int, what: str | None = None) -> None:
    """End those that go on: all, or those of one kind."""
    for index, each in enumerate(marks):
        if each.end is None and what in (None, each.what):
            marks[index] = replace(each, end=max(each.start, now))


def spans(marks: list[Mark], reached: int) -> tuple[Span, ...]:
    """Return them for the manifest; `reached` is where the recording ends."""
    return tuple(
        Span(start=each.start, end=_end(each, reached), because=each.what) for each in marks
    )


def parts(marks: list[Mark], reached: int) -> tuple[Part, ...]:
    """Return who was in the call when."""
    return tuple(Part(agent=each.what, start=each.start, end=_end(each, reached)) for each in marks)


def _end(mark: Mark, reached: int) -> int:
    """Return where it ended: what has begun behind the last of the sound has lasted no time."""
    return max(mark.start, reached) if mark.end is None else mark.end
