"""The report of a drill as one HTML page, for managers and auditors. PURE.

No script, and nothing is fetched.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from drills import live_page
from drills.again import again_in_words
from drills.charts import calls_chart, looks_chart, runs_chart
from drills.comparison import LOSSES, MOST_COMPARED, RULE, compare, is_comparable
from drills.evidence import Evidence, Judgement, extent, verdict
from drills.experiment import Bound
from drills.markup import items, mark, no_break, number, table
from drills.wording import called, limit, missed, told

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;
color:#1b1f24}
h1{margin-bottom:.2rem}h2{margin-top:2.2rem;border-bottom:1px solid #d5dae0;padding-bottom:.2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem;
border-bottom:1px solid #e6e9ed;vertical-align:top}th{color:#5b6672;font-weight:600}
.held{color:#116329;font-weight:600}.broken{color:#b3261e;font-weight:700}.dim{color:#5b6672}
.verdict{font-size:1.2rem}code{font-size:.85em;overflow-wrap:anywhere}svg{width:100%;height:auto}
svg,tr{break-inside:avoid}h2,h3{break-after:avoid}
@media print{body{margin:0;max-width:none;font-size:11.5px}}
"""
_SERVICES = (
    ("call set-up, by the callers' telephones", "rto_s"),
    ("call set-up, by the packets at their link", "rto_capture_s"),
    ("media: the first new caller to hear an agent", "media_rto_s"),
    ("media, by the packets", "media_capture_s"),
    ("recording: the first new talk that is recorded as a whole", "recording_rto_s"),
    ("recording, by the packets", "recording_capture_s"),
    ("sign-in: the last agent's telephone registered again", "sign_in_rto_s"),
    ("sign-in, by the packets", "sign_in_capture_s"),
    ("agents of a dead site: 95 of 100 can be rung elsewhere", "agents_back_s"),
    ("data: the longest time without a write", "data_rto_s"),
)


_OVER = " is over, by "
_LASTS = re.compile(r"\bfor [0-9.e+-]+ s\)$")
"""Ends the words of a fault that has a time to live (`drills.fault`)."""
_OUT_OF = {
    "lost": "offered",
    "recordings_lost": "recordings_due",
    "cut_off_unrecorded_s": "cut_off_talk_s",
    "writes_lost": "writes",
}
_FOR_AUDITORS = """
<p>This is the record of one exercise: its objective and scope (the hypothesis, what was broken),
who allowed it, what was measured against what was expected, and what was found. Such records are
asked for by ISO 22301:2019, 8.5 (exercise programme), by Regulation (EU) 2022/2554 (DORA),
articles 11 and 24 (tests of continuity and of resilience), and by PCI DSS 4.0, 12.10.2 (tests of
the response to incidents). The page has no caller's number, no audio and no card data. Whether it
suffices is the auditor's judgement.</p>
"""


def page(evidence: Evidence, before: Sequence[Evidence] = ()) -> str:
    """Return the page. `before`: earlier runs, the oldest first, comparable or not."""
    title = escape(f"{evidence.experiment.title}: {evidence.run}")
    parts = (
        *_heading(evidence),
        *_found(evidence),
        *_calls(evidence),
        *_what_was_done(evidence),
        _compared(evidence, before),
        *_what_was_seen(evidence),
        *_how_to_check(evidence),
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def _heading(evidence: Evidence) -> Iterator[str]:
    experiment, when = evidence.experiment, _moment(evidence.began_ms)
    outcome = (
        "was not tested: the drill was not begun"
        if not evidence.was_begun
        else "was not tested to the end: somebody stopped the drill"
        if evidence.was_stopped
        else f'<span class="held">{escape(verdict(evidence))}</span>'
        if evidence.held
        else '<span class="broken">did not hold</span>'
    )
    yield f"<h1>{escape(experiment.title)}</h1>"
    yield (
        f'<p class="dim">Drill {escape(experiment.name)}, run {escape(evidence.run)},'
        f" {when:%d %B %Y %H:%M:%S} UTC{_on(evidence)}</p>"
    )
    yield f'<p class="verdict">The hypothesis {outcome}.</p>'
    yield f"<p>{escape(experiment.hypothesis)}</p>"
    yield f"<p>{escape(summary(evidence))}</p>"


def _on(evidence: Evidence) -> str:
    return f", on {escape(evidence.machine)}" if evidence.machine else ""


def _found(evidence: Evidence) -> Iterator[str]:
    expect = evidence.experiment.expect
    # By its words: of one figure two things may be expected.
    bounds = {bound.told(): bound for bound in expect}
    yield "<h2>Expected and found</h2>"
    rows = [_judged(each, bounds.get(each.expected)) for each in evidence.judgements]
    figures = evidence.figures
    rows += [_unjudged(each, figures) for each in expect if each.told() in evidence.unjudged]
    yield table(("held", "what", "expected", "found"), rows)
    yield "<h2>Time to recover</h2>"
    yield table(
        ("service", "time"),
        (
            (escape(service), told(figure, evidence.figures.get(figure)))
            for service, figure in _SERVICES
        ),
    )
    yield "<h2>What was lost</h2>"
    yield table(("what", "how much"), _losses(evidence.figures))
    yield _only_there(evidence)


def _calls(evidence: Evidence) -> Iterator[str]:
    yield "<h2>Calls</h2>"
    yield live_page.ledger(evidence) if evidence.ledger_by else _ledger(evidence.figures)
    yield "<h3>Time from INVITE to answer, call by call</h3>"
    yield calls_chart(evidence.calls)
    yield "<h3>Second by second</h3>"
    yield looks_chart(evidence.looks) or "<p>Nobody looked.</p>"
    yield _moved(evidence)
    yield _at_sites(evidence)
    yield live_page.moved(evidence)


def _what_was_done(evidence: Evidence) -> Iterator[str]:
    yield "<h2>What was broken, and what allowed it</h2>"
    yield table(("fault", "from", "until"), _broken(evidence))
    yield "<h3>Guards</h3>"
    yield table(
        ("guard", "allowed it", "why"),
        (
            (escape(each.guard), mark(held=each.allows), escape(each.why))
            for each in evidence.guards
        ),
    )
    yield "<h3>Who asked, and who approved</h3>"
    yield (
        items(each.told() for each in evidence.approvals)
        or "<p>Nobody had to: a lab of its own, with synthetic callers only.</p>"
    )


def _what_was_seen(evidence: Evidence) -> Iterator[str]:
    yield "<h2>Findings</h2>"
    yield items(evidence.findings) or "<p>None.</p>"
    yield "<h2>Timeline</h2>"
    yield table(
        ("after", "who", "what"),
        (
            (no_break(f"{_cents(m.after_s):.2f} s"), escape(m.who), escape(m.what))
            for m in evidence.timeline
        ),
    )
    yield "<h2>Clocks</h2>"
    clocks = [
        (escape(each.who), f"{each.least_ms:.1f} ms", f"{each.most_ms:.1f} ms")
        for each in evidence.clocks
    ]
    heads = ("who", "differs by at least", "at most")
    yield table(heads, clocks) if clocks else "<p>Not measured.</p>"
    yield "<h2>All figures</h2>"
    yield table(
        ("figure", "value"),
        ((_named(name), told(name, value)) for name, value in sorted(evidence.figures.items())),
    )


def _how_to_check(evidence: Evidence) -> Iterator[str]:
    yield "<h2>How to check this</h2>"
    yield (
        f"<p>Plan <code>{evidence.plan_hash}</code>; the piece before"
        f" <code>{evidence.previous}</code>."
        f" <code>./everline drill report {escape(evidence.run)} --verify</code>"
        " checks the signature, the chain, the files and, where the evidence has its hash,"
        " <code>report.html</code>, also in a copy of the folder, by the public key in"
        " <code>key.pub</code> alone. A PDF is under no seal: <code>--pdf FILE</code> makes one"
        " of what stands. Who has that key from elsewhere says"
        " <code>--public-key</code>; who has kept the last piece's hash says"
        " <code>--last-hash</code>, and sees whether it was taken away. The files, by their"
        " SHA-256:</p>"
    )
    yield items(f"{name}: {digest}" for name, digest in evidence.files.items())
    yield "<h2>What this is a record of</h2>"
    yield _FOR_AUDITORS


def summary(evidence: Evidence) -> str:
    """Return how it went in a few sentences, for whoever reads no further."""
    figures, held = evidence.figures, sum(each.held for each in evidence.judgements)
    parts = [f"It was {evidence.end} ({evidence.why})."]
    if evidence.was_begun:
        parts.append(f"{held} of {len(evidence.judgements)} expectations held.")
    if evidence.was_begun and evidence.unjudged:
        parts.append(f"Only these could be judged: {extent(evidence)}.")
    if figures.get("offered") is not None:
        parts.append(
            f"Of {number(figures.get('offered'))} callers {number(figures.get('answered'))} were"
            f" answered, {number(figures.get('abandoned'))} gave up,"
            f" {number(figures.get('refused'))} were refused and {number(figures.get('lost'))}"
            f" were cut off{_still_on(figures)}."
        )
    if figures.get("rto_s") == math.inf:
        parts.append("New calls were not set up again.")
    elif figures.get("rto_s") is not None:
        parts.append(f"New calls were set up again after {told('rto_s', figures['rto_s'])}.")
    return " ".join(parts)


def _still_on(figures: Mapping[str, float | None]) -> str:
    """Return what becomes of callers of a live system, which nobody brings to an end."""
    on = figures.get("still_on")
    return f", {number(on)} were still on the line" if on else ""


def _judged(each: Judgement, bound: Bound | None) -> tuple[str, ...]:
    expected = each.expected if bound is None else limit(bound)
    found = told(each.figure, each.value)
    if bound is not None and not each.held:
        found = missed(bound, each.value)
    return mark(held=each.held), _named(each.figure), escape(expected), escape(found)


def _unjudged(bound: Bound, figures: Mapping[str, float | None]) -> tuple[str, ...]:
    """Return an expectation whose figure is not what it is in a lab, where it is known at all."""
    found = told(bound.figure, figures.get(bound.figure))
    return "not judged", _named(bound.figure), escape(limit(bound)), escape(found)


def _named(figure: str) -> str:
    name = f'<code class="dim">{escape(figure)}</code>'
    words = called(figure)
    return name if words == figure else f"{escape(words)} {name}"


def _broken(evidence: Evidence) -> Iterator[tuple[str, ...]]:
    """Yield each fault as it was made, not as the plan says it: a plan may say `{leader}`."""
    said = [moment for moment in evidence.timeline if moment.who == "fault"]
    made = [moment for moment in said if _OVER not in moment.what]
    if not made:
        yield from ((escape(each.told()), "not made", "") for each in evidence.experiment.method)
    for moment in made:
        # The same may have been broken twice.
        over = [
            each
            for each in said
            if each.what.startswith(moment.what + _OVER) and each.at_ms >= moment.at_ms
        ]
        ends = "not known to be over" if _LASTS.search(moment.what) else "nothing to undo"
        if over:
            by = over[0].what.removeprefix(moment.what + _OVER)
            ends = f"{_cents(over[0].after_s):.2f} s, by {by}"
        yield escape(moment.what), f"{_cents(moment.after_s):.2f} s", escape(ends)


def _losses(figures: Mapping[str, float | None]) -> Iterator[tuple[str, str]]:
    """Yield what is gone for good, as far as this drill could measure it."""
    for name in LOSSES:
        if figures.get(name) is not None:
            due = _OUT_OF.get(name)
            of = "" if due is None else f" of {told(due, figures.get(due))}"
            yield escape(called(name)), escape(told(name, figures[name]) + of)


def _only_there(evidence: Evidence) -> str:
    """Return what would have been lost with each site: no other one had it."""
    if not evidence.alone:
        return ""
    rows = (
        (
            escape(each.site),
            f"{each.recordings}",
            f"{each.recorded_s:g} s",
            f"{each.under_way}",
            f"{each.under_way_s:g} s",
        )
        for each in evidence.alone
    )
    heads = ("site", "recordings of calls that were over", "talk", "calls under way", "talk")
    return (
        "<h3>Recordings that no other site had when it began</h3>"
        "<p>As each site said last; it does so every five seconds.</p>" + table(heads, rows)
    )


def _cents(seconds: float) -> float:
    """Return seconds as they are told, and no zero with a sign."""
    return round(seconds, 2) + 0.0


def _compared(evidence: Evidence, before: Sequence[Evidence]) -> str:
    found = compare(evidence, before)
    heading, words = "<h2>Compared with the last runs</h2>", escape(found.told())
    if not found.runs:
        return f"{heading}<p>{words[:1].upper()}{words[1:]}.</p>"
    worse = items(each.told() for each in found.worse)
    text = (
        f'<p class="broken">Worse than before:</p>{worse}'
        if found.worse
        else "<p>Nothing is markedly worse.</p>"
    )
    known = [each for each in before if is_comparable(evidence, each)]
    runs = (*known[-MOST_COMPARED:], evidence)
    rows = [
        ("held", *(_mark(run) for run in runs)),
        ("code", *(f"<code>{escape(run.code)}</code>" for run in runs)),
    ]
    rows += [
        (
            escape(called(each.figure)),
            *(told(each.figure, run.figures.get(each.figure)) for run in runs),
        )
        for each in evidence.judgements
    ]
    heads = ("", *(f"{_moment(run.began_ms):%d %b %H:%M}" for run in runs))
    return (
        f'{heading}{text}<p class="dim">{words[:1].upper()}{words[1:]}. {escape(RULE)}</p>'
        f"{runs_chart(evidence, known)}{table(heads, rows)}"
    )


def _mark(run: Evidence) -> str:
    if run.held and run.unjudged:
        return f'<span class="held">in part</span>: {escape(extent(run))}'
    return mark(held=run.held)


def _moment(at_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)


def _ledger(figures: Mapping[str, float | None]) -> str:
    names = ("offered", "answered", "abandoned", "refused", "lost")
    told = " + ".join(f"{number(figures.get(name))} {name}" for name in names[1:])
    exact = figures.get("ledger_exact")
    how = "exact" if exact == 1 else '<span class="broken">not exact</span>'
    return (
        f"<p>{number(figures.get('offered'))} offered = {told}. By the packets at the callers'"
        f" link: {number(figures.get('captured_calls'))} calls,"
        f" {number(figures.get('wire_differs'))} told otherwise;"
        f" by SIPp: {number(figures.get('sipp_calls'))} of them. The ledger is "
        f"{'not measured' if exact is None else how}.{again_in_words(figures)}</p>"
    )


def _moved(evidence: Evidence) -> str:
    if not evidence.moved:
        return ""
    rows = ((escape(way), str(count)) for way, count in evidence.moved.items())
    who = "test calls" if evidence.is_live else "calls"
    return "<h3>Served elsewhere than they came to</h3>" + table((who, "how many"), rows)


def _at_sites(evidence: Evidence) -> str:
    if not evidence.at_sites:
        return ""
    rows = (
        (
            f"{escape(each.what)} at {escape(each.site)}",
            f"{each.before}",
            f"{each.least} to {each.most}",
            f"{each.after}",
        )
        for each in evidence.at_sites
    )
    heads = ("who", "before", "while it was broken", "at the end")
    return "<h3>Where agents and calls were</h3>" + table(heads, rows)


def lines(evidence: Evidence) -> Iterator[str]:
    """Yield the report in a few lines, for a terminal."""
    for each in evidence.judgements:
        mark = "held  " if each.held else "BROKEN"
        yield f"{mark}  {each.expected}   found {number(each.value)}"
    if evidence.was_begun:
        yield from (f"not judged  {expected}" for expected in evidence.unjudged)
    for where in evidence.at_sites:
        if where.what == "agents" and not where.least == where.most == where.before:
            yield where.told()
    yield from live_page.lines(evidence)
