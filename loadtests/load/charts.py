"""Charts of a load over time as SVG: what callers met, and what was broken meanwhile. PURE.

One chart below the other over the same axis, so that what stands in one line happened together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from msgspec import Struct

from drills.drawing import BLUE, GRAY, LEFT, RED, RIGHT, WIDTH, YELLOW, Frame, line, svg, text
from loadtests.load.telling import BEARABLE_MOS
from loadtests.load.trends import MOS, Broken, Slice, Trends

_HEIGHT, _ABOVE, _BELOW = 150, 18, 24
_MOST_TICKS: Final = 9
_TICKS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_TOPS: Final = (1.0, 1.2, 1.6, 2.0, 4.0, 6.0, 8.0, 10.0)
"""Times a power of ten they can be told with their halves in few digits."""
_LETTER_WIDE, _TICK_WIDE, _LEGEND_WIDE, _LEGEND_HIGH = 8, 30, 168, 18
_SECONDS_OVER_MS: Final = 800.0
_MINUTES_OVER_S, _HOURS_OVER_S = 180.0, 10_800.0
_BEARABLE: Final = f"dashed: {BEARABLE_MOS:g}, under which it failed"
_ROWS: Final = (
    ("SIP set-up", "Set-up", "from INVITE to 200, when it was dialled"),
    ("SIP ring", "Ring", "how long an agent's telephone rang"),
    (
        "SIP answer until the caller is heard",
        "Answer until the caller is heard",
        "from an agent's 200 until the caller's voice",
    ),
    ("SIP wait for an agent", "Wait for an agent", "from the caller's 200 until the agent's voice"),
    ("RTP longest gap, caller", "RTP longest gap, caller", "in what a caller heard of the agent"),
    ("RTP longest gap, agent", "RTP longest gap, agent", "in what an agent heard of the caller"),
    (f"{MOS}, caller", "MOS, caller", f"of what a caller heard, when the call ended; {_BEARABLE}"),
    (f"{MOS}, agent", "MOS, agent", f"of what an agent heard, when the call ended; {_BEARABLE}"),
)
_MEANT: Final = {
    "talked": BLUE,
    "agent hung up": "#8dbbf2",
    "stopped": GRAY,
    "impatient": YELLOW,
    "gave_up": "#c77f00",
    "sent away": "#8a5a00",
}
"""Ends of calls, from the bottom of a bar upwards. What is in neither table stands between both."""
_BAD: Final = {"cut off": RED, "refused": "#e0796f", "silence": "#7a1f1a", "fault": "#4a0f0b"}
_OTHER: Final = "#5b6672"


class _Scale(Struct, frozen=True):
    """How values of a row are drawn: each times `share`."""

    share: float
    unit: str
    base: float
    top: float
    marks: tuple[float, ...]
    tail: str
    """Which percentile it is."""


def charts(trends: Trends) -> str:
    """Return all of them with their headings."""
    parts = ["<h3>How calls ended</h3>", _ends_chart(trends)]
    for name, title, what in _ROWS:
        if slices := trends.rows.get(name):
            parts += [f"<h3>{escape(title)}</h3>", _row_chart(trends, name, slices, what)]
    return "".join(parts)


def _row_chart(trends: Trends, name: str, slices: Sequence[Slice], what: str) -> str:
    scale = _scale(name, slices)
    frame = _frame(trends, scale.base, scale.top)
    shapes = [*_bands(frame, trends.broken), *_axes(frame, scale.marks, scale.unit)]
    if name.startswith(MOS):
        height = frame.y(BEARABLE_MOS)
        shapes.append(line((LEFT, height), (WIDTH - RIGHT, height), RED, is_dashed=True))
    shapes += _lines(frame, trends.slice_s, slices, scale.share)
    count, failed = (sum(each) for each in zip(*((s.count, s.failed) for s in slices), strict=True))
    words = f"{what}; blue: the median, yellow: the {scale.tail} percentile; {count} in all"
    return svg(shapes, _HEIGHT, f"{words}; red dot: some failed ({failed})" if failed else words)


def _scale(name: str, slices: Sequence[Slice]) -> _Scale:
    if name.startswith(MOS):
        scores = (1.0, 2.0, 3.0, 4.0)
        return _Scale(share=0.01, unit="", base=1.0, top=4.5, marks=scores, tail="5th")
    highest = max(each.tail for each in slices)
    unit, share = ("s", 0.001) if highest > _SECONDS_OVER_MS else ("ms", 1.0)
    top = _top(highest * share)
    marks = (0.0, top / 2, top)
    return _Scale(share=share, unit=unit, base=0.0, top=top, marks=marks, tail="95th")


def _lines(frame: Frame, slice_s: float, slices: Sequence[Slice], share: float) -> Iterator[str]:
    """Yield median and tail, a step a slice, what is between them, and where something failed."""
    between, median, tail, dots = [], [], [], []
    before = None
    for each in slices:
        left, right = (frame.x(number * slice_s) for number in (each.number, each.number + 1))
        low, high = frame.y(each.median * share), frame.y(each.tail * share)
        goes_on = before == each.number - 1
        median.append(f"{'V' if goes_on else f'M{left:.1f} '}{low:.1f}H{right:.1f}")
        tail.append(f"{'V' if goes_on else f'M{left:.1f} '}{high:.1f}H{right:.1f}")
        if each.tail != each.median:
            between.append(f"M{left:.1f} {low:.1f}V{high:.1f}H{right:.1f}V{low:.1f}Z")
        if each.failed:
            dots.append(
                f'<circle cx="{(left + right) / 2:.1f}" cy="{high:.1f}" r="3.5" fill="{RED}">'
                f"<title>{each.failed} of {each.count} failed</title></circle>"
            )
        before = each.number
    yield f'<path d="{"".join(between)}" fill="{YELLOW}" fill-opacity=".3"/>'
    for path, colour, width in ((tail, YELLOW, 1.5), (median, BLUE, 2)):
        yield f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
    yield from dots


def _ends_chart(trends: Trends) -> str:
    others = [how for how in trends.ended if how not in _MEANT and how not in _BAD]
    order = [how for how in (*_MEANT, *others, *_BAD) if how in trends.ended]
    sums = [sum(each) for each in zip(*trends.ended.values(), strict=True)]
    top = _top(max([2, *sums]))
    frame = _frame(trends, 0.0, top)
    shapes = [*_bands(frame, trends.broken), *_axes(frame, (0.0, top / 2, top), "")]
    stands_on = [0] * trends.slices
    for how in order:
        for number, count in enumerate(trends.ended[how]):
            if count:
                shapes.append(_block(frame, trends.slice_s, number, stands_on[number], count, how))
                stands_on[number] += count
    shapes += _legend([(how, sum(trends.ended[how])) for how in order])
    rows = math.ceil(len(order) / _in_a_row())
    words = "calls, by how and when they ended"
    if trends.untold:
        words += f"; of {trends.untold} more no telephone told the end"
    return svg(shapes, _HEIGHT + _LEGEND_HIGH * rows, words)


def _block(  # noqa: PLR0913, PLR0917 - where, how high, and what
    frame: Frame, slice_s: float, number: int, below: int, count: int, how: str
) -> str:
    left, right = frame.x(number * slice_s), frame.x((number + 1) * slice_s)
    high, low = frame.y(below + count), frame.y(below)
    # Beside each other blocks are told apart by a gap, while there is room for one.
    width = max(right - left - 1, 0.8 * (right - left))
    return (
        f'<rect x="{left:.1f}" y="{high:.1f}" width="{width:.1f}" height="{low - high:.1f}"'
        f' fill="{_colour(how)}"/>'
    )


def _legend(counts: Sequence[tuple[str, int]]) -> Iterator[str]:
    for place, (how, count) in enumerate(counts):
        x = LEFT + _LEGEND_WIDE * (place % _in_a_row())
        y = _HEIGHT + 12 + _LEGEND_HIGH * (place // _in_a_row())
        yield f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{_colour(how)}"/>'
        yield text(x + 15, y, f"{how.replace('_', ' ')}: {count}")


def _in_a_row() -> int:
    return (WIDTH - LEFT) // _LEGEND_WIDE


def _colour(how: str) -> str:
    return _MEANT.get(how) or _BAD.get(how) or _OTHER


def _frame(trends: Trends, base: float, top: float) -> Frame:
    last = trends.slices * trends.slice_s
    return Frame(0.0, last, top, base=base, height=_HEIGHT, above=_ABOVE, below=_BELOW)


def _bands(frame: Frame, broken: Sequence[Broken]) -> Iterator[str]:
    """Yield what was broken: a band while it lasted, a line where it had no length."""
    ceiling, floor, free_from = _ABOVE - 4, frame.y(frame.base), 0.0
    for each in broken:
        if not frame.first <= each.from_s <= frame.last:
            continue
        left, right = frame.x(each.from_s), frame.x(min(each.until_s, frame.last))
        title = f"<title>{each.number}: {escape(each.what)}</title>"
        if right - left < 1.0:
            mark = line((left, ceiling), (left, floor), RED, is_dashed=True, is_faint=True)
            yield f"<g>{mark}{title}</g>"
        else:
            yield (
                f'<rect x="{left:.1f}" y="{ceiling}" width="{right - left:.1f}"'
                f' height="{floor - ceiling:.1f}" fill="{RED}" fill-opacity=".13">{title}</rect>'
            )
        middle, number = (left + right) / 2, str(each.number)
        half = (len(number) + 1) * _LETTER_WIDE / 2
        # Where they would overlap some are left out: they are in order.
        if middle - half >= free_from:
            yield text(middle, ceiling - 3, number, RED, anchor="middle")
            free_from = middle + half


def _axes(frame: Frame, marks: Sequence[float], unit: str) -> Iterator[str]:
    for value in marks:
        height, is_faint = frame.y(value), value != frame.base
        yield line((LEFT, height), (WIDTH - RIGHT, height), GRAY, is_faint=is_faint)
        yield text(LEFT - 6, height + 4, f"{value:g} {unit}".strip(), anchor="end")
    floor = frame.y(frame.base)
    step_s = next(
        (each for each in _TICKS_S if frame.last / each <= _MOST_TICKS), frame.last / _MOST_TICKS
    )
    for number in range(int(frame.last / step_s) + 1):
        x, words = frame.x(number * step_s), _moment(number * step_s, frame.last)
        yield line((x, floor), (x, floor + 4), GRAY)
        if x > WIDTH - _TICK_WIDE:
            yield text(WIDTH, _HEIGHT - 6, words, anchor="end")
        else:
            yield text(x, _HEIGHT - 6, words, anchor="middle")


def _top(value: float) -> float:
    """Return a round number that is as high, or higher by not much."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(each * power for each in _TOPS if value <= each * power * 1.000001)


def _moment(seconds: float, whole_s: float) -> str:
    """Return a moment in the unit that suits the whole time."""
    if whole_s > _HOURS_OVER_S:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if whole_s > _MINUTES_OVER_S else f"{seconds:g} s"
