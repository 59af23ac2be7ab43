"""Locust's page with the verdict above it: its reader asks first whether the load held. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from loadtests.load.charts import charts
from loadtests.load.report import Report
from loadtests.load.trends import Trends

_BODY: Final = "<body>"
EMPTY_PAGE: Final = '<!doctype html><html lang="en"><head><meta charset="utf-8"></head>\
<body><p>Locust left no page.</p></body></html>\n'
"""Where Locust has written none: it was ended, or never began."""
_STYLE: Final = (
    "#verdict{font:15px/1.5 sans-serif;margin:2em auto;max-width:72em;padding:0 1em}"
    "#verdict table{border-collapse:collapse;margin:.5em 0 1.5em}"
    "#verdict td,#verdict th{border-bottom:1px solid #ddd;padding:.2em .9em .2em 0;text-align:left}"
    "#verdict .bad{color:#b00020;font-weight:bold}#verdict .good{color:#1b6e3c}"
    "#verdict svg{width:100%;height:auto}#verdict .dim{color:#5b6672;margin:0 0 1em}"
    "#verdict h3{margin:1.2em 0 .2em;break-after:avoid}#verdict svg{break-inside:avoid}"
)


def with_verdict(page: str, report: Report) -> str:
    """Return Locust's page with what the report says put first. A page of another make stays."""
    place = page.rfind(_BODY)
    if place < 0:
        return page
    place += len(_BODY)
    return page[:place] + _verdict(report) + page[place:]


def _verdict(report: Report) -> str:
    broken = sum(not each.held for each in report.limits)
    count = len(report.limits)
    judged = f"{broken} of {count} limits broken" if broken else f"all {count} limits held"
    if report.incomplete:
        judged = f"not a whole load, {judged}"
    word = f'<span class="{"good" if report.held else "bad"}">{judged}</span>'
    asked = report.request
    what = (
        f"{asked.seconds:g} s, up to {asked.users} callers, {asked.agents} agents, "
        f"{asked.workers} worker{'s' if asked.workers > 1 else ''}, seed {asked.seed}"
    )
    parts = [
        f"<style>{_STYLE}</style>",
        f"<h1>Load: {escape(report.shape)}: {word}</h1><p>{escape(what)}</p>",
        *(f'<p class="bad">{escape(each)}</p>' for each in report.incomplete),
        _table(
            ("limit", "found", ""),
            ((each.limit, each.found, "held" if each.held else "BROKEN") for each in report.limits),
        ),
    ]
    for title, told in (
        ("What was broken on purpose", report.faults),
        ("What was to be broken and was not", report.refused_faults),
        ("What ended of its own accord", report.died),
    ):
        if told:
            items = "".join(f"<li>{escape(each)}</li>" for each in told)
            # By these numbers charts tell what was broken.
            kind = "ol" if told is report.faults else "ul"
            parts.append(f"<h2>{title}</h2><{kind}>{items}</{kind}>")
    if report.trends is not None:
        parts += [
            "<h2>What people met, over time</h2>",
            _how_to_read(report.trends, asked.sipp_per_s),
        ]
        parts.append(charts(report.trends))
    if report.growth:
        parts.append("<h2>What one process held: the life that grew most</h2>")
        parts.append(_table(_GROWTH, _grown(report)))
    if report.complaints:
        rows = (
            (each.program, each.event, each.why, str(each.count), "yes" if each.explained else "NO")
            for each in report.complaints
        )
        parts.append("<h2>Errors in the logs</h2>")
        parts.append(_table(("program", "error", "why", "count", "explained by a fault"), rows))
    return f'<section id="verdict">{"".join(parts)}</section>'


def _how_to_read(trends: Trends, sipp_per_s: float) -> str:
    words = (
        f"By what each telephone has told, in slices of {trends.slice_s:g} s. A value stands where "
        "it began: a set-up when it was dialled, a gap when the line went silent. Where fewer than "
        "20 are in a slice, its 95th percentile is the highest of them, and its 5th the lowest."
    )
    if trends.broken:
        words += (
            " Red is what was broken on purpose, numbered as above: a band while it lasted, "
            "a dashed line where something was killed."
        )
    if sipp_per_s:
        words += " SIPp's calls are not here."
    return f"<p>{words}</p>"


_GROWTH: Final = ("program", "what", "first", "last", "an hour", "98 of 100 between", "surely")


def _grown(report: Report) -> Iterable[Sequence[str]]:
    for program, what, each in report.grown():
        bounds = f"{each.low_per_h:+.1f} and {each.high_per_h:+.1f}"
        ends = (f"{each.first:.1f}", f"{each.last:.1f}", f"{each.per_h:+.1f}")
        yield program, what, *ends, bounds, f"{each.surely:.1f}" if each.surely else "-"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(
        "<tr>" + "".join(f"<td{_class(each)}>{escape(each)}</td>" for each in row) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _class(cell: str) -> str:
    return ' class="bad"' if cell in {"BROKEN", "NO"} else ""
