"""What charts of pages are drawn with: a frame for values over time, lines and words, as SVG. PURE.

No script, nothing is fetched; words take the colour of the page that they stand on.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from msgspec import Struct

WIDTH, LEFT, RIGHT = 900, 52, 10
GRAY, RED, GREEN, BLUE, YELLOW = "#9aa4ae", "#b3261e", "#116329", "#2c7be5", "#f0a202"


class Frame(Struct, frozen=True):
    """Where moments, in seconds, and heights are on the paper."""

    first: float
    last: float
    top: float
    """The highest value."""
    base: float = 0.0
    """The lowest one."""
    height: float = 220
    above: float = 10
    """So much of the height is left free over the highest value, and below for words."""
    below: float = 28

    def x(self, at_s: float) -> float:
        """Return where a moment is."""
        share = (at_s - self.first) / (self.last - self.first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return where a value is."""
        share = (value - self.base) / (self.top - self.base)
        return self.height - self.below - share * (self.height - self.below - self.above)


def line(
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str,
    *,
    is_dashed: bool = False,
    is_faint: bool = False,
) -> str:
    """Return a straight line."""
    looks = ' stroke-dasharray="4 3"' if is_dashed else ""
    looks += ' stroke-opacity=".35"' if is_faint else ""
    return (
        f'<line x1="{start[0]:.0f}" y1="{start[1]:.1f}" x2="{end[0]:.0f}" y2="{end[1]:.1f}"'
        f' stroke="{colour}"{looks}/>'
    )


def text(
    x: float, y: float, words: str, colour: str = "currentColor", *, anchor: str = "start"
) -> str:
    """Return words that begin there; with another anchor, `middle` or `end` there."""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="12" fill="{colour}"{where}>'
        f"{escape(words)}</text>"
    )


def svg(shapes: Sequence[str], height: float, words: str) -> str:
    """Return the drawing with what it shows in words below; empty if there is nothing in it."""
    if not shapes:
        return ""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(words)}">'
        f'{"".join(shapes)}</svg><p class="dim">{escape(words)}</p>'
    )
