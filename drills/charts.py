"""Charts of a drill's report as SVG, for people who will not read tables. PURE.

No script, nothing is fetched, and each says in words what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from textwrap import wrap

from drills import endless
from drills.drawing import GRAY, GREEN, LEFT, RED, WIDTH, Frame, line, svg, text
from drills.evidence import CallRow, Evidence, Judgement
from drills.experiment import Bound
from drills.wording import called, limit, told

_HEIGHT = 220
_COLOURS = {"answered": "#2c7be5", "abandoned": "#f0a202", "refused": "#b3261e", "lost": "#b3261e"}
_LOOKS = (
    ("waiting", "callers without an agent yet", "#f0a202"),
    ("agents_ready", "agents who take calls", "#2c7be5"),
)
LAST_RUNS = 12
MOST_LETTERS = 36


def calls_chart(calls: Sequence[CallRow]) -> str:
    """Return a chart: a dot a call, when it came against how long its answer took."""
    if not calls:
        return ""
    first = min(call.placed_s for call in calls)
    known = [call.setup_ms for call in calls if call.setup_ms is not None]
    frame = Frame(
        first, max(*(call.placed_s for call in calls), first + 1.0), max([500.0, *known]) * 1.1
    )
    shapes = _axes(frame, "ms")
    for call in calls:
        colour = _COLOURS.get(call.people, "#5b6672")
        height = frame.y(call.setup_ms) if call.setup_ms is not None else 8.0
        took = "no answer" if call.setup_ms is None else f"{call.setup_ms:.0f} ms"
        title = f"{call.people}, {took}, meant for {call.meant_for}"
        shapes.append(
            f'<circle cx="{frame.x(call.placed_s):.1f}" cy="{height:.1f}" r="4" fill="{colour}"'
            f' fill-opacity=".75"><title>{escape(title)}</title></circle>'
        )
    words = "a dot a call: blue answered, yellow given up, red refused or lost"
    return svg(shapes, _HEIGHT, words)


def looks_chart(looks: Sequence[tuple[float, Mapping[str, float]]]) -> str:
    """Return a chart of the center second by second: who waited, and who was there to answer."""
    if len(looks) < 2:  # noqa: PLR2004 - a line has two ends
        return ""
    top = max([1.0, *(values.get(name, 0.0) for _, values in looks for name, _, _ in _LOOKS)])
    frame = Frame(looks[0][0], max(looks[-1][0], looks[0][0] + 1.0), top * 1.1)
    shapes = _axes(frame, "")
    for number, (name, words, colour) in enumerate(_LOOKS):
        # Where nothing was measured there is no line: nobody knows how it was.
        for is_known, stretch in groupby(looks, lambda look: name in look[1]):  # noqa: B023 - at once
            points = [(frame.x(at_s), frame.y(values.get(name, 0.0))) for at_s, values in stretch]
            if is_known:
                # A look by itself is a short line.
                points += [(points[0][0] + 1.0, points[0][1])] if len(points) == 1 else []
                drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
                shapes.append(
                    f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>'
                )
        # Below the axis, where no mark of a moment comes. As words, colours of lines are too pale.
        x, y = LEFT + 160 + 220 * number, _HEIGHT - 6
        shapes.append(f'<rect x="{x - 20}" y="{y - 5}" width="15" height="3" fill="{colour}"/>')
        shapes.append(text(x, y, words))
    words = "callers without an agent yet (greeted, or waiting), and agents, second by second"
    return svg(shapes, _HEIGHT, words)


def runs_chart(evidence: Evidence, before: Sequence[Evidence]) -> str:
    """Return bars: what each expectation found in this run and the last ones, and its limit."""
    runs = (*before[-(LAST_RUNS - 1) :], evidence)
    bounds = {bound.told(): bound for bound in evidence.experiment.expect}
    shapes: list[str] = []
    height = 0
    for judgement in evidence.judgements:
        bound = bounds.get(judgement.expected)
        if bound is None or bound.at_most is None or bound.at_most == 0:
            continue
        shapes += _bars(judgement, bound, bound.at_most, runs, height)
        height += 84
    return svg(shapes, height, "this run and the ones before it, against what is allowed")


def _bars(
    judgement: Judgement, bound: Bound, most: float, runs: Sequence[Evidence], top: int
) -> list[str]:
    values = [run.figures.get(judgement.figure) for run in runs]
    ended = [value for value in values if value is not None and math.isfinite(value)]
    highest = max([most, *ended]) * 1.05
    floor, tall, left, wide = top + 70, 50, 260, 48

    def y(value: float) -> float:
        return floor - max(0.0, value) / highest * tall

    name = wrap(called(judgement.figure), MOST_LETTERS)
    shapes = [
        *(
            text(4, floor - 30 - 14 * (len(name) - 1 - number), words)
            for number, words in enumerate(name)
        ),
        text(4, floor - 14, limit(bound)),
        line((left, y(most)), (WIDTH, y(most)), RED, is_dashed=True),
        line((left, floor), (WIDTH, floor), GRAY),
    ]
    for number, (run, value) in enumerate(zip(runs, values, strict=True)):
        x = left + 4 + number * wide
        if value is None:
            shapes.append(text(x, floor - 4, "none", RED))
            continue
        colour = GREEN if bound.holds(value) else RED
        # What never ended is as high as there is room.
        height, words = (value, f"{value:.3g}") if value in ended else (highest, endless.SHORT)
        opacity = "1" if run is runs[-1] else ".45"
        shapes.append(
            f'<rect x="{x}" y="{y(height):.1f}" width="{wide - 12}"'
            f' height="{max(1.0, floor - y(height)):.1f}" fill="{colour}" fill-opacity="{opacity}">'
            f"<title>{escape(run.run)}: {told(judgement.figure, value)}</title></rect>"
        )
        shapes.append(text(x, floor + 12, words))
    return shapes


def _axes(frame: Frame, unit: str) -> list[str]:
    highest = frame.top / 1.1
    shapes = [
        line((LEFT, frame.y(0)), (WIDTH, frame.y(0)), GRAY),
        text(4, frame.y(highest) + 4, f"{highest:.0f} {unit}"),
        text(4, frame.y(0), "0"),
        text(LEFT, _HEIGHT - 6, f"{frame.first:.0f} s"),
        text(WIDTH - 50, _HEIGHT - 6, f"{frame.last:.0f} s"),
    ]
    if frame.first <= 0.0 <= frame.last:
        x = frame.x(0)
        shapes += [
            line((x, 0), (x, frame.y(0)), RED, is_dashed=True),
            text(x + 4, 12, "first fault", RED),
        ]
    return shapes
