"""A flame graph of a sampler's stacks, as one SVG file that needs nothing else. PURE.

Who called stands below, who was called above; as wide as the share of samples; the colour is the
part of the edge (`loadtests.bench.profile`). A browser shows each frame's name and share under the
pointer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

from msgspec import Struct

from loadtests.bench.profile import GROUPS, OTHER, group_of

WIDTH: Final = 1400
ROW: Final = 17
_MARGIN: Final = 10
_TITLE: Final = 40
_THINNEST: Final = 0.4
"""Pixels: what is thinner is left out, with all above it."""
_LETTER: Final = 6.6
"""Pixels of one letter at the size of the labels."""
_PARTS: Final = tuple(dict.fromkeys((*(name for _, name in GROUPS), OTHER)))
_IN_A_ROW: Final = 4
"""Parts of the legend."""


@dataclass(slots=True, eq=False)
class _Frame:
    samples: int = 0
    above: dict[str, _Frame] = field(default_factory=dict)


class Box(Struct, frozen=True, kw_only=True):
    """One frame of the graph. Shares are of all samples, from the left."""

    stack: str
    left: float
    share: float
    depth: int

    @property
    def name(self) -> str:
        """What was running: the file without its folders, and the function."""
        file, _, function = self.stack.rpartition(";")[2].rpartition(":")
        return f"{function} ({file.rpartition('/')[2]})" if file else function


def boxes(samples: Mapping[str, int]) -> Iterator[Box]:
    """Yield the frames of `file:function;...` stacks, each after the one below it."""
    root = _Frame()
    for stack, count in samples.items():
        root.samples += count
        at = root
        for name in stack.split(";"):
            at = at.above.setdefault(name, _Frame())
            at.samples += count
    yield from _above(root, "", 0.0, 0, max(1, root.samples))


def _above(frame: _Frame, stack: str, left: float, depth: int, total: int) -> Iterator[Box]:
    for name, each in sorted(frame.above.items()):
        share = each.samples / total
        here = f"{stack};{name}" if stack else name
        yield Box(stack=here, left=left, share=share, depth=depth)
        yield from _above(each, here, left, depth + 1, total)
        left += share


def svg(samples: Mapping[str, int], title: str) -> str:
    """Return the file's text."""
    inner = WIDTH - 2 * _MARGIN
    shown = [box for box in boxes(samples) if box.share * inner >= _THINNEST]
    legend = _legend(inner)
    rows = -(-len(legend) // _IN_A_ROW) + 2 + max((box.depth for box in shown), default=0)
    height = _TITLE + ROW * rows + _MARGIN
    drawn = "\n".join((*legend, *(_drawn(box, inner, height) for box in shown)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="#fdfdfb"/>\n'
        f'<text x="{_MARGIN}" y="26" font-size="16">{escape(title)}</text>\n{drawn}\n</svg>\n'
    )


def _drawn(box: Box, inner: int, height: int) -> str:
    x, width = _MARGIN + box.left * inner, box.share * inner
    y = height - _MARGIN - ROW * (box.depth + 1)
    part = group_of(box.stack)
    told = escape(f"{box.name}: {100 * box.share:.1f} %, {part}")
    letters = int((width - 4) / _LETTER)
    label = escape(box.name[:letters]) if letters > 2 else ""  # noqa: PLR2004 - fewer say nothing
    return (
        f'<g><title>{told}</title><rect x="{x:.1f}" y="{y}" width="{max(0.3, width - 0.4):.1f}"'
        f' height="{ROW - 1}" rx="1" fill="{_colour(part)}"/>'
        f'<text x="{x + 2:.1f}" y="{y + ROW - 5}">{label}</text></g>'
    )


def _legend(inner: int) -> list[str]:
    lines = []
    for place, part in enumerate(_PARTS):
        row, column = divmod(place, _IN_A_ROW)
        x, y = _MARGIN + column * inner // _IN_A_ROW, _TITLE + ROW * row
        lines.append(
            f'<circle cx="{x + 6}" cy="{y + 6}" r="5" fill="{_colour(part)}"/>'
            f'<text x="{x + 16}" y="{y + 10}">{escape(part)}</text>'
        )
    return lines


def _colour(part: str) -> str:
    """Return a light colour of the part's own; neighbours in the legend are far apart."""
    place = _PARTS.index(part)
    return f"hsl({place * 137 % 360},{55 + 20 * (place % 2)}%,{80 - 12 * (place % 3 == 0)}%)"
