"""The markup that reports of drills are made of. PURE."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from drills import endless


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; heads are words, cells are markup."""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def no_break(text: str) -> str:
    """Keep a text on one line."""
    return text.replace(" ", "&nbsp;")


def items(found: Iterable[str]) -> str:
    """Return a list of words; empty when there are none."""
    points = "".join(f"<li>{escape(each)}</li>" for each in found)
    return f"<ul>{points}</ul>" if points else ""


def mark(*, held: bool) -> str:
    """Return yes or no, in the colour of good or bad."""
    return '<span class="held">yes</span>' if held else '<span class="broken">no</span>'


def number(value: float | None) -> str:
    """Return a figure without a unit."""
    if value is None:
        return "not measured"
    return endless.WORDS if value == math.inf else f"{value:.10g}"
